"""Failures that are none of the trial's."""

import errno
import os
import pickle
from pathlib import Path
from types import SimpleNamespace

import pytest
from ray.exceptions import RayActorError, RayTaskError

from study.errors import InputError
from study.execution.code_place import CodePlace
from study.execution.failures import Failure, failure_of

# What Ray says where a worker cannot import what it is to run, with less of the tracebacks.
NOT_IMPORTED = """The actor died unexpectedly before finishing this task.
The actor is dead because its worker process has died. Worker exit type: SYSTEM_ERROR Worker exit detail: Traceback:
RuntimeError: The actor with name ImplicitFunc failed to import on the worker. The rest is advice:

Traceback (most recent call last):
  File "function_manager.py", line 696, in _load_actor_class_from_gcs
    actor_class = pickle.loads(pickled_class)
ImportError: libfoo.so.1: cannot open shared object file

An unexpected internal error occurred while the worker was executing a task."""
OWNER_DIED = """The actor died unexpectedly before finishing this task.
The actor is dead because its owner has died. Owner worker exit type: SYSTEM_ERROR Worker exit detail: Owner's node has crashed."""


def died(said: str) -> RayActorError:
    return RayActorError("00", said)


def failed(folder: Path, error: Exception) -> Failure:
    pickled, written = folder / "error.pkl", folder / "error.txt"
    pickled.write_bytes(pickle.dumps(error))
    written.write_text(str(error))
    return failure_of(SimpleNamespace(pickled_error_file=str(pickled), error_file=str(written)))


def test_a_worker_that_cannot_import_the_project_ends_the_launch(tmp_path: Path) -> None:
    failure = failed(tmp_path, died(NOT_IMPORTED))
    assert str(failure.ends_launch).startswith(
        "workers cannot import acl-study (ImportError: libfoo.so.1: cannot open shared object file)"
    )
    assert not failure.worker_is_lost


def test_a_worker_of_another_clone_ends_the_launch(tmp_path: Path) -> None:
    place = CodePlace.here()
    place.check_here()
    CodePlace("another machine", "/elsewhere/study").check_here()
    with pytest.raises(InputError) as caught:
        CodePlace(place.host, "/elsewhere/study").check_here()
    failure = failed(tmp_path, RayTaskError("train", "Traceback", caught.value))
    assert str(failure.ends_launch).startswith(
        f"workers import acl-study from {place.folder}, this command from /elsewhere/study; "
    )


def test_workers_that_go_down_with_ray_are_told_from_others(tmp_path: Path) -> None:
    assert failed(tmp_path, died(OWNER_DIED)).ray_is_lost
    other = failed(tmp_path, died("The actor is dead because its worker process has died."))
    assert other == Failure("its worker process was killed or crashed", worker_is_lost=True)


def test_a_disk_that_fails_under_a_worker_ends_the_launch(tmp_path: Path) -> None:
    gone = OSError(errno.EIO, os.strerror(errno.EIO), "runs/checkpoint.pt")
    found = failed(tmp_path, RayTaskError("train", "Traceback", gone)).ends_launch
    assert isinstance(found, OSError)
    assert (found.errno, found.filename) == (errno.EIO, "runs/checkpoint.pt")
