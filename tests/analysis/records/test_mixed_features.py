"""Trials of different features never stand in one table."""

import pytest

from analysis.errors import AnalysisError
from analysis.records.runs import _check_features
from analysis.records.sql import Record
from study import names


def record(trial: str, digest: str, root: str = "/corpus", outcome: str = names.FINISHED) -> Record:
    tags = {names.STUDY: "s", names.TRIAL_ID: trial, names.FEATURES_SHA256: digest, names.OUTCOME: outcome}
    return Record(trial, 0, tags, {"mode": "supervised", "data.root": root})


def test_finished_trials_on_two_states_of_a_corpus_are_refused() -> None:
    same = [record("sweep-0000", "a" * 64), record("sweep-0001", "a" * 64), record("sweep-0002", "")]
    _check_features([*same, record("sweep-0003", "b" * 64, root="/another"), record("sweep-0004", "b" * 64, outcome=names.FAILED)])
    with pytest.raises(
        AnalysisError, match=r"different features of /corpus \(a{12}: 2, e.g. s/sweep-0000; b{12}: 1, e.g. s/sweep-"
    ):
        _check_features([*same, record("sweep-0005", "b" * 64)])
