"""Winner and baseline in detail: embeddings, confusions and cost."""

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import confusion_matrix

from analysis import published
from analysis.sections.paper_figures import fig2_table
from analysis.sections.winner_details import (
    OURS,
    PUBLISHED,
    confusion_figure,
    confusion_table,
    cost_figure,
    cost_table,
    plane_figure,
    plane_table,
    winner_sections,
)
from study import names

SSL = "self-supervised"


def seconds_of(fakes, by_run):
    rows = [
        (run_id, epoch, names.EPOCH_SECONDS, seconds)
        for run_id, of_epochs in zip(fakes.trials["run_id"], by_run, strict=True)
        for epoch, seconds in enumerate(of_epochs, start=1)
    ]
    return pd.DataFrame(rows, columns=["run_id", "epoch", "metric", "value"])


@pytest.fixture
def pair(fakes):
    """A baseline of one seed and a winner of two, which answer differently."""
    generator = np.random.default_rng(1)
    for alpha, val, seed in ((1.0, 0.5, 0), (0.5, 0.6, 0), (0.3, 0.55, 0)):
        fakes.add(alpha, val, [bool(value) for value in generator.random(100) < 0.6], seed=seed)
    return fakes


def test_counts_equal_scikit_learns_confusion_matrices(pair):
    table = confusion_table(pair.settings(), pair.predictions)
    test = pair.predictions[pair.predictions["split"] == "test"]
    classes = sorted(test["label"].unique())
    for side, run_id in (("baseline", "run000"), ("acl", "run001")):  # validation picks 0.5
        own = test[test["run_id"] == run_id]
        expected = confusion_matrix(own["label"], own["predicted"], labels=classes)
        counts = table.pivot(index="true", columns="predicted", values=side)
        assert counts.index.tolist() == counts.columns.tolist() == classes
        assert counts.to_numpy().tolist() == expected.tolist()
    assert table.groupby("true")["difference"].sum().tolist() == pytest.approx([0] * 4)
    assert set(table["clips"]) == {25}


def test_counts_are_means_over_seeds(fakes):
    for seed, correct in ((0, 60), (1, 80)):
        fakes.add(1.0, 0.5, 50, seed=seed)
        fakes.add(0.5, 0.6, correct, seed=seed)
    table = confusion_table(fakes.settings(), fakes.predictions)
    right = table[table["true"] == table["predicted"]]
    assert right["baseline"].sum() == 50
    assert right["acl"].sum() == 70


def test_the_pair_is_that_of_fig_2(fakes):
    fakes.add(1.0, 0.5, 50, data__subset="clean")
    fakes.add(0.5, 0.6, 70, data__subset="clean")
    fakes.add(0.5, 0.6, 90, data__subset="all")  # without a baseline
    for with_ssl in (False, True):
        if with_ssl:
            fakes.add(1.0, 0.5, 40, SSL)
            fakes.add(0.5, 0.6, 44, SSL)
        settings, predictions = fakes.settings(), fakes.predictions
        table, fig2 = confusion_table(settings, predictions), fig2_table(settings, predictions)
        right = table[table["true"] == table["predicted"]].set_index("true")
        assert table["mode"].unique().tolist() == fig2["mode"].unique().tolist()
        shares = fig2.set_index("class")
        assert (right["acl"] / right["clips"]).to_dict() == pytest.approx(shares["acl_accuracy"].to_dict())
        assert (right["baseline"] / right["clips"]).to_dict() == pytest.approx(shares["baseline_accuracy"].to_dict())


def test_the_figure_shows_whole_clips_and_the_diagonal(pair):
    table = confusion_table(pair.settings(), pair.predictions)
    figure = confusion_figure(table)
    heatmap = figure.data[0]
    row = table[(table["true"] == "Engine") & (table["predicted"] == "Engine")].iloc[0]
    assert heatmap.z[0][0] == row["difference"]
    assert heatmap.customdata[0][0].tolist() == [row["baseline"], row["acl"]]
    assert -heatmap.zmin == heatmap.zmax == table["difference"].abs().max()
    assert len(figure.layout.shapes) == 4


def test_embeddings_of_ours_and_the_paper_lie_in_one_plane(fakes):
    fakes.add(1.0, 0.5, 50, SSL)
    fakes.add(0.4, 0.5, 60, SSL, **{names.TEST_TOLERANCE: 0.7})
    fakes.add(0.4, 0.5, 60)  # supervised
    table = plane_table(fakes.settings())
    ours = table[table["source"] == OURS].set_index("side")
    assert ours["minus_uniformity"].to_dict() == {"acl": 0.4, "baseline": 1.0}
    assert ours["tolerance"].to_dict() == {"acl": 0.7, "baseline": 0.9}
    weights = 1 + np.arange(100) % 3
    assert ours.at["acl", "accuracy"] == pytest.approx(np.average(np.arange(100) < 60, weights=weights))
    paper = published.fig3()
    acl = table[(table["source"] == PUBLISHED) & (table["side"] == "acl")]
    assert acl["tolerance"].tolist() == paper["published_acl_tolerance"].tolist()
    marks = {trace.name: trace.marker.symbol for trace in plane_figure(table).data}
    assert marks == {
        "published contrastive": "circle-open",
        "published ACL": "diamond-open",
        "contrastive (α = 1)": "circle",
        "ACL (α < 1)": "diamond",
    }


