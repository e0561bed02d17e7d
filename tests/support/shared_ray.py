"""One Ray session for many launches: to start one takes seconds of the processor, and so does each of its workers.

For tests whose subject is neither the session nor its end: those of crashes, of machines and of memory start sessions of their own.
A launch that joins ends its workers as ever, and leaves the session.
"""

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from support.preloaded import SHARED_RAY, Command, joining


@contextmanager
def ray_head(folder: Path) -> Iterator[str]:
    """Start a session as a launch does; gives its address, which it writes to a file in `folder`."""
    file = folder / "address"
    head = Command([str(Path(__file__).with_name("ray_head.py")), str(file)], os.environ, Path.cwd())
    try:
        deadline = time.monotonic() + 120
        while not file.exists():
            assert head.poll() is None, head.communicate()
            assert time.monotonic() < deadline
            time.sleep(0.05)
        yield file.read_text()
    finally:
        head.terminate()
        head.wait(60)


def variables(address: str) -> dict[str, str]:
    """Variables with which the command line, run by `acl_study`, joins the session."""
    return {SHARED_RAY: address}


def join_here(address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Have launches of this process join the session."""
    import ray  # it takes a second, which most tests need not wait for

    monkeypatch.setattr(ray, "init", joining(ray.init, address))
