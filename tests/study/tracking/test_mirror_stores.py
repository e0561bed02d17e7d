"""The mirror is patient with a store that is locked or gone."""

import sqlite3
import time
from pathlib import Path
from typing import Any

import pytest

from study.tracking.mirror import Mirror
from support.mirrored_study import SWEEP, Sides
from support.tracking_server import free_port, server


@pytest.mark.slow
def test_a_locked_store_is_waited_for(sides: Sides, expected: dict[str, Any]) -> None:
    mirror = sides.mirror()
    lock = sqlite3.connect(sides.record.store_uri.removeprefix("sqlite:///"), isolation_level=None)
    lock.execute("BEGIN EXCLUSIVE")
    started = time.monotonic()
    sides.happen(mirror)
    assert time.monotonic() - started < 1  # nobody who reports waits for the store
    sides.wait_for_line("the MLflow store does not answer")
    lock.execute("ROLLBACK")
    lock.close()
    assert mirror.close(complete=False)
    assert len(sides.said) == 2
    assert sides.said[1] == "the MLflow store answers again"
    assert sides.recorded() == expected


@pytest.mark.slow
def test_a_server_that_is_killed_and_comes_back_has_everything_once(tmp_path: Path, expected: dict[str, Any]) -> None:
    place = f"sqlite:///{tmp_path / 'server.db'}", tmp_path / "artifacts", free_port()
    with server(*place) as address:
        sides = Sides(tmp_path / "study", address)
        mirror = sides.mirror()
    sides.happen(mirror)
    sides.wait_for_line("the MLflow store does not answer")
    assert not mirror.close(complete=False, patience=0.5)  # a launch may end without its records
    mirror = Mirror(sides.record, sides.folder, {"s": (SWEEP, sides.journal)}, sides.said.append)
    with server(*place):
        sides.wait_for_line("the MLflow store answers again")
        assert mirror.close(complete=False)
        assert sides.recorded() == expected
