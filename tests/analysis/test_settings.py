"""Trials become settings, folds are pooled to one result a setting, and validation selects the winners."""

import numpy as np
import pandas as pd
import pytest

from analysis.settings import FOLD, comparable_settings, gap_notes, look_at, pick, pick_self_supervised, pooled_folds
from analysis.stats.claims import GROWN, INTERIM, PLANNED
from analysis.stats.clips import correct_clips, correct_of_settings, independent_clips_of_runs, sample_notes
from analysis.stats.clusters import clusters_of
from analysis.stats.intervals import interval_over_seeds, wilson_interval
from study import names
from support.fabricated_trials import TEST_CLIPS, FakeTrials


def test_the_winner_is_selected_on_validation_and_not_on_test(fakes):
    fakes.add(1.0, val=0.50, correct=50)
    fakes.add(0.5, val=0.60, correct=55)
    fakes.add(0.3, val=0.59, correct=95)
    pair = pick(fakes.settings())
    assert (pair.acl["alpha"], pair.acl["accuracy"], len(pair.others)) == (0.5, 0.55, 2)
    assert pair.baseline["accuracy"] == 0.5


def test_seeds_are_averaged_before_picking(fakes):
    for seed, val in enumerate((0.5, 0.6, 0.7)):
        fakes.add(0.5, val=val, correct=50 + 10 * seed, seed=seed)
        fakes.add(0.3, val=[0.1, 0.1, 0.9][seed], correct=90, seed=seed)
    settings = fakes.settings()
    winner = pick(settings).acl
    assert (winner["alpha"], winner["seeds"], winner["accuracy"]) == (0.5, 3, pytest.approx(0.6))
    assert winner["seed_sd"] == pytest.approx(0.1)
    assert (winner["low"], winner["high"]) == pytest.approx(interval_over_seeds([0.5, 0.6, 0.7], 100))
    assert pick(settings).baseline is None


def test_a_setting_that_lost_a_seed_is_shown_and_no_candidate(fakes):
    for seed in (0, 1):
        for alpha, val in ((1.0, 0.5), (0.5, 0.6), (0.3, 0.9)):
            if (alpha, seed) != (0.3, 1):
                fakes.add(alpha, val=val, correct=50, seed=seed)
    fakes.add(0.4, val=0.7, correct=50, sweep="other")  # of a sweep with one seed: it has lost nothing
    fakes.add(0.1, val=0.2, correct=50, data__subset="clean")  # another subset, which as a whole has one seed
    settings, notes = comparable_settings(fakes.trials, fakes.predictions)
    assert settings.set_index("alpha")["candidate"].to_dict() == {1.0: True, 0.5: True, 0.3: False, 0.4: True, 0.1: True}
    pair = pick(settings[settings["subset"] == "all"])
    assert (pair.acl["alpha"], len(pair.others)) == (0.4, 2)
    assert notes[0].startswith("1 supervised setting (mine) finished with fewer seeds than others of the same sweep.")


def test_a_seed_that_another_study_has_too_is_not_lost(fakes):
    for alpha in (1.0, 0.5):
        fakes.add(alpha, val=0.5, correct=50)
    fakes.add(1.0, val=0.5, correct=50, study="control")  # the same trial again, of which the latest counts
    for seed in range(1, 4):
        fakes.add(1.0, val=0.5, correct=50, seed=seed, study="control")
    settings, _ = comparable_settings(fakes.trials, fakes.predictions)
    assert settings["candidate"].all()


def test_a_tie_goes_to_the_larger_alpha(fakes):
    for alpha in (0.2, 0.7, 0.4):
        fakes.add(alpha, val=0.6, correct=50)
    assert pick(fakes.settings()).acl["alpha"] == 0.7


def test_protocols_are_not_pooled_and_the_note_says_what_differs(fakes):
    fakes.add(1.0, val=0.5, correct=50, optim__epochs=99)
    fakes.add(0.5, val=0.5, correct=50, optim__epochs=99)
    fakes.add(0.4, val=0.9, correct=90, optim__epochs=3)
    settings, notes = comparable_settings(fakes.trials, fakes.predictions)
    assert settings["alpha"].tolist() == [0.5, 1.0]
    assert notes == [
        "1 supervised trials (mine) of another protocol are left out of the tables; those "
        "shown, the largest group, have optim.epochs 99."
    ]


