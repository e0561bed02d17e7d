"""Patches of a feature store on the device that uses them."""

from collections import deque
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import islice

import numpy as np
import torch
from torch import Tensor

from acl.store.feature_store import FeatureStore

RESIDENT_SHARE = 0.5  # of the GPU memory that a process may still take: features that need more are streamed
READ_AHEAD = 2  # batches that are read before they are needed
_ROWS_AT_ONCE = 1 << 17  # frames copied to the GPU at a time

# The features of the last store that this process used on a GPU, by its digest and the device: the trials of a worker share them.
_resident: dict[tuple[str, torch.device], Tensor] = {}


class PatchReader:
    """Cuts patches out of a store's frames and brings them to a device, as float32.

    On a CPU they are read from the memory map. A GPU gets the features as float16 (their log10 of power is then off by at most
    0.004, or 1 % of the power): resident in its memory where they fit, otherwise streamed to it through pinned memory, read ahead
    of their use by a thread.

    Args:
        store: whose frames are read.
        patch_frames: length of a patch.
        device: where patches go.
        resident: whether the features stay in the GPU's memory; None where they fit.
    """

    def __init__(self, store: FeatureStore, patch_frames: int, device: torch.device, resident: bool | None = None) -> None:
        self.device = device
        self._frames = store.frames
        self._offsets = torch.arange(patch_frames)
        self._on_gpu: Tensor | None = None
        if device.type == "cuda" and resident is not False:
            self._on_gpu = _resident_frames(store, device, must_fit=resident is None)
            self._offsets = self._offsets.to(device) if self._on_gpu is not None else self._offsets

    def read(self, first_frame: Tensor) -> Tensor:
        """Patches `[..., patch_frames, bands]` that start at `first_frame` `[...]`, rows of the store's array."""
        if self._on_gpu is not None:
            return self._on_gpu[first_frame.to(self.device)[..., None] + self._offsets].float()
        return self._gathered(first_frame).to(self.device, non_blocking=True).float()

    def batches(self, first_frame: Tensor, batch_size: int) -> Iterator[Tensor]:
        """`read` of consecutive parts, `batch_size` long, of the last axis of `first_frame`."""
        if self._on_gpu is not None:
            first_frame = first_frame.to(self.device)
        parts = first_frame.split(batch_size, dim=-1)
        if self._on_gpu is not None or self.device.type == "cpu":
            yield from map(self.read, parts)
            return
        waiting = iter(parts)
        with ThreadPoolExecutor(1, thread_name_prefix="patches") as reader:
            ahead = deque(reader.submit(self._gathered, part) for part in islice(waiting, READ_AHEAD))
            while ahead:
                patches = ahead.popleft().result()
                ahead.extend(reader.submit(self._gathered, part) for part in islice(waiting, 1))
                yield patches.to(self.device, non_blocking=True).float()

    def _gathered(self, first_frame: Tensor) -> Tensor:
        """Patches in this process's memory; those for a GPU as float16 that it can fetch by itself."""
        patches = torch.from_numpy(self._frames[(first_frame[..., None] + self._offsets).numpy()])
        return patches.half().pin_memory() if self.device.type == "cuda" else patches


def _resident_frames(store: FeatureStore, device: torch.device, *, must_fit: bool) -> Tensor | None:
    """All frames `[total frames, bands]` float16 on a GPU; None if they `must_fit` and do not."""
    key = (str(store.metadata["content_sha256"]), device)
    if key not in _resident:
        _resident.clear()
        if must_fit and 2 * store.frames.size > RESIDENT_SHARE * _free_bytes(device):
            return None
        frames = torch.empty(store.frames.shape, dtype=torch.float16, device=device)
        for start in range(0, len(frames), _ROWS_AT_ONCE):
            part = slice(start, start + _ROWS_AT_ONCE)
            frames[part] = torch.from_numpy(np.array(store.frames[part])).to(device)
        _resident[key] = frames
    return _resident[key]


def _free_bytes(device: torch.device) -> float:
    """What this process may still take of the GPU's memory."""
    free, total = torch.cuda.mem_get_info(device)
    own = torch.cuda.get_per_process_memory_fraction(device) * total - torch.cuda.memory_allocated(device)
    return min(float(free), own)
