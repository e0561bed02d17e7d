"""One function over many tasks in worker processes."""

import math
import multiprocessing
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from typing import TypeVar

from acl.system.control_groups import cpu_quota
from acl.system.errors import WorkerError
from acl.system.memory import keep_freed_memory

Task = TypeVar("Task")
Result = TypeVar("Result")

_START_SECONDS = 2.0  # until a worker has imported its libraries


def available_cores() -> int:
    """CPU cores that this process may use: those it may run on, at most its control groups' quota of time, at least 1."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    quota = cpu_quota()
    return cores if quota is None else max(1, min(cores, math.floor(quota)))


def each_result(function: Callable[[Task], Result], tasks: Sequence[Task], workers: int | None) -> Iterator[Result]:
    """Results of `function(task)` in the order in which they finish; one worker computes in this process.

    The first task that raises ends it: tasks that have started finish, the others are dropped.

    Args:
        function: importable by name, because workers are spawned.
        tasks: picklable arguments.
        workers: processes; None takes all available cores, or this process where the tasks take less time than workers to start.

    Raises:
        WorkerError: a worker was killed.
    """
    if workers is None:
        workers = min(available_cores(), len(tasks))
        took = 0.0
        for task in tasks[:2]:  # the first one may import libraries
            began = time.monotonic()
            result = function(task)
            took = time.monotonic() - began
            yield result
        tasks = tasks[2:]
        if took * len(tasks) * (workers - 1) < _START_SECONDS * workers:
            workers = 1
    workers = min(workers, len(tasks))
    if workers <= 1:
        yield from map(function, tasks)
        return
    context = multiprocessing.get_context("spawn")
    pool = ProcessPoolExecutor(workers, mp_context=context, initializer=_begin)
    try:
        for future in as_completed([pool.submit(function, task) for task in tasks]):
            yield future.result()
    except BrokenProcessPool:
        raise WorkerError(
            "a worker process was killed, perhaps for lack of memory; run it again, with fewer workers where memory is short"
        ) from None
    finally:
        pool.shutdown(cancel_futures=True)


def _begin() -> None:
    follow_parent()
    keep_freed_memory()


def follow_parent() -> None:
    """Leave Ctrl-C to the parent, which then shuts the pool down, and end with it: a killed parent cannot stop its workers."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    parent = multiprocessing.parent_process()
    if parent is not None:
        threading.Thread(target=_exit_after, args=(parent,), daemon=True).start()


def _exit_after(parent: multiprocessing.process.BaseProcess) -> None:
    parent.join()
    os._exit(1)