def test_one_corpus_under_several_paths_is_pooled(fakes):
    fakes.add(1.0, val=0.5, correct=50, data__root="/here", compute__device="cpu", compute__threads=0)
    fakes.add(0.5, val=0.5, correct=50, data__root="/there", compute__device="cpu", compute__threads=0)
    fakes.add(0.4, val=0.5, correct=50, data__root="/there", compute__device="cuda", compute__threads=2)
    assert fakes.settings()["alpha"].tolist() == [0.4, 0.5, 1.0]


def test_precision_is_protocol(fakes):
    fakes.add(1.0, val=0.5, correct=50, compute__precision="fp32")
    fakes.add(0.5, val=0.5, correct=50, compute__precision="bf16")
    _, notes = comparable_settings(fakes.trials, fakes.predictions)
    assert notes[0].endswith("have compute.precision bf16.")


def test_validation_accuracy_has_the_interval_of_its_own_clips(fakes):
    fakes.add(0.5, val=0.6, correct=80)
    (setting,) = fakes.settings().to_dict("records")
    assert (setting["val_low"], setting["val_high"]) == pytest.approx(wilson_interval(0.6, 40))
    assert (setting["low"], setting["high"]) == pytest.approx(wilson_interval(0.8, 100))


def test_corpora_are_protocols_too(fakes):
    fakes.add(1.0, val=0.5, correct=50, corpus="synthetic")
    fakes.add(0.5, val=0.5, correct=50, corpus="synthetic")
    fakes.add(0.4, val=0.9, correct=90)
    settings, notes = comparable_settings(fakes.trials, fakes.predictions)
    assert len(settings) == 2
    assert notes[0].endswith("have corpus synthetic.")


def test_pretraining_subsets_are_protocols_and_not_settings(fakes):
    for subset in ("all", "noisy"):
        fakes.add(1.0, val=0.5, correct=50, data__subset=subset)
        fakes.add(1.0, val=0.5, correct=50, mode="self-supervised", data__subset=subset)
    settings, notes = comparable_settings(fakes.trials, fakes.predictions)
    assert settings.groupby("mode").size().to_dict() == {"supervised": 2, "self-supervised": 1}
    assert len(notes) == 1


def test_a_repeated_trial_counts_once_and_the_latest_counts(fakes):
    fakes.add(0.5, val=0.5, correct=50)
    fakes.add(0.5, val=0.6, correct=60)
    settings, notes = comparable_settings(fakes.trials, fakes.predictions)
    assert (settings["seeds"].tolist(), settings["accuracy"].tolist()) == ([1], [0.6])
    assert notes == ["1 supervised trials repeat a setting with the same seed; the latest of each counts."]


def test_baselines_with_different_margins_are_the_same_setting(fakes):
    fakes.add(1.0, val=0.5, correct=50, loss__margin=0.1, seed=0)
    fakes.add(1.0, val=0.5, correct=60, loss__margin=0.9, seed=1)
    settings = fakes.settings()
    assert settings["seeds"].tolist() == [2]
    assert settings["margin"].isna().all()


def test_trials_without_test_results_are_no_settings(fakes):
    fakes.add(1.0, val=0.5, correct=50)
    fakes.add(0.5, val=0.9, correct=90, outcome=names.STOPPED)
    assert fakes.settings()["alpha"].tolist() == [1.0]


@pytest.mark.parametrize(
    ("temperatures", "expected"),
    [((0.1, 0.2, 0.5), 0.2), ((0.1, 0.5), 0.5)],  # validation grows with the temperature
)
def test_the_self_supervised_pair_shares_one_temperature(fakes, temperatures, expected):
    for temperature in temperatures:
        for alpha in (1.0, 0.3):
            fakes.add(alpha, val=0.3 + temperature, correct=50, mode="self-supervised", loss__temperature=temperature)
    fakes.add(1.0, val=0.99, correct=50, mode="self-supervised", loss__temperature=0.9)  # has no counterpart
    fakes.add(0.3, val=0.99, correct=50, mode="self-supervised", loss__temperature=0.05)  # has no baseline
    pair = pick_self_supervised(fakes.settings())
    assert pair.baseline["temperature"] == pair.acl["temperature"] == expected


