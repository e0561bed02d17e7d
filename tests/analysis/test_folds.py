"""Cross-validation: folds are pooled to one result a setting; and what reports say of corpora that are not the paper's."""

import numpy as np
import pandas as pd
import pytest

from analysis.records.runs import load_trials
from analysis.report.assemble import read_sections
from analysis.sections.noise import noise_sections, noise_table
from analysis.settings import FOLD, comparable_settings, pooled_folds
from study import names
from support.fabricated_trials import FakeRecords, FakeTrials


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
    trials, predictions, (note,) = pooled_folds(*crossed)
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
    pooled, _, notes = pooled_folds(trials, predictions)
    assert pooled.loc[pooled["outcome"] == names.FINISHED, "run_id"].tolist() == ["run000"]
    assert notes[1] == "1 trials of settings that have not finished on all folds are left out where settings are compared."


def test_one_fold_alone_stays_as_it_is(crossed: tuple[pd.DataFrame, pd.DataFrame]) -> None:
    trials = crossed[0][crossed[0][FOLD] == 1]
    assert pooled_folds(trials, crossed[1])[0] is trials


def test_baseline_and_winner_are_compared_at_each_rate_of_noise(fakes: FakeTrials) -> None:
    for rate, kind, accuracies in (
        (0.0, "symmetric", (50, 60)),
        (0.4, "symmetric", (30, 50)),
        (0.4, "out-of-vocabulary", (40, 45)),
    ):
        for alpha, correct in zip((1.0, 0.5), accuracies, strict=True):
            fakes.add(alpha, val=0.5, correct=correct, **{"noise.rate": rate, "noise.kind": kind})
    table = noise_table(fakes.trials, fakes.predictions)
    clips = table["test_clips"].iloc[0]
    assert table[["kind", "rate"]].values.tolist() == [
        ["out-of-vocabulary", 0.0],
        ["out-of-vocabulary", 0.4],
        ["symmetric", 0.0],
        ["symmetric", 0.4],
    ]
    assert (clips * table["baseline_accuracy"]).round().tolist() == [50, 40, 50, 30]
    assert (clips * table["difference"]).round().tolist() == [10, 5, 10, 20]
    assert noise_table(fakes.trials[fakes.trials["noise.rate"] == 0], fakes.predictions).empty
    (section,) = noise_sections(fakes.trials, fakes.predictions)
    assert [row[3].text for row in section.rows] == ["0.0", "40.0", "0.0", "40.0"]


def test_a_corpus_without_parts_has_one_row_in_table_1(records: FakeRecords) -> None:
    study = records.study("pets", corpus="ESC-50", departures="", subsets="all")
    for alpha, correct in ((1.0, 50), (0.5, 60)):
        records.trial(study, alpha=alpha, correct=correct, **{"data.subset": "all"})
    reading = read_sections(records.uri, ["pets"])
    table1 = next(section for section in reading.sections if section.anchor == "table1")
    assert table1.frame["subset"].tolist() == ["all"]
    assert table1.text.startswith("This corpus has no clean and noisy parts, so there is one row, of all training clips.")
    assert not any("ours − published" in column.title for column in table1.columns)


def test_records_of_versions_without_noise_are_of_the_same_protocol(records: FakeRecords) -> None:
    study = records.study("mine")
    records.trial(study, alpha=1.0)
    records.trial(study, alpha=0.5, **{"noise.rate": 0.0, "noise.kind": "symmetric", FOLD: 0})
    trials = load_trials(records.uri, ["mine"])
    assert trials[["noise.rate", "noise.kind", FOLD]].drop_duplicates().values.tolist() == [[0.0, "symmetric", 0]]
    assert read_sections(records.uri, ["mine"]).notes == []
