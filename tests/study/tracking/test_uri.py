"""Addresses of stores, and stores that are gone."""

from pathlib import Path

import pytest
from mlflow.exceptions import MlflowException

from study.cli.app import _store_failure
from study.errors import StudyError
from study.state.home import Home, sqlite_path, sqlite_uri
from study.state.study_folder import keep_study
from study.tracking.uri import check_store, existing_store
from support.studies_without_training import study_of

STUDY = study_of("s", {"space": {"loss.alpha": {"grid": [1.0, 0.5]}}})


@pytest.mark.parametrize("sign", ["?", "#", "%25"])
def test_a_folder_that_no_address_can_name_is_refused(sign: str, tmp_path: Path) -> None:
    with pytest.raises(StudyError, match="choose another folder for --home or --store"):
        _ = Home(tmp_path / f"a{sign}b").store_uri
    with pytest.raises(StudyError, match="choose another folder"):
        check_store(f"sqlite:///{tmp_path}/a{sign}b.db")


def test_an_address_leads_back_to_its_file(tmp_path: Path) -> None:
    path = tmp_path / "ä b+c&d" / "mlflow.db"
    assert sqlite_path(sqlite_uri(path)) == path
    assert sqlite_path("http://server:5000") is None


def test_records_that_are_gone_are_told_from_none(tmp_path: Path) -> None:
    home = Home(tmp_path)
    with pytest.raises(StudyError, match="run a study first"):
        existing_store(home, None, ["s"])
    keep_study(home, STUDY)
    with pytest.raises(StudyError, match=r"mlflow.db is gone, the journals of 1 studies are there: `.* resume s --home"):
        existing_store(home, None, ["s"])


def test_an_error_of_mlflow_is_a_line_in_every_command() -> None:
    locked = MlflowException("(raised as a result of Query-invoked autoflush; …) (sqlite3.OperationalError) database is locked")
    assert _store_failure(locked) == "the MLflow store cannot be used: the database is locked by another process"
    newer = MlflowException("Detected out-of-date database schema (found version ffff, but expected abcd)")
    assert "another version of MLflow has written the database" in str(_store_failure(newer))