def test_changed_and_repeated_trials_are_left_out_with_a_note(fakes):
    fakes.add(1.0, val=0.50, correct=50)
    fakes.add(0.5, val=0.60, correct=55)
    fakes.add(0.3, val=0.90, correct=95, changed_settings=True)
    fakes.add(0.5, val=0.95, correct=99, seed=1, study="mine-confirm", confirms="mine")
    settings, notes = comparable_settings(fakes.trials, fakes.predictions)
    assert settings["seeds"].tolist() == [1, 1]
    assert pick(settings).acl["accuracy"] == 0.55
    assert any("population-based training" in note for note in notes)
    assert any("1 trials (mine-confirm) repeat winners" in note for note in notes)


def test_correct_clips_of_several_settings_are_those_of_each(fakes):
    for seed in range(4):
        fakes.add(alpha=0.5, val=0.5, correct=40 + seed, seed=seed)
    predictions = fakes.predictions
    settings = [("run001", "run000"), ("run002",), ("run003",), ("absent",)]
    other_clips = (predictions["run_id"] == "run003") & (predictions["split"] == "test")
    for frame in (predictions, predictions.assign(clip=predictions["clip"].mask(other_clips, "x" + predictions["clip"]))):
        for found, run_ids in zip(correct_of_settings(frame, settings[:3]), settings, strict=False):
            pd.testing.assert_frame_equal(found, correct_clips(frame, run_ids))
        assert correct_of_settings(frame, settings)[3].shape[1] == 0


