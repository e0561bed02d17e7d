"""Locks on files: held by another process, on a file system without locks, and where this user may not write."""

import contextlib
import ctypes
import errno
import fcntl
import json
import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from acl.config import build_config
from acl.system.errors import CheckpointError
from acl.system.locks import LockHeldError, LockNote, only_process, read_note, take_lock
from acl.training.checkpoint import Checkpoints
from study.corpora import _work_folder
from study.errors import StudyError
from study.state.home import Home
from study.state.study_folder import running_process, study_lock
from study.tracking.store import schema_lock

_HOLD = """
import os, sys, time
from pathlib import Path
from acl.system.locks import take_lock
with take_lock(Path(sys.argv[1]), note="held by the other"):
    if "fork" in sys.argv and os.fork() == 0:
        time.sleep(60)
    print(os.getpid(), flush=True)
    sys.stdin.readline()
"""
_WITHOUT_LOCKS = [errno.ENOLCK, errno.EOPNOTSUPP, errno.ENOSYS]


@contextmanager
def other_holder(path: Path, *options: str) -> Iterator["subprocess.Popen[str]"]:
    """Another process, which holds the lock; it is killed in the end."""
    pipes: dict[str, Any] = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    holder = subprocess.Popen([sys.executable, "-c", _HOLD, str(path), *options], start_new_session=True, **pipes)
    assert holder.stdout is not None
    try:
        assert holder.stdout.readline()
        yield holder
    finally:
        os.killpg(holder.pid, 9)
        holder.communicate()


