"""Why Ray does not start, and what helps."""

import errno
import os
from pathlib import Path

import pytest

from study.execution.ray_session import start_remedy


@pytest.mark.parametrize(
    ("error", "remedy"),
    [
        (PermissionError(errno.EACCES, "Permission denied", "/somewhere/ray/session_1"), "/somewhere/ray is another user's"),
        (
            OSError("AF_UNIX path length cannot exceed 107 bytes"),
            "the path of /somewhere/ray is too long for sockets",
        ),
        (OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)), "make room in /somewhere/ray"),
        (BlockingIOError(errno.EAGAIN, os.strerror(errno.EAGAIN)), "the limit of processes and threads (ulimit -u"),
        (RuntimeError("can't start new thread"), "the limit of processes and threads (ulimit -u"),
        (RuntimeError("The GCS did not answer"), "look into /somewhere/ray/session_latest/logs"),
    ],
)
def test_each_cause_has_its_remedy(error: Exception, remedy: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RAY_TMPDIR", "/somewhere")
    assert start_remedy(error).startswith(remedy)


def test_a_home_that_cannot_be_written_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    error = PermissionError(errno.EACCES, "Permission denied", f"{tmp_path}/.ray/auth_token")
    assert start_remedy(error).startswith(f"it cannot write in {tmp_path}: ")
