"""Failures of trials: their reasons, and whether another try is worth it."""

import errno
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import ray.cloudpickle
from ray.exceptions import ActorUnavailableError, OutOfMemoryError, RayActorError, RayTaskError

from acl.system.text import last_line
from study.errors import NodeError

MOST_CRASHES = 1  # a trial whose worker died runs once more, alone
_NODE_IS_DEAD = re.compile(r"node (has|was|is) (died|dead|terminated)|node died", re.IGNORECASE)  # in Ray's words
_ALLOCATION = ("out of memory", "can't allocate memory", "unable to allocate")  # of torch's CUDA and CPU allocators, and of numpy


@dataclass(frozen=True)
class Failure:
    """A failed trial.

    Attributes:
        reason: one line, the worker's error without Ray's wrapping.
        worker_is_lost: the worker was killed or ran out of memory, which may be the fault of those beside it.
        node_is_lost: the worker's machine went down or cannot be reached, or trials cannot run there.
        unfit_node: id of a machine on which no trial can run, for which somebody has to do something.
        disk_is_full: nothing can be saved until somebody makes room.
    """

    reason: str
    worker_is_lost: bool = False
    node_is_lost: bool = False
    unfit_node: str | None = None
    disk_is_full: bool = False


def failure_of(trial: Any) -> Failure:
    """The failure of one of Ray's trials."""
    error = _error(trial)
    if isinstance(error, RayActorError) and not error.actor_init_failed:
        # "Unavailable": a connection broke. Ray takes longer to call a node dead; of a killed worker it knows at once.
        if isinstance(error, ActorUnavailableError) or error.preempted or _NODE_IS_DEAD.search(str(error)):
            return Failure("its node went down or cannot be reached", node_is_lost=True)
        return Failure("its worker process was killed or crashed", worker_is_lost=True)
    cause = error.cause if isinstance(error, RayTaskError) else error
    if isinstance(cause, NodeError):
        return Failure(str(cause), node_is_lost=True, unfit_node=cause.node)
    reason = _said_last(trial) or "the worker ended without an error message"
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


def _said_last(trial: Any) -> str:
    written = Path(trial.error_file) if trial.error_file else None
    text = written.read_text(encoding="utf-8") if written and written.exists() else ""
    return last_line(text).strip()
