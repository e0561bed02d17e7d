"""One Ray session for many launches: to start one takes seconds of the processor, and so does each of its workers.

Its workers are forked off a process that has imported ray, torch and MLflow.

For tests whose subject is neither the session nor its end: those of crashes, of machines and of memory start sessions of their own.
A launch that joins ends its workers as ever, and leaves the session.
"""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from support.preloaded import SHARED_RAY, joining, server_address

_STUB = Path(__file__).with_name("worker_stub.py")

_HEAD = """
import subprocess, sys
from ray._private import services
from study.execution import ray_session

quoted = subprocess.list2cmdline

def forked(command):
    return quoted([*sys.argv[1:], *command[1:]] if any("default_worker" in str(part) for part in command) else command)

services.subprocess.list2cmdline = forked  # which makes the raylet's command for its workers
ray_session._start(None)
print(ray_session.ray.get_runtime_context().gcs_address, flush=True)
sys.stdin.read()
"""


@contextmanager
def ray_head() -> Iterator[str]:
    """Start a session as a launch does; gives its address."""
    worker = [sys.executable, "-I", "-S", str(_STUB), server_address()]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    head = subprocess.Popen([sys.executable, "-c", _HEAD, *worker], **pipes, text=True, start_new_session=True)
    try:
        assert head.stdout is not None
        yield head.stdout.readline().strip()
    finally:
        head.communicate(timeout=60)


def variables(address: str) -> dict[str, str]:
    """Variables with which the command line, run by `acl_study`, joins the session."""
    return {SHARED_RAY: address}


def join_here(address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Have launches of this process join the session."""
    import ray  # it takes a second, which most tests need not wait for

    monkeypatch.setattr(ray, "init", joining(ray.init, address))
