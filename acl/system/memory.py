"""Memory that is there, that large arrays free, and parts of what is too much to handle at once."""

import ctypes
import math
import os
import re
from collections.abc import Iterator
from pathlib import Path

from acl.system.control_groups import ROOT, groups_of, memory_limit, text_of

_KEEPING = {-1: "MALLOC_TRIM_THRESHOLD_", -3: "MALLOC_MMAP_THRESHOLD_"}  # numbers of glibc's malloc.h
_KEPT_BYTES = 1 << 30
# Of a control group by version: limit, what is in use, and the part of that which the system takes back.
_USE = {
    2: ("memory.max", "memory.current", "inactive_file"),
    1: ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file"),
}


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


def available_memory(root: Path = ROOT) -> float:
    """Bytes that this process can still take, of the machine and of each control group that it is in; infinite if unknown.

    Args:
        root: where /proc and /sys lie.
    """
    machine = re.search(r"^MemAvailable:\s+(\d+) kB", text_of(root / "proc/meminfo"), re.MULTILINE)
    free = [1024.0 * int(machine[1])] if machine else []
    for group in groups_of("memory", root):
        limit, used, inactive = _USE[group.version]
        most, current = group.text(limit), group.text(used)
        if most.isdigit() and current.isdigit():
            taken_back = re.search(rf"^{inactive} (\d+)", group.text("memory.stat"), re.MULTILINE)
            free.append(float(int(most) - int(current) + (int(taken_back[1]) if taken_back else 0)))
    return max(0.0, min(free, default=math.inf))


def total_memory(root: Path = ROOT) -> int:
    """Bytes that this process and others could take at most, of the machine or of its control groups."""
    whole = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return min(whole, memory_limit(root) or whole)
