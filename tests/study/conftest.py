"""Stores, records, and the two sides of a mirror."""

from pathlib import Path
from typing import Any

import pytest

from study import names
from study.state.study_folder import MIRRORED_FILE, mirrored
from study.tracking.writer import StudyRecord
from support.mirrored_study import Sides
from support.mlflow_records import new_record, with_empty_store


@pytest.fixture(scope="module")
def store_uri(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A store with its schema, which takes seconds to create."""
    uri = f"sqlite:///{with_empty_store(tmp_path_factory.mktemp('store')) / 'mlflow.db'}"
    new_record(uri, "first")
    return uri


@pytest.fixture(scope="module")
def record_home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of one store for a whole file: creating its schema takes seconds."""
    return with_empty_store(tmp_path_factory.mktemp("home"))


@pytest.fixture
def record(record_home: Path, request: pytest.FixtureRequest) -> StudyRecord:
    """A study of its own for each test."""
    tags = {names.QUESTION: "Does it help?"}
    return new_record(f"sqlite:///{record_home / 'mlflow.db'}", request.node.name, tags, "name: help\n")


@pytest.fixture
def sides(tmp_path: Path, store_uri: str, request: pytest.FixtureRequest) -> Sides:
    return Sides(tmp_path / request.node.name, store_uri)


@pytest.fixture(scope="module")
def expected(tmp_path_factory: pytest.TempPathFactory, store_uri: str) -> dict[str, Any]:
    """What an uninterrupted mirror writes, event by event."""
    sides = Sides(tmp_path_factory.mktemp("uninterrupted"), store_uri)
    mirror = sides.mirror()
    sides.happen(mirror)
    assert mirror.close(complete=False)
    assert mirrored(sides.folder / MIRRORED_FILE) == {"s": len(sides.journal.events)}
    assert sides.said == []
    return sides.recorded()