def test_hours_sum_all_epochs_and_cost_is_per_point(fakes):
    for seed in (0, 1):
        fakes.add(1.0, 0.5, 50, seed=seed)
        fakes.add(0.5, 0.6, 70, seed=seed)
        fakes.add(0.3, 0.55, 40, seed=seed)
    fakes.add(0.4, 0.1, 0, outcome=names.STOPPED)
    history = seconds_of(fakes, [[1800, 1800], [3600, 1800], [3600], [3600, 1800], [3600, 3600], [3600], [7200]])
    table = cost_table(fakes.settings(), fakes.trials, history, fakes.predictions).set_index("alpha")
    assert table["hours"].to_dict() == {0.3: 1.0, 0.5: 1.75, 1.0: 1.25}
    assert table["gain"].to_dict() == pytest.approx({0.3: -0.1, 0.5: 0.2, 1.0: 0.0})
    assert table.at[0.5, "hours_per_point"] == pytest.approx(1.75 / 20)
    assert table["hours_per_point"].drop(0.5).isna().all()
    assert (table["all_trials"] == 7).all()
    assert table["all_hours"].tolist() == pytest.approx([10.0] * 3)
    assert table.index[table["baseline"]].tolist() == [1.0]
    assert table.index[table["picked"]].tolist() == [0.5]
    assert table.at[0.5, "difference"] == pytest.approx(0.2)
    (section,) = (
        own for own in winner_sections(fakes.settings(), fakes.trials, history, fakes.predictions) if own.anchor == "cost"
    )
    assert "supervised, all: 7 trials took 10 hours" in section.text
    acl, baseline, picked = cost_figure(section.frame).data
    assert (list(baseline.x), list(picked.x)) == ([1.25], [1.75])
    assert sorted(acl.y) == pytest.approx([0.4, 0.7])


def test_a_gain_that_can_be_chance_has_no_price(fakes):
    fakes.add(1.0, 0.5, 50)
    fakes.add(0.5, 0.6, 51)
    history = seconds_of(fakes, [[3600], [3600]])
    sections = {own.anchor: own for own in winner_sections(fakes.settings(), fakes.trials, history, fakes.predictions)}
    assert "which can be chance: a price for each would say nothing" in sections["cost"].text
    assert "plane" not in sections


def test_a_loss_has_no_price_and_is_no_chance(fakes):
    fakes.add(1.0, 0.5, 80)
    fakes.add(0.5, 0.6, 40)
    history = seconds_of(fakes, [[3600], [3600]])
    sections = {own.anchor: own for own in winner_sections(fakes.settings(), fakes.trials, history, fakes.predictions)}
    last = sections["cost"].text.splitlines()[-1]
    assert "test accuracy changes by −40.0 points" in last
    assert last.endswith(", a loss.")
    assert "chance" not in last


def test_without_seconds_or_a_pair_there_is_nothing(fakes):
    fakes.add(0.5, 0.6, 51)
    history = pd.DataFrame(columns=["run_id", "epoch", "metric", "value"])
    assert winner_sections(fakes.settings(), fakes.trials, history, fakes.predictions) == []


def test_hours_of_trials_that_share_gpus_are_gpu_hours(fakes):
    for alpha, share in ((1.0, 0.25), (0.5, 0.5)):
        fakes.add(alpha, 0.5, 50, gpu_share=share)
    history = seconds_of(fakes, [[7200, 7200], [7200]])
    (section,) = (
        own for own in winner_sections(fakes.settings(), fakes.trials, history, fakes.predictions) if own.anchor == "cost"
    )
    assert section.frame.set_index("alpha")["hours"].to_dict() == {1.0: 1.0, 0.5: 1.0}
    assert "GPU-hours are the sum" in section.text
    assert "2 trials took 2 GPU-hours" in section.text
    assert [column.title for column in section.columns if "GPU-hours" in column.title] == [
        "GPU-hours of a run",
        "GPU-hours of a run per point",
    ]
    assert section.draw(section.frame).layout.xaxis.title.text == "GPU-hours of one run"
    fakes.add(0.3, 0.5, 50)  # on the CPU: hours of different kinds are not added up
    mixed = cost_table(fakes.settings(), fakes.trials, seconds_of(fakes, [[7200, 7200], [7200], [3600]]), fakes.predictions)
    assert set(mixed["unit"]) == {"hours"}
    assert mixed["all_hours"].tolist() == [7.0] * 3
