"""The mirror on real stores: complete and once, whenever it was killed, and patient with a store that is locked or gone."""

import contextlib
import json
import os
import signal
import socket
import sqlite3
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import mlflow
import pytest
from mlflow.entities import Run

from acl.provenance import PROVENANCE_FILE
from study import journal as events
from study import record_names as names
from study.journal import Journal
from study.launched import MIRRORED_FILE, mirrored
from study.mirror import Mirror
from study.records import StudyRecord
from study.sweep import Sweep
from study.trial import state_folder
from toy_study import new_record

SWEEP = Sweep.model_validate(
    {"name": "s", "base": {"mode": "supervised", "data.root": "corpus"}, "space": {"loss.alpha": {"grid": [1.0, 0.5]}}}
)


@pytest.fixture(scope="module")
def store_uri(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A store with its schema, which takes seconds to create."""
    uri = f"sqlite:///{tmp_path_factory.mktemp('store') / 'mlflow.db'}"
    new_record(uri, "first")
    return uri


class Sides:
    """A study's journal on one side, its record on the other."""

    def __init__(self, folder: Path, store_uri: str) -> None:
        self.folder = folder
        self.journal = Journal(folder / "s")
        self.record = new_record(store_uri, folder.name)
        self.said: list[str] = []

    def note(self, mirror: Mirror | None, event: str, **content: Any) -> None:
        entry = self.journal.append(event, **content)
        if mirror is not None:
            mirror.add("s", entry)

    def happen(self, mirror: Mirror | None = None) -> None:
        """A trial that finishes, one that is lost, fails and is taken up again, one that has just begun."""
        self.note(mirror, events.LAUNCH, resources={})
        for number, name in enumerate(("s-0000", "s-0001", "s-0002")):
            folder = state_folder(self.folder / "s", name)
            folder.mkdir(parents=True)
            (folder / names.PREDICTIONS_FILE).write_text(f"clip\n{name}\n")
            self.note(mirror, events.TRIAL, trial=name, number=number, point={"loss.alpha": 0.5, "seed": number})
        for epoch in (1, 2, 3):
            for name in ("s-0000", "s-0001"):
                metrics = {names.TRAIN_LOSS: 1 / epoch, names.EPOCH_SECONDS: 1.0}
                self.note(mirror, events.EPOCH, trial=name, epoch=epoch, is_last=epoch == 3, rung=True, metrics=metrics)
            if epoch == 1:
                self.note(mirror, events.LOST, trial="s-0001", reason="killed")
        self.note(mirror, events.END, trial="s-0000", outcome=names.FINISHED, reason=None)
        self.note(mirror, events.END, trial="s-0001", outcome=names.FAILED, reason="diverged")
        self.journal.close()

    def mirror(self) -> Mirror:
        """What a new launch mirrors with."""
        self.record = StudyRecord(self.record.store_uri, self.record.study, self.record.key)
        return Mirror(self.record, self.folder, {"s": (SWEEP, self.journal)}, self.said.append)

    def runs(self) -> list[Run]:
        client = mlflow.MlflowClient(self.record.store_uri)
        experiment = client.get_experiment_by_name(names.EXPERIMENT)
        assert experiment is not None
        return list(client.search_runs([experiment.experiment_id], f"tags.`mlflow.parentRunId` = '{self.record.parent_run_id}'"))

    def recorded(self) -> dict[str, Any]:
        """Everything that the store has of each trial, without times and ids."""
        client = mlflow.MlflowClient(self.record.store_uri)
        found = {}
        for run in self.runs():
            history = client.get_metric_history(run.info.run_id, names.TRAIN_LOSS)
            of_study = (names.STUDY, names.STUDY_RUN)
            tags = {key: value for key, value in run.data.tags.items() if key.startswith("acl_study.") and key not in of_study}
            name = run.data.tags[names.TRIAL_ID]
            assert name not in found, f"{name} is there twice"
            steps = sorted((metric.step, metric.value) for metric in history)
            artifacts = sorted(artifact.path for artifact in client.list_artifacts(run.info.run_id))
            found[name] = (run.info.status, run.data.params, tags, steps, artifacts)
        return found


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
    assert mirrored(sides.folder) == {"s": len(sides.journal.events)}
    assert sides.said == []
    return sides.recorded()


def test_everything_is_there_once_with_its_status(expected: dict[str, Any]) -> None:
    finished, failed, running = (expected[name] for name in ("s-0000", "s-0001", "s-0002"))
    assert [finished[0], failed[0], running[0]] == ["FINISHED", "FAILED", "KILLED"]
    assert finished[3] == failed[3] == [(1, 1.0), (2, 0.5), (3, pytest.approx(1 / 3))]
    assert failed[2][names.REASON] == "diverged"
    assert finished[4] == [names.CONFIG_FILE, names.PREDICTIONS_FILE]


class _KilledError(BaseException):
    """What stands for the death of the process: nothing handles it."""


def test_a_mirror_that_is_killed_at_any_write_is_replayed_without_doubles_or_losses(
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
def test_a_count_that_is_broken_or_beyond_the_journal_has_everything_compared_anew(
    content: str, sides: Sides, expected: dict[str, Any]
) -> None:
    sides.happen()
    (sides.folder / MIRRORED_FILE).write_text(content.replace("RUN", json.dumps(sides.record.parent_run_id)))
    assert sides.mirror().close(complete=False)
    assert sides.recorded() == expected
    assert mirrored(sides.folder) == {"s": len(sides.journal.events)}


def test_a_run_that_somebody_deleted_is_refused_and_the_others_go_on(sides: Sides, expected: dict[str, Any]) -> None:
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


def test_a_run_that_was_deleted_between_two_launches_and_damaged_provenance_cost_no_other_record(
    sides: Sides, expected: dict[str, Any]
) -> None:
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

    def failing(record: StudyRecord, trial: str, epochs: Any) -> None:
        if trial == "s-0000":
            raise ZeroDivisionError("oh")
        log_epochs(record, trial, epochs)

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


def test_a_launch_ends_without_records_where_its_study_run_vanishes(sides: Sides) -> None:
    mirror = sides.mirror()
    sides.happen(mirror)
    deadline = time.monotonic() + 60
    while mirrored(sides.folder) != {"s": len(sides.journal.events)}:
        assert time.monotonic() < deadline
        time.sleep(0.05)
    mlflow.MlflowClient(sides.record.store_uri).delete_run(sides.record.parent_run_id)
    assert not mirror.close(complete=False)
    assert sides.said[-1].startswith(f"MLflow refuses a record of {sides.record.study}: ")


def wait_for_line(sides: Sides, start: str, seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
    while not any(line.startswith(start) for line in sides.said):
        assert time.monotonic() < deadline, sides.said
        time.sleep(0.05)


@pytest.mark.slow
def test_a_locked_store_is_waited_for(sides: Sides, expected: dict[str, Any]) -> None:
    mirror = sides.mirror()
    lock = sqlite3.connect(sides.record.store_uri.removeprefix("sqlite:///"), isolation_level=None)
    lock.execute("BEGIN EXCLUSIVE")
    started = time.monotonic()
    sides.happen(mirror)
    assert time.monotonic() - started < 1  # nobody who reports waits for the store
    wait_for_line(sides, "the MLflow store does not answer")
    lock.execute("ROLLBACK")
    lock.close()
    assert mirror.close(complete=False)
    assert len(sides.said) == 2
    assert sides.said[1] == "the MLflow store answers again"
    assert sides.recorded() == expected


@contextlib.contextmanager
def server(folder: Path, port: int) -> Iterator[None]:
    """A tracking server, which is killed in the end."""
    backend = ["--backend-store-uri", f"sqlite:///{folder / 'server.db'}", "--artifacts-destination", str(folder / "artifacts")]
    process = subprocess.Popen(
        [sys.executable, "-m", "mlflow", "server", *backend, "--host", "127.0.0.1", "--port", str(port), "--workers", "1"],
        env=os.environ | {"MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false", "PYTHONWARNINGS": "ignore"},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        deadline = time.monotonic() + 90
        while True:
            with contextlib.suppress(OSError), urllib.request.urlopen(f"http://127.0.0.1:{port}/health", timeout=5):
                break
            assert time.monotonic() < deadline
            assert process.poll() is None
            time.sleep(0.2)
        yield
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


@pytest.mark.slow
def test_a_server_that_is_killed_and_comes_back_has_everything_once(tmp_path: Path, expected: dict[str, Any]) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with server(tmp_path, port):
        sides = Sides(tmp_path / "study", f"http://127.0.0.1:{port}")
        mirror = sides.mirror()
    sides.happen(mirror)
    wait_for_line(sides, "the MLflow store does not answer")
    assert not mirror.close(complete=False, patience=0.5)  # a launch may end without its records
    mirror = Mirror(sides.record, sides.folder, {"s": (SWEEP, sides.journal)}, sides.said.append)
    with server(tmp_path, port):
        wait_for_line(sides, "the MLflow store answers again")
        assert mirror.close(complete=False)
        assert sides.recorded() == expected
