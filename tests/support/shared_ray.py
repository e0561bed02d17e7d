"""One Ray session for many launches: to start one takes seven seconds of the processor.

For tests whose subject is neither the session nor its end: those of crashes, of machines and of memory start sessions of their own.
A launch that joins ends its workers as ever, and leaves the session.
"""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from support.preloaded import SHARED_RAY, joining

_HEAD = """
import sys
from study.execution import ray_session
ray_session._start(None)
print(ray_session.ray.get_runtime_context().gcs_address, flush=True)
sys.stdin.read()
"""


@contextmanager
def ray_head() -> Iterator[str]:
    """Start a session as a launch does; gives its address."""
    head = subprocess.Popen(
        [sys.executable, "-c", _HEAD], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, start_new_session=True
    )
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
