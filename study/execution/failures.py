"""Failures of trials: their reasons, and whether another try is worth it."""

import errno
import os
import re
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import ray.cloudpickle
from ray.exceptions import ActorUnavailableError, OutOfMemoryError, RayActorError, RayTaskError

from acl.system.os_errors import is_of_the_disk
from acl.system.text import last_line
from study.errors import InputError, NodeError, StudyError, one_line

MOST_CRASHES = 1  # a trial whose worker died runs once more, alone
_NODE_IS_DEAD = re.compile(r"node (has|was|is) (died|dead|terminated)|node died", re.IGNORECASE)  # in Ray's words
_RAY_IS_DEAD = "owner has died"  # the owner of all workers is this process, which lives: its raylet does not
_FULL = os.strerror(errno.ENOSPC)
_NOT_IMPORTED = "failed to import on the worker"
_IMPORT_ERROR = re.compile(r"^[\w.]*(?:Error|Exception)\b.*", re.MULTILINE)
_ALLOCATION = ("out of memory", "can't allocate memory", "unable to allocate")  # of torch's CUDA and CPU allocators, and of numpy


@dataclass(frozen=True)
class Failure:
    """A failed trial.

    Attributes:
        reason: one line, the worker's error without Ray's wrapping.
        worker_is_lost: the worker was killed or ran out of memory, which may be the fault of those beside it.
        node_is_lost: the worker's machine went down or cannot be reached, or trials cannot run there.
        unfit_node: id of a machine on which no trial can run, for which somebody has to do something.
        ray_is_lost: Ray itself has ended and taken the worker along.
        ends_launch: the error with which the launch ends, since it is none of the trial's and all others would meet it.
    """

    reason: str
    worker_is_lost: bool = False
    node_is_lost: bool = False
    unfit_node: str | None = None
    ray_is_lost: bool = False
    ends_launch: OSError | StudyError | None = None


def failure_of(trial: Any) -> Failure:
    """The failure of one of Ray's trials."""
    error = _error(trial)
    if isinstance(error, RayActorError) and not error.actor_init_failed:
        # "Unavailable": a connection broke. Ray takes longer to call a node dead; of a killed worker it knows at once.
        if isinstance(error, ActorUnavailableError) or error.preempted or _NODE_IS_DEAD.search(str(error)):
            return Failure("its node went down or cannot be reached", node_is_lost=True)
        if (import_error := _import_error(str(error))) is not None:
            return Failure(import_error, ends_launch=StudyError(_no_import(import_error)))
        lost = Failure("its worker process was killed or crashed", worker_is_lost=True)
        return replace(lost, ray_is_lost=_RAY_IS_DEAD in str(error))
    cause = error.cause if isinstance(error, RayTaskError) else error
    if isinstance(cause, NodeError):
        return Failure(str(cause), node_is_lost=True, unfit_node=cause.node)
    reason = _said_last(trial) or "the worker ended without an error message"
    if isinstance(cause, InputError):
        return Failure(reason, ends_launch=StudyError(str(cause)))
    if is_of_the_disk(cause):
        return Failure(reason, ends_launch=OSError(cause.errno, cause.strerror, cause.filename))
    if _FULL in reason:  # in another library's words
        return Failure(reason, ends_launch=OSError(errno.ENOSPC, reason))
    out_of_memory = isinstance(cause, MemoryError | OutOfMemoryError) or any(words in str(cause).lower() for words in _ALLOCATION)
    return Failure(f"out of memory: {reason}" if out_of_memory else reason, worker_is_lost=out_of_memory)


def _import_error(said: str) -> str | None:
    """The error for which a worker could not import this project, in Ray's words about its end; None if that is not why."""
    _, is_one, traceback = said.partition(_NOT_IMPORTED)
    if not is_one:
        return None
    errors = _IMPORT_ERROR.findall(traceback)
    return str(errors[-1]) if errors else "no reason given"


def _no_import(error: str) -> str:
    return (
        f"workers cannot import acl-study ({one_line(error)}); no trial has failed for it: mend the installation, or what "
        "PYTHONPATH puts before it, and check it with `acl-study doctor`"
    )


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
