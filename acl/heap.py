"""How the C library handles the memory that large arrays free."""

import ctypes

# Of glibc's malloc.h.
_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3
_KEPT_BYTES = 1 << 30


def keep_freed_memory() -> None:
    """Let this process use again what it frees from now on, up to 1 GiB, instead of asking the system for new pages each time.

    Clearing new pages takes a tenth of a training step on a CPU, and processes that do so beside each other wait for each other.
    What was freed before goes back: a worker's trials have a thread each, and with it a heap of their own, so that what one has
    freed is no use to the next, 0.1 GB a trial. Only glibc knows these settings; elsewhere nothing changes.
    """
    libc = ctypes.CDLL(None)
    if hasattr(libc, "mallopt"):
        libc.malloc_trim(0)
        libc.mallopt(_M_TRIM_THRESHOLD, _KEPT_BYTES)
        libc.mallopt(_M_MMAP_THRESHOLD, _KEPT_BYTES)
