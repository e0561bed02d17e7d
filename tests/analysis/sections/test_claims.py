"""Every setting against the baseline on test: paired with predictions, by accuracies without them."""

import numpy as np
import pandas as pd
import pytest
from statsmodels.stats.multitest import multipletests
from statsmodels.stats.proportion import confint_proportions_2indep, proportions_ztest

from analysis.question import Question
from analysis.sections.claims import on_test_table
from analysis.settings import comparable_settings
from analysis.stats.comparisons import compare_unpaired
from analysis.stats.intervals import holm
from study import names

TEST_CLIPS = 100


def on_test(fakes, lost: tuple[str, ...] = ()) -> pd.DataFrame:
    predictions = fakes.predictions[~fakes.predictions["run_id"].isin(lost)]
    settings, _ = comparable_settings(fakes.trials, predictions)
    accuracies = fakes.trials.set_index("run_id")[names.TEST_ACCURACY]
    return on_test_table(settings, predictions, accuracies)


def three_settings(fakes, seeds: int = 1) -> None:
    for seed in range(seeds):
        fakes.add(1.0, 0.5, 50 + seed, seed=seed)
        fakes.add(0.3, 0.6, 66 + seed, seed=seed)
        fakes.add(0.5, 0.7, 54 + 2 * seed, seed=seed)


def test_without_predictions_one_seed_is_corrected_by_holm(fakes) -> None:
    three_settings(fakes)
    table = on_test(fakes, ("run001",)).set_index("alpha")
    alone = [proportions_ztest([right, 50], [TEST_CLIPS] * 2)[1] for right in (66, 54)]
    assert table.loc[[0.3, 0.5], "p_corrected"].tolist() == pytest.approx(multipletests(alone, method="holm")[1])
    expected = confint_proportions_2indep(66, TEST_CLIPS, 50, TEST_CLIPS, method="newcomb")
    assert tuple(table.loc[0.3, ["difference_low", "difference_high"]]) == pytest.approx(expected)
    assert (table["claim"] == "models").all()
    assert not table["paired"].any()
    assert table["settings_tried"].tolist() == [2, 2]
    paired = on_test(fakes).set_index("alpha")
    assert paired["paired"].all()
    assert paired.loc[0.3, "p_corrected"] < table.loc[0.3, "p_corrected"]  # what pairing is good for


@pytest.mark.parametrize("lost", [("run001",), ("run001", "run004", "run007"), ("run000", "run003", "run006")])
def test_without_predictions_several_seeds_compare_settings(fakes, lost: tuple[str, ...]) -> None:
    three_settings(fakes, seeds=3)
    table, paired = on_test(fakes, lost), on_test(fakes)
    assert (table["claim"] == "settings").all()
    pd.testing.assert_frame_equal(
        table[["alpha", "seeds", "accuracy", "difference"]], paired[["alpha", "seeds", "accuracy", "difference"]]
    )
    first, *sides = ([accuracy / 100 for accuracy in each] for each in ((50, 51, 52), (66, 67, 68), (54, 56, 58)))
    alone = [compare_unpaired(first, side, TEST_CLIPS) for side in sides]
    assert table["p_corrected"].tolist() == pytest.approx(holm(each.p_value for each in alone))
    assert table["difference_low"].tolist() == pytest.approx([each.low for each in alone])


def test_without_any_predictions_there_is_nothing_to_say(fakes) -> None:
    three_settings(fakes)
    assert on_test(fakes, ("run000", "run001", "run002")).empty  # not even the number of clips is known


@pytest.mark.parametrize("runs", [1, 3])
def test_unpaired_comparisons_err_in_at_most_one_of_twenty(runs: int) -> None:
    """Runs of two equal settings that differ by their seeds (1.5 points) and by their clips, of which each has its own 400."""
    generator = np.random.default_rng(0)
    seed_sd = 0.015 if runs > 1 else 0.0
    found = []
    for _ in range(1000):
        sides = []
        for _ in range(2):
            # Runs of a side share their clips: what these are worth moves all of them alike.
            of_clips = generator.binomial(400, 0.7) / 400
            sides.append(list(of_clips + generator.normal(0, seed_sd, runs)))
        found.append(compare_unpaired(*sides, 400))
    wrong = np.mean([each.p_value < 0.05 for each in found])
    missed = np.mean([not each.low <= 0 <= each.high for each in found])
    assert 0.02 < wrong < 0.065  # standard error 0.7 points
    assert missed < 0.065


def test_equal_accuracies_of_all_clips_differ_by_nothing() -> None:
    found = compare_unpaired([1.0, 1.0], [1.0, 1.0], TEST_CLIPS)
    assert (found.difference, found.p_value) == (0, 1)
    assert found.low < 0 < found.high


@pytest.mark.parametrize("p_values", [[0.2], [0.01, 0.04, 0.03, 0.005], [0.9, 0.8, 0.02, 0.02], []])
def test_holm_is_that_of_its_definition(p_values: list[float]) -> None:
    ordered = sorted(p_values)  # the k-th smallest of m counts m − k + 1 times, and none less than a smaller one
    expected = [max(min(1, (len(ordered) - k) * p) for k, p in enumerate(ordered) if p <= own) for own in p_values]
    assert holm(p_values) == pytest.approx(expected)


def test_without_predictions_rivals_of_the_baseline_count(fakes) -> None:
    """Three learning rates at the baseline's batch size and one other setting: three pairs."""
    for rate, batch, right in ((0.1, 16, 50), (0.2, 16, 51), (0.3, 16, 52), (0.1, 64, 68)):
        for seed in range(3):
            fakes.add(1.0, val=right / 100, correct=right + seed, seed=seed, optim__lr=rate, optim__batch_size=batch)
    question = Question({"optim.batch_size": 16}, ("data.subset",), ("optim.lr", "optim.batch_size"))
    settings, _ = comparable_settings(fakes.trials, fakes.predictions, question)
    accuracies = fakes.trials.set_index("run_id")["test.accuracy"]
    (row,) = on_test_table(settings, fakes.predictions.iloc[:0], accuracies, question).to_dict("records")
    alone = compare_unpaired([0.52, 0.53, 0.54], [0.68, 0.69, 0.70], TEST_CLIPS)
    pairs = [compare_unpaired([share, share + 0.01, share + 0.02], [0.68, 0.69, 0.70], TEST_CLIPS) for share in (0.5, 0.51, 0.52)]
    assert row["paired"] is False
    assert row["p_corrected"] == pytest.approx(holm(each.p_value for each in (pairs[2], pairs[0], pairs[1]))[0])
    assert row["p_corrected"] >= alone.p_value
