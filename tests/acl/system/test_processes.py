"""Work in processes: every result arrives, the first error ends the work, no worker outlives its parent."""

import math
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from acl.system.errors import WorkerError
from acl.system.processes import each_result


@pytest.mark.parametrize("workers", [None, 1, 2])
def test_every_task_gives_its_result(workers: int | None) -> None:
    assert sorted(each_result(math.sqrt, [0.0, 1.0, 4.0, 9.0], workers)) == [0.0, 1.0, 2.0, 3.0]


def test_short_work_is_done_in_this_process() -> None:
    assert set(each_result(lambda task: os.getpid(), range(5), None)) == {os.getpid()}


@pytest.mark.parametrize("workers", [1, 2])
def test_an_error_in_a_task_is_raised(workers: int) -> None:
    with pytest.raises(ValueError, match=r"math domain error|expected a nonnegative input"):
        list(each_result(math.sqrt, [1.0, -1.0, 4.0], workers))


def test_a_worker_that_dies_is_told_in_a_line() -> None:
    with pytest.raises(
        WorkerError, match=r"^a worker process was killed, perhaps for lack of memory; run it again, with fewer workers"
    ):
        list(each_result(os._exit, [9, 9], 2))


@pytest.mark.skipif(not Path("/proc").exists(), reason="looks for processes in /proc")
def test_workers_end_with_a_killed_parent() -> None:
    code = "import time; from acl.system.processes import each_result; list(each_result(time.sleep, [60.0, 60.0], 2))"
    parent = subprocess.Popen([sys.executable, "-c", code], cwd=Path(__file__).parents[3])
    try:
        deadline = time.monotonic() + 20
        while len(children := _workers_of(parent.pid)) < 2:
            assert time.monotonic() < deadline
            time.sleep(0.05)
        time.sleep(1.0)  # past their start-up, into the sleep
    finally:
        parent.kill()
        parent.wait()
    deadline = time.monotonic() + 10
    while any(os.path.exists(f"/proc/{child}") for child in children):
        assert time.monotonic() < deadline
        time.sleep(0.05)


def _workers_of(pid: int) -> list[str]:
    """Children of a process that are spawned workers."""
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return [child for child in children if b"spawn_main" in Path(f"/proc/{child}/cmdline").read_bytes()]
