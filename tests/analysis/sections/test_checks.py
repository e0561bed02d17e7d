"""Checks that reviewers ask for, of the pairs of a page."""

import numpy as np
import pandas as pd
import pytest

from analysis.question import PAPER
from analysis.sections.checks import checks_sections, checks_table, compared_pairs
from analysis.settings import comparable_settings
from study import names
from support.fabricated_trials import TEST_CLIPS, FakeTrials


def history(trials: pd.DataFrame, last: dict[float, float], epochs: int = 3) -> pd.DataFrame:
    """Validation accuracies of each epoch's own weights; those of the last by alpha."""
    rows = [
        {"run_id": row["run_id"], "epoch": epoch, "metric": names.VAL_EPOCH_ACCURACY, "value": last[row["loss.alpha"]] * epoch / 3}
        for row in trials.to_dict("records")
        for epoch in range(1, epochs + 1)
    ]
    return pd.DataFrame(rows)


def several(fakes: FakeTrials, gain: int = 20) -> None:
    """Two subsets with three seeds a side."""
    for subset in ("all", "clean"):
        for seed in range(3):
            for alpha, correct, val in ((1.0, 50, 0.5), (0.5, 50 + gain, 0.6), (0.3, 40, 0.4)):
                right = np.arange(TEST_CLIPS) < correct + seed
                fakes.add(alpha, val=val, correct=np.random.default_rng(seed).permutation(right), seed=seed, data__subset=subset)


def test_a_row_has_all_checks_of_a_pair(fakes: FakeTrials) -> None:
    several(fakes)
    trials, predictions = fakes.trials, fakes.predictions
    settings, _ = comparable_settings(trials, predictions)
    curves = history(trials, {1.0: 0.48, 0.5: 0.45, 0.3: 0.4})
    table = checks_table(compared_pairs(settings, PAPER), trials, predictions, curves)
    assert table["label"].tolist() == ["supervised, all", "supervised, clean"]
    row = table.iloc[0]
    assert (row["difference"], row["macro"]) == pytest.approx((0.2, 0.2), abs=0.02)
    assert row["better"] == 1
    assert (row["epoch"], row["last"], row["selected"]) == pytest.approx((3, -0.03, 0.1))
    assert row["p_both"] >= row["p_value"]
    assert row["equal_budget"] == pytest.approx((0.2 - 0.1) / 2)  # of the two others one at random
    (section,) = checks_sections(settings, PAPER, trials, predictions, curves)
    assert "a gain is shown for all of 2 training subsets" in section.text
    assert "Equal budget" in section.text


def test_one_seed_leaves_open_what_takes_several(fakes: FakeTrials) -> None:
    fakes.add(1.0, val=0.5, correct=50)
    fakes.add(0.5, val=0.6, correct=70)
    settings, _ = comparable_settings(fakes.trials, fakes.predictions)
    nothing = pd.DataFrame(columns=["run_id", "epoch", "metric", "value"])
    (section,) = checks_sections(settings, PAPER, fakes.trials, fakes.predictions, nothing)
    row = section.frame.iloc[0]
    assert row[["better", "last", "equal_budget"]].isna().all()
    assert row["macro_low"] > 0
    assert "together" not in section.text
    assert [cell.text for cell in section.rows[0]][5:] == ["–", "–", "–", "–"]


def test_runs_that_stopped_early_are_compared_where_all_still_ran(fakes: FakeTrials) -> None:
    several(fakes)
    trials, predictions = fakes.trials, fakes.predictions
    settings, _ = comparable_settings(trials, predictions)
    curves = history(trials, {1.0: 0.48, 0.5: 0.45, 0.3: 0.4})
    shorter = curves[~((curves["run_id"] == trials["run_id"].iloc[0]) & (curves["epoch"] > 1))]
    table = checks_table(compared_pairs(settings, PAPER), trials, predictions, shorter)
    assert table["epoch"].tolist() == [1, 3]
