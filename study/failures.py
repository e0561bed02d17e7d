"""Why a trial failed, and whether it is worth another try."""

import errno
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import ray.cloudpickle
from ray.exceptions import OutOfMemoryError, RayActorError, RayTaskError

_ALLOCATION = ("out of memory", "can't allocate memory", "unable to allocate")  # of torch's CUDA and CPU allocators, and of numpy


@dataclass(frozen=True)
class Failure:
    """A failed trial.

    Attributes:
        reason: one line, the worker's error without Ray's wrapping.
        worker_is_lost: the worker was killed or ran out of memory, which may be the fault of those beside it.
        disk_is_full: nothing can be saved until somebody makes room.
    """

    reason: str
    worker_is_lost: bool = False
    disk_is_full: bool = False


def failure_of(trial: Any) -> Failure:
    """The failure of one of Ray's trials."""
    error = _error(trial)
    if isinstance(error, RayActorError) and not error.actor_init_failed:
        return Failure("its worker process was killed or crashed", worker_is_lost=True)
    cause = error.cause if isinstance(error, RayTaskError) else error
    reason = _last_line(trial) or "the worker ended without an error message"
    if (isinstance(cause, OSError) and cause.errno in (errno.ENOSPC, errno.EDQUOT)) or "No space left on device" in reason:
        return Failure(reason, disk_is_full=True)
    out_of_memory = isinstance(cause, MemoryError | OutOfMemoryError) or any(words in str(cause).lower() for words in _ALLOCATION)
    return Failure(f"out of memory: {reason}" if out_of_memory else reason, worker_is_lost=out_of_memory)


def _error(trial: Any) -> Any:
    """The exception that Ray keeps; it lies in Ray's local folder by now, not yet in the experiment's, where Ray itself looks."""
    path = Path(trial.pickled_error_file) if trial.pickled_error_file else None
    if path is None or not path.exists():
        return None
    try:
        return ray.cloudpickle.loads(path.read_bytes())
    except Exception:  # an exception whose class cannot be rebuilt
        return None


def _last_line(trial: Any) -> str:
    written = Path(trial.error_file) if trial.error_file else None
    text = written.read_text(encoding="utf-8") if written and written.exists() else ""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return lines[-1] if lines else ""
