"""Damaged files of runs and of the cache: each is read, left out, or refused in a line."""

import hashlib
from pathlib import Path

import pandas as pd
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from analysis.errors import AnalysisError
from analysis.records import cache
from analysis.records.predictions import prediction_rows
from analysis.records.provenance import load_launched
from analysis.records.store import Store
from analysis.report.assemble import unfillable_sections
from analysis.sections.records import _spaces as spaces
from study import names
from support.fabricated_trials import FakeRecords
from support.hostile_inputs import changed, damaged, examples, readable, replaced

STUDY = {
    "name": "s",
    "sweeps": [
        {
            "name": "sweep",
            "base": {"mode": "supervised", "data.subset": "clean"},
            "enqueue": [{"loss.alpha": 1.0}],
            "space": {"loss.alpha": {"grid": [0.5, 1.0]}, "loss.margin": {"uniform": [0.1, 1.0], "when": {"loss.alpha": [0.5]}}},
            "seeds": [0],
            "scheduler": {"name": "asha"},
            "budget": {"trials": 3},
        }
    ],
}


@pytest.fixture(scope="module")
def records(tmp_path_factory: pytest.TempPathFactory) -> FakeRecords:
    """A study with its file, and a trial."""
    records = FakeRecords(tmp_path_factory.mktemp("records"))
    study = records.study("s")
    records.client.log_text(study, yaml.safe_dump(STUDY), names.STUDY_FILE)
    records.trial(study, alpha=1.0)
    return records


def runs(records: FakeRecords) -> tuple[str, str]:
    """Run ids of the study and of its trial."""
    (study,) = records.studies
    (trial,) = [run.info.run_id for run in records.client.search_runs([records.experiment]) if run.info.run_id != study]
    return study, trial


def artifact(records: FakeRecords, run_id: str, name: str) -> Path:
    return Path(records.client.get_run(run_id).info.artifact_uri.removeprefix("file://")) / name


@examples(10)
@given(data=st.data())
def test_damaged_predictions(records: FakeRecords, data: st.DataObject) -> None:
    _, trial = runs(records)
    path, store = artifact(records, trial, names.PREDICTIONS_FILE), Store(records.uri)
    whole = path.read_bytes()
    replaced(path, data.draw(damaged(whole)))
    try:
        rows = prediction_rows(store, [trial], names.EVALUATION_CLASSIFIER)
        assert min([1, *rows[names.PREDICTION_PATCHES].to_pylist()]) == 1
    except AnalysisError as error:
        readable(str(error), most_lines=1)
    finally:
        replaced(path, whole)


@examples(10)
@given(data=st.data())
def test_a_study_file_that_says_something_else(records: FakeRecords, data: st.DataObject) -> None:
    study, _ = runs(records)
    path = artifact(records, study, names.STUDY_FILE)
    whole = path.read_bytes()
    other = changed(STUDY).map(lambda content: yaml.safe_dump(content).encode())
    replaced(path, data.draw(damaged(whole) | other | st.just(b"[" * 3000)))
    try:
        found = load_launched(records.uri, [study])
        assert all(
            isinstance(line, str)
            for line in spaces([run for run in found.assign(study="s").to_dict("records") if run["sweeps"]], pd.DataFrame())
        )
        assert isinstance(unfillable_sections(found, pd.DataFrame()), set)
    finally:
        replaced(path, whole)


@examples(10)
@given(data=st.data())
def test_a_damaged_cache_is_read_anew(records: FakeRecords, data: st.DataObject) -> None:
    _, trial = runs(records)
    store = Store(records.uri)
    expected = prediction_rows(store, [trial], names.EVALUATION_CLASSIFIER)
    (path,) = [each for each in cache.folder().glob("predictions-*.rows") if trial.encode() in each.read_bytes()]
    content = data.draw(damaged(path.read_bytes()))
    replaced(path, data.draw(st.sampled_from((content, hashlib.sha256(content[32:]).digest() + content[32:]))))
    found = prediction_rows(store, [trial], names.EVALUATION_CLASSIFIER)
    assert found.column_names == expected.column_names
