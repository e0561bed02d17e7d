"""The mirror on real stores: complete and without doubles after every kill, and patient with a locked or absent store."""

import contextlib
import json
import sqlite3
import time
from pathlib import Path
from typing import Any

import mlflow
import pytest

from acl.provenance import PROVENANCE_FILE
from study import names
from study.state import journal as events
from study.state.home import state_folder
from study.state.study_folder import MIRRORED_FILE, mirrored
from study.tracking.mirror import Mirror
from study.tracking.writer import StudyRecord
from support.mirrored_study import SWEEP, Sides
from support.tracking_server import free_port, server


def test_everything_is_there_once_with_its_status(expected: dict[str, Any]) -> None:
    finished, failed, running = (expected[name] for name in ("s-0000", "s-0001", "s-0002"))
    assert [finished[0], failed[0], running[0]] == ["FINISHED", "FAILED", "KILLED"]
    assert finished[3] == failed[3] == [(1, 1.0), (2, 0.5), (3, pytest.approx(1 / 3))]
    assert failed[2][names.REASON] == "diverged"
    assert finished[4] == [names.CONFIG_FILE, names.PREDICTIONS_FILE]


class _KilledError(BaseException):
    """What stands for the death of the process: nothing handles it."""


def test_a_mirror_killed_at_any_write_is_replayed_exactly(
    tmp_path: Path, store_uri: str, expected: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    writes = ("create_run", "log_batch", "log_dict", "log_artifact", "update_run", "set_terminated", "delete_tag")
    left: list[int] = []

    def dying(write: Any) -> Any:
        def call(*args: Any, **kwargs: Any) -> Any:
            result = write(*args, **kwargs)
            left[:] = [count - 1 for count in left]
            if left == [0]:
                raise _KilledError
            return result

        return call

    for write in writes:
        monkeypatch.setattr(mlflow.MlflowClient, write, dying(getattr(mlflow.MlflowClient, write)))
    kills = 0
    for moment in range(1, 40, 3):
        sides = Sides(tmp_path / str(moment), store_uri)
        sides.happen()
        mirror = sides.mirror()
        left[:] = [moment]
        with contextlib.suppress(_KilledError):
            mirror.close(complete=False)
        kills += left == [0]
        left[:] = []
        assert sides.mirror().close(complete=False)
        assert sides.recorded() == expected, moment
    assert kills >= 5


@pytest.mark.parametrize(
    "content",
    ["", '{"run": ', "[3]", '{"run": RUN, "events": {"s": 99}}', '{"run": RUN, "events": {"s": "many"}}', '{"s": 3}', "7"],
)
def test_a_wrong_count_makes_the_mirror_compare_everything(content: str, sides: Sides, expected: dict[str, Any]) -> None:
    sides.happen()
    (sides.folder / MIRRORED_FILE).write_text(content.replace("RUN", json.dumps(sides.record.parent_run_id)))
    assert sides.mirror().close(complete=False)
    assert sides.recorded() == expected
    assert mirrored(sides.folder / MIRRORED_FILE) == {"s": len(sides.journal.events)}


def test_a_deleted_run_is_refused_and_the_others_go_on(sides: Sides, expected: dict[str, Any]) -> None:
    sides.happen()
    sides.mirror().close(complete=False)
    (deleted,) = [run for run in sides.runs() if run.data.tags[names.TRIAL_ID] == "s-0000"]
    mirror = sides.mirror()
    mlflow.MlflowClient(sides.record.store_uri).delete_run(deleted.info.run_id)
    for name in ("s-0000", "s-0002"):
        metrics = {names.TRAIN_LOSS: 0.1, names.EPOCH_SECONDS: 1.0}
        sides.note(mirror, events.EPOCH, trial=name, epoch=4, is_last=True, rung=True, metrics=metrics)
    assert mirror.close(complete=False)
    sides.journal.close()
    assert [line.partition(":")[0] for line in sides.said] == ["MLflow refuses a record of s-0000"]
    assert sides.recorded()["s-0002"][3] == [(4, 0.1)]
    assert sides.recorded()["s-0001"] == expected["s-0001"]


def test_a_deleted_run_and_damaged_provenance_cost_no_other(sides: Sides, expected: dict[str, Any]) -> None:
    sides.happen()
    assert sides.mirror().close(complete=False)
    (deleted,) = [run for run in sides.runs() if run.data.tags[names.TRIAL_ID] == "s-0000"]
    mlflow.MlflowClient(sides.record.store_uri).delete_run(deleted.info.run_id)
    (state_folder(sides.folder / "s", "s-0002") / PROVENANCE_FILE).write_text('[{"code": ')
    mirror = sides.mirror()
    for epoch, name in ((4, "s-0000"), (4, "s-0002"), (5, "s-0000")):
        metrics = {names.TRAIN_LOSS: 0.1, names.EPOCH_SECONDS: 1.0}
        sides.note(mirror, events.EPOCH, trial=name, epoch=epoch, is_last=True, rung=True, metrics=metrics)
    sides.note(mirror, events.END, trial="s-0002", outcome=names.FINISHED, reason=None)
    sides.journal.close()
    assert mirror.close(complete=True)
    assert sides.said == [
        "MLflow refuses a record of s-0000: s-0000 has no run in the store any more",
        "MLflow refuses a record of s-0002: provenance.json is damaged, its run gets no tags of it",
    ]
    recorded = sides.recorded()
    assert recorded["s-0001"] == expected["s-0001"]
    assert (recorded["s-0002"][0], recorded["s-0002"][3]) == ("FINISHED", [(4, 0.1)])


def test_what_nobody_foresaw_costs_one_record(sides: Sides, monkeypatch: pytest.MonkeyPatch) -> None:
    log_epochs = StudyRecord.log_epochs

    def failing(record: StudyRecord, trial: str, epochs: Any, at: Any) -> None:
        if trial == "s-0000":
            raise ZeroDivisionError("oh")
        log_epochs(record, trial, epochs, at)

    monkeypatch.setattr(StudyRecord, "log_epochs", failing)
    sides.happen()
    assert sides.mirror().close(complete=False)
    assert sides.said == ["MLflow refuses a record of s-0000: unexpected ZeroDivisionError: oh"]
    assert {name: len(found[3]) for name, found in sides.recorded().items()} == {"s-0000": 0, "s-0001": 3, "s-0002": 0}


def test_a_study_whose_run_is_deleted_is_written_anew(sides: Sides, expected: dict[str, Any]) -> None:
    sides.happen()
    assert sides.mirror().close(complete=False)
    mlflow.MlflowClient(sides.record.store_uri).delete_run(sides.record.parent_run_id)
    assert sides.mirror().close(complete=False)
    (line,) = sides.said
    assert line.endswith("any more; it is written anew from the journals")
    assert sides.recorded() == expected


def test_a_launch_ends_unrecorded_where_its_study_run_vanishes(sides: Sides) -> None:
    mirror = sides.mirror()
    sides.happen(mirror)
    deadline = time.monotonic() + 60
    while mirrored(sides.folder / MIRRORED_FILE) != {"s": len(sides.journal.events)}:
        assert time.monotonic() < deadline
        time.sleep(0.05)
    mlflow.MlflowClient(sides.record.store_uri).delete_run(sides.record.parent_run_id)
    assert not mirror.close(complete=False)
    assert sides.said[-1].startswith(f"MLflow refuses a record of {sides.record.study}: ")


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
def test_a_server_that_comes_back_has_everything_once(tmp_path: Path, expected: dict[str, Any]) -> None:
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