@pytest.fixture(params=_WITHOUT_LOCKS, ids=errno.errorcode.get)
def without_locks(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """A system whose file systems have no locks; the words in which it says so."""

    def refuse(descriptor: Any, operation: int) -> None:
        raise OSError(request.param, os.strerror(request.param))

    monkeypatch.setattr(fcntl, "flock", refuse)
    return os.strerror(request.param)


def test_a_lock_is_held_by_one_process_which_says_who_it_is(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    with other_holder(path) as holder:
        assert read_note(path) == LockNote("held by the other", is_held=True)
        with pytest.raises(LockHeldError, match="another process holds"):
            take_lock(path)
        started = time.monotonic()
        with pytest.raises(LockHeldError):
            take_lock(path, 0.3)
        assert time.monotonic() - started > 0.25
        asked: list[str] = []

        def release(note: str) -> None:
            asked.append(note)
            assert holder.stdin is not None
            holder.stdin.write("end\n")
            holder.stdin.flush()

        with take_lock(path, 20, "mine", on_wait=release):
            assert asked == ["held by the other"]
            assert read_note(path) == LockNote("mine", is_held=True)
    assert read_note(path) is None
    assert path.exists()


@pytest.mark.parametrize("options", [(), ("fork",)], ids=["alone", "with a forked child that lives on"])
def test_a_lock_ends_with_its_process_even_if_that_is_killed(options: tuple[str, ...], tmp_path: Path) -> None:
    path = tmp_path / "lock"
    with other_holder(path, *options) as holder:
        holder.kill()
        with take_lock(path, 20):
            pass


def test_another_thread_may_give_a_lock_back(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    held = contextlib.ExitStack()
    taker = threading.Thread(target=lambda: held.enter_context(take_lock(path)))
    taker.start()
    taker.join()
    with pytest.raises(LockHeldError):
        take_lock(path)
    held.close()
    with take_lock(path):
        pass


def test_any_number_can_look_at_the_same_time(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    with take_lock(path, note="before"):
        pass
    with path.open() as looking:
        fcntl.flock(looking, fcntl.LOCK_SH)
        assert read_note(path) is None


def test_without_locks_it_goes_on_where_the_caller_takes_that(without_locks: str, tmp_path: Path) -> None:
    path, said = tmp_path / "lock", []
    with pytest.raises(OSError, match=without_locks):
        take_lock(path)
    with take_lock(path, note="mine", on_no_locks=said.append):
        assert read_note(path) == LockNote("mine", is_held=False)
    assert read_note(path) is None
    with only_process(path, said.append):
        pass
    with schema_lock(f"sqlite:///{tmp_path / 'mlflow.db'}"):
        pass
    assert said == [
        without_locks,
        f"{tmp_path} is on a file system without locks ({without_locks}): let no other process work there",
    ]


def test_without_locks_a_study_runs_and_says_so_once(without_locks: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    home = Home(tmp_path)
    with study_lock(home, "mine"):
        running = running_process(home, "mine")
        assert running is not None
        assert (running.host, running.pid) == (socket.gethostname(), os.getpid())
    assert running_process(home, "mine") is None
    said = (
        f"{tmp_path} is on a file system without locks ({without_locks}): a second launch of 'mine' cannot be kept out; start none"
    )
    assert capfd.readouterr().err.splitlines() == [said]


def test_without_locks_a_killed_launch_of_this_machine_is_over(without_locks: str, tmp_path: Path) -> None:
    home = Home(tmp_path)
    path = tmp_path / "locks" / "mine"
    path.parent.mkdir()
    path.write_text(json.dumps({"host": "elsewhere", "pid": 1, "since": 1.5}))
    running = running_process(home, "mine")
    assert running is not None
    assert running.host == "elsewhere"
    path.write_text(json.dumps({"host": socket.gethostname(), "pid": 2**22 + 1, "since": 1.5}))  # above all numbers of processes
    assert running_process(home, "mine") is None


def test_without_locks_a_run_warns_and_a_download_says_so(without_locks: str, tmp_path: Path) -> None:
    files = Checkpoints(tmp_path / "run", build_config({"mode": "supervised", "data.root": "x"}), "corpus")
    with pytest.warns(RuntimeWarning, match=f"without locks .{without_locks}.: let no other process train this run"), files.held():
        assert files.folder.is_dir()

    class Said:
        lines: list[str] = []  # noqa: RUF012

        def print(self, text: object, **options: Any) -> None:
            self.lines.append(str(text))

    with _work_folder(tmp_path / "corpus", Said()) as work:  # type: ignore[arg-type]
        assert work.is_dir()
    assert not work.exists()
    assert [line for line in Said.lines if "let no other process download to it" in line] == Said.lines
    assert len(Said.lines) == 1


def _as_ordinary_user(folder: Path) -> None:
    """Print what who may not write there is told; runs in a process of its own, which gives up an administrator's rights."""
    ctypes.CDLL(None).capset((ctypes.c_uint32 * 2)(0x20080522, 0), (ctypes.c_uint32 * 6)())
    files = Checkpoints(folder / "run", build_config({"mode": "supervised", "data.root": "x"}), "corpus")
    for take in (lambda: study_lock(Home(folder), "mine"), files.held, lambda: take_lock(folder / "other")):
        try:
            with take():
                print("taken")
        except (StudyError, CheckpointError, PermissionError) as error:
            print(f"{type(error).__name__}: {error}")


def test_a_missing_permission_is_not_called_a_held_lock(tmp_path: Path) -> None:
    folder = tmp_path / "home"
    (folder / "locks").mkdir(parents=True)
    (folder / "locks").chmod(0o555)
    folder.chmod(0o555)
    code = f"import sys; sys.path.insert(0, {str(Path(__file__).parent)!r}); from test_locks import _as_ordinary_user; "
    code += f"from pathlib import Path; _as_ordinary_user(Path({str(folder)!r}))"
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert shown.stdout.splitlines() == [
        f"StudyError: {folder / 'locks' / 'mine'} cannot be locked for the study (Permission denied); make it writable for you, "
        "or name another --home",
        f"CheckpointError: {folder / 'run'} cannot hold checkpoints (Permission denied); name another folder",
        f"PermissionError: [Errno 13] Permission denied: '{folder / 'other'}'",
    ]
    assert running_process(Home(folder), "mine") is None
