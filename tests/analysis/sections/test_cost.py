"""Cost: hours of runs, and what a point over the baseline costs."""

import pandas as pd
import pytest

from analysis.sections.cost import cost_figure, cost_section, cost_table
from study import names


def seconds_of(fakes, by_run):
    rows = [
        (run_id, epoch, names.EPOCH_SECONDS, seconds)
        for run_id, of_epochs in zip(fakes.trials["run_id"], by_run, strict=True)
        for epoch, seconds in enumerate(of_epochs, start=1)
    ]
    return pd.DataFrame(rows, columns=["run_id", "epoch", "metric", "value"])


def section_of(fakes, history):
    return cost_section(cost_table(fakes.settings(), fakes.trials, history, fakes.predictions))


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
    section = section_of(fakes, history)
    assert "Supervised, all: 7 trials took 10 h. " in section.text
    assert section.text.endswith("; 30 min of search per point (too few seeds: trained models only).")  # two seeds
    acl, baseline, picked = cost_figure(section.frame).data
    assert (list(baseline.x), list(picked.x)) == ([1.25], [1.75])
    assert sorted(acl.y) == pytest.approx([0.4, 0.7])


def test_a_gain_that_can_be_chance_has_no_price(fakes):
    fakes.add(1.0, 0.5, 50)
    fakes.add(0.5, 0.6, 51)
    history = seconds_of(fakes, [[3600], [3600]])
    assert section_of(fakes, history).text.endswith(": not significant, so a cost per point is not given.")


def test_a_price_needs_the_test_and_not_only_the_interval(fakes):
    """The interval of this pair leaves 0 out, and McNemar's exact test does not reject."""
    fakes.add(1.0, 0.5, 50)
    fakes.add(0.5, 0.6, [*[True] * 49, False, *[True] * 7, *[False] * 43])
    section = section_of(fakes, seconds_of(fakes, [[3600], [3600]]))
    row = section.frame[section.frame["picked"]].iloc[0]
    assert (row["difference_low"] > 0, row["models_finding"]) == (True, "not distinguishable")
    assert section.text.endswith(": not significant, so a cost per point is not given.")


def test_a_loss_has_no_price_and_is_no_chance(fakes):
    fakes.add(1.0, 0.5, 80)
    fakes.add(0.5, 0.6, 40)
    history = seconds_of(fakes, [[3600], [3600]])
    last = section_of(fakes, history).text.splitlines()[-1]
    assert "changes test accuracy by −40.0 points" in last
    assert last.endswith(", a significant loss (too few seeds: trained models only).")


def test_hours_of_trials_that_share_gpus_are_gpu_hours(fakes):
    for alpha, share in ((1.0, 0.25), (0.5, 0.5)):
        fakes.add(alpha, 0.5, 50, gpu_share=share)
    history = seconds_of(fakes, [[7200, 7200], [7200]])
    section = section_of(fakes, history)
    assert section.frame.set_index("alpha")["hours"].to_dict() == {1.0: 1.0, 0.5: 1.0}
    assert section.text.startswith("The GPU time of a run is the sum")
    assert "2 trials took 2 h of GPU time" in section.text
    titles = [column.title for column in section.columns if "GPU" in column.title]
    assert titles == ["GPU time of a run", "GPU time of a run per point"]
    assert section.draw(section.frame).layout.xaxis.title.text == "GPU time of one run, h"
    fakes.add(0.3, 0.5, 50)  # on the CPU: hours of different kinds are not added up
    mixed = cost_table(fakes.settings(), fakes.trials, seconds_of(fakes, [[7200, 7200], [7200], [3600]]), fakes.predictions)
    assert set(mixed["unit"]) == {"hours"}
    assert mixed["all_hours"].tolist() == [7.0] * 3
