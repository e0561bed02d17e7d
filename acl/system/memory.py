"""Memory that large arrays free, and parts of what is too much to handle at once."""

import ctypes
import os
from collections.abc import Iterator

_KEEPING = {-1: "MALLOC_TRIM_THRESHOLD_", -3: "MALLOC_MMAP_THRESHOLD_"}  # numbers of glibc's malloc.h
_KEPT_BYTES = 1 << 30


def keep_freed_memory() -> None:
    """Let this process use again what it frees from now on, up to 1 GiB, instead of asking the system for new pages each time.

    Processes that have pages cleared beside each other wait for each other, and a training step asks for some 100 000 of them. This
    holds for the heap of the main thread: others have it in common where the process began with MALLOC_ARENA_MAX=1, and heaps
    of their own otherwise, which give back what is freed. glibc's variables for the same go first.
    """
    libc = ctypes.CDLL(None)
    if hasattr(libc, "mallopt"):
        for option, variable in _KEEPING.items():
            if variable not in os.environ:
                libc.mallopt(option, _KEPT_BYTES)


def give_back_freed_memory() -> None:
    """Give what was freed back to the system.

    Where a worker's trials have a heap of their own each, what one has freed is no use to the next, which made workers grow
    by 0.1 GB a trial.
    """
    libc = ctypes.CDLL(None)
    if hasattr(libc, "malloc_trim"):
        libc.malloc_trim(0)


def chunks(length: int, size: int) -> Iterator[slice]:
    """Consecutive slices that cover `range(length)`.

    >>> [(part.start, part.stop) for part in chunks(5, 2)]
    [(0, 2), (2, 4), (4, 5)]
    """
    return (slice(start, min(start + size, length)) for start in range(0, length, size))
