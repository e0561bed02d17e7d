"""Launches that only have records to write: they do so without Ray."""

from pathlib import Path

import mlflow
import pytest
import ray

from study import names
from study.errors import StudyError
from study.execution.launch import Outcome, launch
from study.execution.preflight import preflight
from study.spec.study import Study
from study.state.home import Home
from study.state.study_folder import MIRRORED_FILE
from support.mlflow_records import runs, with_empty_store
from support.studies_without_training import end_study, study_of


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Home:
    """One store for the file: creating its schema takes seconds."""
    return Home(with_empty_store(tmp_path_factory.mktemp("home")))


def ended(home: Home, name: str, corpus: Path) -> Study:
    """A study whose trials have all finished, on a GPU that the machine which writes its records need not have."""
    sweep = {"base": {"data.root": str(corpus)}, "space": {"loss.alpha": {"grid": [1.0, 0.5]}}, "resources": {"cpus": 1, "gpus": 1}}
    study = study_of(name, sweep)
    end_study(home, study, lambda settings: (20, 50))
    return study


def test_what_the_store_did_not_take_is_written_without_ray(home: Home, tiny_corpus: Path) -> None:
    study = ended(home, "late", tiny_corpus)
    (home.study("late") / MIRRORED_FILE).unlink()
    assert launch(preflight(study, home)) == Outcome([])
    assert not ray.is_initialized()
    assert (home.study("late") / MIRRORED_FILE).exists()


def status(home: Home, name: str) -> str:
    (run,) = [run for run in runs(home.root, names.KIND_STUDY) if run.data.tags[names.STUDY] == name]
    return str(run.info.status)


def test_the_run_of_a_complete_study_is_ended_by_the_next_launch(home: Home, tiny_corpus: Path) -> None:
    study = ended(home, "killed", tiny_corpus)
    (run,) = [run for run in runs(home.root, names.KIND_STUDY) if run.data.tags[names.STUDY] == "killed"]
    mlflow.MlflowClient(home.store_uri).update_run(run.info.run_id, status="RUNNING")  # killed before its end
    assert launch(preflight(study, home)).recorded
    assert status(home, "killed") == "FINISHED"


def test_a_first_launch_is_refused_without_an_answering_store(home: Home, tiny_corpus: Path, tmp_path: Path) -> None:
    sweep = {"base": {"data.root": str(tiny_corpus)}, "space": {"loss.alpha": {"grid": [1.0, 0.5]}}}
    (tmp_path / "mlflow.db").write_text(
        "no database at all, and longer than the header that SQLite looks for in the first place" * 9
    )
    with pytest.raises(StudyError, match=r"takes no records .*; mend it, or name another with --store") as caught:
        launch(preflight(study_of("first", sweep), home, store_uri=f"sqlite:///{tmp_path / 'mlflow.db'}"))
    assert "\n" not in str(caught.value)
    assert not ray.is_initialized()
    assert not home.study("first").exists()
