"""Normalisation of patches by the statistics of the training clips."""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from acl.patches.table import PatchTable
from acl.store.feature_store import FeatureStore
from acl.system.memory import chunks


@dataclass(frozen=True)
class Standardisation:
    """Affine normalisation (x - mean) / std; `mean` and `std` are scalars or one value per band."""

    mean: Tensor
    std: Tensor

    def __call__(self, patches: Tensor) -> Tensor:
        """Normalised `[N, 1, frames, bands]` network input of `[N, frames, bands]` patches on the same device."""
        return ((patches - self.mean) / self.std).unsqueeze(1)

    def to(self, device: torch.device) -> "Standardisation":
        """The same on another device."""
        return Standardisation(self.mean.to(device), self.std.to(device))


_FRAMES_AT_ONCE = 1 << 15
# A pass over all features takes seconds: the trials of a worker share what it gives.
_computed: dict[tuple[object, ...], Standardisation] = {}


def standardise_bands(store: FeatureStore, table: PatchTable, patch_frames: int) -> Standardisation:
    """Mean and standard deviation of each mel band over the stacked patches; overlapping frames count each time (recipe)."""
    key = (store.metadata["content_sha256"], patch_frames, table.first_frame.tobytes())
    if key not in _computed:
        uses = np.zeros(len(store.frames) + 1, dtype=np.int64)
        np.add.at(uses, table.first_frame, 1)
        np.add.at(uses, table.first_frame + patch_frames, -1)
        _computed[key] = _standardisation(store, np.cumsum(uses)[:-1], per_band=True)
    return _computed[key]


def standardise_globally(store: FeatureStore, clips: np.ndarray) -> Standardisation:
    """One mean and one standard deviation over all values of `clips`."""
    key = (store.metadata["content_sha256"], store.start_frame[clips].tobytes())  # injected noise moves clips to other frames
    if key not in _computed:
        uses = np.zeros(len(store.frames), dtype=np.int64)
        for clip in clips:
            uses[store.start_frame[clip] : store.start_frame[clip] + store.frame_count[clip]] = 1
        _computed[key] = _standardisation(store, uses, per_band=False)
    return _computed[key]


def _standardisation(store: FeatureStore, uses: np.ndarray, *, per_band: bool) -> Standardisation:
    """Moments over the store's frames, each counted `uses` times; float64 sums, one pass in chunks."""
    total, square = torch.zeros(2, store.frames.shape[1], dtype=torch.float64)
    for part in chunks(len(uses), _FRAMES_AT_ONCE):
        used = uses[part] > 0
        frames = torch.from_numpy(store.frames[part][used]).double()
        weights = torch.from_numpy(uses[part][used]).double()
        total += weights @ frames
        square += weights @ frames.square()
    count = float(uses.sum())
    if not per_band:
        total, square, count = total.sum(), square.sum(), count * len(total)
    mean = total / count
    std = (square / count - mean**2).clamp(min=0).sqrt()
    std = torch.where(std > 0, std, 1.0)  # a band that never varies stays at zero instead of becoming infinite
    return Standardisation(mean.float(), std.float())
