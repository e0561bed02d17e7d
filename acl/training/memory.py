"""Memory that this process has of its own."""

import os
import threading
from pathlib import Path

import torch

SAMPLING_SECONDS = 0.02


class PeakMemory:
    """Highest anonymous memory while it is entered, sampled: the kernel's own maximum counts pages of mapped files, too.

    Attributes:
        peak_bytes: of this process, without the pages of the feature store, which processes share.
    """

    def __init__(self) -> None:
        self.peak_bytes = 0
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def __enter__(self) -> "PeakMemory":
        self._thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._over.set()
        self._thread.join()

    def _watch(self) -> None:
        while True:
            self.peak_bytes = max(self.peak_bytes, own_bytes())
            if self._over.wait(SAMPLING_SECONDS):
                return


def own_bytes() -> int:
    """Anonymous memory of this process."""
    resident, shared = (int(pages) for pages in Path("/proc/self/statm").read_text().split()[1:3])
    return (resident - shared) * os.sysconf("SC_PAGE_SIZE")


def gpu_bytes() -> tuple[int, int]:
    """Most that tensors of this process took on its GPU, and most that torch had taken from it, which others cannot have."""
    if not torch.cuda.is_initialized():
        return 0, 0
    return torch.cuda.max_memory_allocated(), torch.cuda.max_memory_reserved()
