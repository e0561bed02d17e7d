"""The mirror is patient with a store that is locked or gone."""

import contextlib
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

import pytest

from study.mirror import Mirror
from toy_mirror import SWEEP, Sides


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
