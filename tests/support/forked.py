"""Processes that begin at once, because they are forked off a server that has imported what they need."""

import contextlib
import ctypes
import multiprocessing
import os
from collections.abc import Callable, Iterator
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

from acl.store.prepare import prepare

_context = multiprocessing.get_context("forkserver")
_CAPABILITY_VERSION = 0x20080522  # of Linux, since 2.6.26
_context.set_forkserver_preload(["acl.store.prepare"])


@contextlib.contextmanager
def forked(function: Callable[..., None], *arguments: Any) -> Iterator[BaseProcess]:
    """Run a function of a module in another process, which is killed in the end."""
    process = _context.Process(target=function, args=arguments)
    process.start()
    try:
        yield process
    finally:
        process.kill()
        process.join()


def prepare_and_note(root: Path, notes: Path, options: dict[str, Any], ordinary: bool = False, hold: Path | None = None) -> None:
    """Prepare with one worker and write to `notes`, line by line, what is said, the first progress, and the end.

    Args:
        root: corpus folder.
        notes: file.
        options: of `acl.store.prepare.prepare`.
        ordinary: give up the administrator's right to pass over permissions.
        hold: wait at the first progress until this file exists.
    """
    if ordinary:
        ctypes.CDLL(None).capset((ctypes.c_uint32 * 2)(_CAPABILITY_VERSION, 0), (ctypes.c_uint32 * 6)())  # none are left
    with notes.open("w", buffering=1) as file:
        seen = False

        def progress(done: int, total: int) -> None:
            nonlocal seen
            if not seen:
                print(f"progress {done}/{total}", file=file)
            seen = True
            while hold is not None and not hold.exists():
                os.sched_yield()

        try:
            prepare(root, workers=1, progress=progress, say=lambda line: print(line, file=file), **options)
        except Exception as error:
            print(f"{type(error).__name__}: {error}", file=file)
        else:
            print("prepared", file=file)
