"""The command of `--on-end`, on launches without trials."""

import os
import signal
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from study.errors import StudyError
from study.execution import end_command
from study.execution import launch as launches
from study.execution.end_command import command_at_end
from study.execution.launch import Outcome
from study.execution.preflight import LaunchRequest
from study.spec.study import Study
from study.state.completion import SweepOutcome
from study.state.home import Home
from support.command_line import call
from support.mlflow_records import with_empty_store
from support.studies_without_training import end_study, study_of

Begin = Callable[[], None]


@pytest.fixture(scope="module")
def half(tmp_path_factory: pytest.TempPathFactory, tiny_corpus: Path) -> Home:
    """A home with a study `half` of two trials, one of which has finished."""
    home = Home(with_empty_store(tmp_path_factory.mktemp("half") / "home"))
    sweep = {"base": {"data.root": str(tiny_corpus)}, "space": {"loss.alpha": {"grid": [1.0, 0.5]}}}
    end_study(home, study_of("half", {**sweep, "resources": {"cpus": 1, "gpus": 0}}), lambda settings: (20, 50), trials=1)
    return home


def interrupted(request: LaunchRequest, begin: Begin) -> Outcome:
    begin()
    return Outcome([SweepOutcome("sweep", 1, 0, 0, left=1)], "Ctrl-C", recorded=False)


def with_failed_trials(request: LaunchRequest, begin: Begin) -> Outcome:
    begin()
    return Outcome([SweepOutcome("sweep", 1, 0, 1, left=0)], recorded=False)


def complete(request: LaunchRequest, begin: Begin) -> Outcome:
    begin()
    return Outcome([], recorded=False)


def crashed(request: LaunchRequest, begin: Begin) -> Outcome:
    begin()
    raise OSError("the disk is gone")


def refused(request: LaunchRequest, begin: Begin) -> Outcome:
    raise StudyError("no machine fits its trials")


@pytest.mark.parametrize(
    ("launch", "status", "state"),
    [
        (interrupted, 130, "interrupted"),
        (with_failed_trials, 1, "failed"),
        (complete, 1, "complete"),  # status 1, since the records cannot be shown
        (crashed, 1, "failed"),
        (refused, 1, None),
    ],
)
def test_it_runs_once_however_the_launch_ended(
    half: Home, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, launch: Callable[..., Outcome], status: int, state: str | None
) -> None:
    monkeypatch.setattr(launches, "launch", launch)
    said = tmp_path / "said"
    command = f"env | grep ^ACL_STUDY_ | grep -v CACHE | sort >> {said}; exit 3"
    assert call(monkeypatch, "resume", "half", "--home", str(half.root), "--on-end", command) == status
    if state is None:
        assert not said.exists()
        return
    counts = {"FAILED": 0, "FINISHED": 1, "HOME": half.root, "LEFT": 1, "NAME": "half", "STATE": state, "STOPPED": 0, "TRIALS": 2}
    assert said.read_text().splitlines() == [f"ACL_STUDY_{name}={value}" for name, value in counts.items()]


def launched(home: Home, study: Study, command: str) -> None:
    with command_at_end(command, study, home) as end:
        end.begin()


def press_ctrl_c_soon() -> None:
    threading.Timer(0.3, os.kill, (os.getpid(), signal.SIGINT)).start()


@pytest.mark.parametrize(
    ("command", "meanwhile", "line"),
    [
        ("exit 3", None, "ended with status 3"),
        ("no-such-program 2> /dev/null", None, "was not found"),
        ("sleep 60 & sleep 60", None, "ran longer than 1 s and was ended"),
        ("sleep 60 & sleep 60", press_ctrl_c_soon, "was ended by SIGINT"),
        ("x" * 300_000, None, "was not run"),
    ],
)
def test_its_failure_is_a_line(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
    command: str,
    meanwhile: Callable[[], None] | None,
    line: str,
) -> None:
    monkeypatch.setattr(end_command, "LIMIT_SECONDS", 1.0)
    began = time.monotonic()
    if meanwhile:
        meanwhile()
    launched(Home(tmp_path), study_of("new", {"space": {"loss.alpha": {"grid": [1.0]}}}), command)
    assert time.monotonic() - began < 10
    error = capfd.readouterr().err
    assert error.startswith(f"--on-end: the command {line}")
    assert error.count("\n") == 1
