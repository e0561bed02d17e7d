"""Winner and baseline in detail: embeddings and confusions."""

import numpy as np
import pytest
from sklearn.metrics import confusion_matrix

from analysis import published
from analysis.sections.paper_figures import fig2_table
from analysis.sections.winner_details import (
    OURS,
    PUBLISHED,
    confusion_figure,
    confusion_table,
    plane_figure,
    plane_table,
    winner_sections,
)
from study import names

SSL = "self-supervised"


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
    for side, run_id in (("baseline", "run000"), ("acl", "run001")):  # validation selects 0.5
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
    assert all(colour.startswith("rgba(") for _, colour in heatmap.colorscale)  # the page, light or dark, shows through


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


def test_without_a_pair_there_is_nothing(fakes):
    fakes.add(0.5, 0.6, 51)
    assert winner_sections(fakes.settings(), fakes.predictions) == []