@pytest.fixture
def crossed(fakes: FakeTrials) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Two alphas on two folds of 100 clips; the test clips of a fold are its own, 10 validation clips are of both."""
    for fold in (1, 2):
        for alpha, correct in ((1.0, 40), (0.5, 60)):
            fakes.add(alpha, val=0.5 + fold / 10, correct=correct + fold, **{FOLD: fold, "noise.rate": 0.0})
    trials, predictions = fakes.trials, fakes.predictions
    fold = predictions["run_id"].map(trials.set_index("run_id")[FOLD])
    own = (predictions["split"] == "test") | ~predictions["clip"].isin([f"{clip}.wav" for clip in range(10)])
    predictions["clip"] = np.where(own, fold.astype(str) + "-" + predictions["clip"], predictions["clip"])
    return trials, predictions


def test_a_setting_on_all_folds_is_one_result_over_all_clips(crossed: tuple[pd.DataFrame, pd.DataFrame]) -> None:
    results = pooled_folds(*crossed)
    trials, predictions, (note,) = results.trials, results.predictions, results.notes
    assert note.startswith("4 trials that test one fold each count as 2 over the clips of all folds")
    settings, notes = comparable_settings(trials, predictions)
    assert notes == []
    tested = crossed[1][crossed[1]["split"] == "test"]
    clips = tested["clip"].nunique()
    assert settings[["alpha", "seeds", "test_clips"]].values.tolist() == [[0.5, 1, clips], [1.0, 1, clips]]
    right = (tested["label"] == tested["predicted"]).groupby(tested["run_id"]).mean()
    assert settings["accuracy"].tolist() == pytest.approx([right[["run001", "run003"]].mean(), right[["run000", "run002"]].mean()])
    assert settings["val_accuracy"].tolist() == pytest.approx([0.65, 0.65])
    rows = predictions.groupby(["run_id", "split", "clip"]).size()
    assert rows.max() == 1  # a clip that validates in two folds counts once


def test_a_setting_that_lacks_a_fold_is_left_out(crossed: tuple[pd.DataFrame, pd.DataFrame]) -> None:
    trials, predictions = crossed
    trials.loc[trials["run_id"] == "run003", "outcome"] = names.FAILED
    results = pooled_folds(trials, predictions)
    pooled, notes = results.trials, results.notes
    assert pooled.loc[pooled["outcome"] == names.FINISHED, "run_id"].tolist() == ["run000"]
    assert notes[1] == "1 trials of settings that have not finished on all folds are left out where settings are compared."


def test_one_fold_alone_stays_as_it_is(crossed: tuple[pd.DataFrame, pd.DataFrame]) -> None:
    trials = crossed[0][crossed[0][FOLD] == 1]
    assert pooled_folds(trials, crossed[1]).trials is trials


def test_recordings_and_folds_reach_the_comparison(crossed: tuple[pd.DataFrame, pd.DataFrame]) -> None:
    trials, predictions = crossed
    predictions["recording"] = predictions["clip"].str.replace(r"\d\.wav$", "", regex=True)  # ten clips of one recording
    (note,) = sample_notes(predictions)
    assert note.startswith("The 200 test clips are of 20 recordings.")
    pooled = pooled_folds(trials, predictions).predictions
    correct = correct_clips(pooled, ("run000",))
    assert clusters_of(correct.index).words == "200 test clips of 20 recordings"
    assert clusters_of(correct.index, by_fold=True).words == "200 test clips in 2 folds"
    settings, _ = comparable_settings(*(trials[trials[FOLD] == 1], predictions[predictions["run_id"].isin(["run000", "run001"])]))
    plain, _ = comparable_settings(trials[trials[FOLD] == 1], crossed[1].drop(columns="recording"))
    assert (settings["high"] - settings["low"]).min() > (plain["high"] - plain["low"]).max()


def add_seeds(fakes: FakeTrials, study: str, seeds: range, **columns: object) -> None:
    """Trials of both sides; the setting is 8 points better, but for chance."""
    for seed in seeds:
        for alpha, share in ((1.0, 0.5), (0.5, 0.58)):
            right = np.random.default_rng(int(1000 * alpha) + seed).random(TEST_CLIPS) < share
            fakes.add(alpha, val=alpha, correct=right, seed=seed, study=study, **columns)


def test_a_study_that_goes_on_claims_only_the_evident(fakes: FakeTrials) -> None:
    add_seeds(fakes, "mine", range(3), study_is_open=True)
    pair = pick(comparable_settings(fakes.trials, fakes.predictions)[0])
    assert look_at(pair.baselines, pair.others) == INTERIM
    claim = pair.claim(fakes.predictions)
    assert "; the study is not complete, so a claim takes p < 0.001 (here p = " in claim.verdict
    assert np.isnan(claim.resolvable)


def test_seeds_that_another_study_adds_are_a_second_look(fakes: FakeTrials) -> None:
    add_seeds(fakes, "mine", range(3))
    pair = pick(comparable_settings(fakes.trials, fakes.predictions)[0])
    assert look_at(pair.baselines, pair.others) == PLANNED
    add_seeds(fakes, "more", range(3, 18))
    pair = pick(comparable_settings(fakes.trials, fakes.predictions)[0])
    assert look_at(pair.baselines, pair.others) == GROWN
    claim = pair.claim(fakes.predictions)
    assert 0.001 < claim.settings.p_value < 0.05
    assert claim.finding == "not distinguishable"
    assert "seeds or settings were added after a first comparison, so a claim takes p < 0.001" in claim.verdict


def test_studies_that_complete_each_other_are_one_look(fakes: FakeTrials) -> None:
    add_seeds(fakes, "mine", range(2))
    add_seeds(fakes, "more", range(2, 4))
    pair = pick(comparable_settings(fakes.trials, fakes.predictions)[0])
    assert look_at(pair.baselines, pair.others) == PLANNED


def test_validation_far_above_test_is_noted(fakes: FakeTrials) -> None:
    fakes.add(1.0, val=0.55, correct=50)
    assert gap_notes(fakes.settings()) == []
    fakes.add(0.5, val=0.95, correct=41)
    (note,) = gap_notes(fakes.settings())
    assert note.startswith("Validation accuracy lies far above test accuracy in 1 setting, e.g. 95.0 against 41.0 %.")


def test_more_seeds_do_not_pretend_to_know_recordings_better(fakes: FakeTrials) -> None:
    """The clips' means over all seeds count: the largest number of any seed would make the interval too narrow."""
    generator = np.random.default_rng(0)
    recordings = np.repeat(np.arange(10), TEST_CLIPS // 10)
    for seed in range(6):
        right = generator.random(10)[recordings] + 0.3 * generator.random(TEST_CLIPS) < 0.8
        fakes.add(1.0, val=0.5, correct=right, seed=seed)
    predictions = fakes.predictions
    tested = predictions["split"] == "test"
    predictions["recording"] = predictions["clip"].where(
        ~tested, "r" + predictions.groupby("run_id").cumcount().floordiv(10).astype(str)
    )
    of_runs = independent_clips_of_runs(predictions, "test")
    (together,) = independent_clips_of_runs(predictions, "test", pd.Series(0, index=of_runs.index))
    assert together < of_runs.max()
    settings, _ = comparable_settings(fakes.trials, predictions)
    shares = [fakes.trials[names.TEST_ACCURACY].tolist(), together]
    assert (settings["low"][0], settings["high"][0]) == pytest.approx(interval_over_seeds(*shares))
