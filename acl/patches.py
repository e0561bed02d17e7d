"""Patches: fixed-length excerpts of clips, cut from the memory-mapped feature store."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from acl.config import SELF_SUPERVISED, Mode
from acl.features import PATCH_FRAMES
from acl.store import FeatureStore

CHUNK = 4096  # patches or frames read at once in passes over many


@dataclass(frozen=True)
class PatchTable:
    """Where patches lie and whose they are.

    Attributes:
        first_frame: `[P]` index of each patch's first frame in the store's array.
        clip: `[P]` position of the patch's clip in the list of clips that the table was made of, ascending.
        clips: number of clips.
    """

    first_frame: np.ndarray
    clip: np.ndarray
    clips: int

    def __len__(self) -> int:
        return len(self.first_frame)

    @property
    def patches_per_clip(self) -> np.ndarray:
        """`[clips]` number of patches of each clip."""
        return np.bincount(self.clip, minlength=self.clips)


def tabulate_patches(
    store: FeatureStore, clips: np.ndarray, starts_in_clip: Callable[[int, Mode], list[int]], mode: Mode
) -> PatchTable:
    """Table of the patches that `starts_in_clip(frames, mode)` cuts from each of `clips` (indices into the store's table)."""
    starts = [np.asarray(starts_in_clip(int(store.frame_count[clip]), mode)) + store.start_frame[clip] for clip in clips]
    counts = [len(of_clip) for of_clip in starts]
    first_frame = np.concatenate(starts) if starts else np.empty(0)
    return PatchTable(first_frame.astype(np.int64), np.repeat(np.arange(len(clips)), counts), len(clips))


def read_patches(store: FeatureStore, first_frame: np.ndarray, patch_frames: int, device: torch.device) -> Tensor:
    """Patches `[N, patch_frames, bands]` on `device`; `first_frame` is `[N]`."""
    rows = first_frame[:, None] + np.arange(patch_frames)
    return torch.from_numpy(store.frames[rows]).to(device, non_blocking=True)


class RandomPatches:
    """Draws a random patch of each of some clips, uniform over all starts.

    Args:
        store: self-supervised feature store.
        clips: `[C]` indices into the store's table.
        device: where the patches go.
    """

    def __init__(self, store: FeatureStore, clips: np.ndarray, device: torch.device) -> None:
        self.store = store
        self.device = device
        self._start = torch.from_numpy(store.start_frame[clips])
        self._possible_starts = torch.from_numpy(store.frame_count[clips]) - PATCH_FRAMES[SELF_SUPERVISED] + 1

    def __len__(self) -> int:
        return len(self._start)

    def draw(self, positions: Tensor, generator: torch.Generator) -> Tensor:
        """One patch of each clip, `[N, 101, 96]`; `positions` in `clips` is `[N]`, the generator on the CPU."""
        draws = torch.rand(positions.shape, generator=generator, dtype=torch.float64)
        offset = (draws * self._possible_starts[positions]).long()
        return read_patches(self.store, (self._start[positions] + offset).numpy(), PATCH_FRAMES[SELF_SUPERVISED], self.device)


def chunks(length: int, size: int = CHUNK) -> Iterator[slice]:
    """Consecutive slices that cover `range(length)`.

    >>> [(part.start, part.stop) for part in chunks(5, 2)]
    [(0, 2), (2, 4), (4, 5)]
    """
    return (slice(start, min(start + size, length)) for start in range(0, length, size))


@dataclass(frozen=True)
class Standardisation:
    """Affine normalisation (x - mean) / std; `mean` and `std` are scalars or one value per band."""

    mean: Tensor
    std: Tensor

    def __call__(self, patches: Tensor) -> Tensor:
        """Normalised `[N, 1, frames, bands]` network input of `[N, frames, bands]` patches."""
        return ((patches - self.mean.to(patches.device)) / self.std.to(patches.device)).unsqueeze(1)


def standardise_bands(store: FeatureStore, table: PatchTable, patch_frames: int) -> Standardisation:
    """Mean and standard deviation of each mel band over the stacked patches; overlapping frames count each time (recipe)."""
    uses = np.zeros(len(store.frames) + 1, dtype=np.int64)
    np.add.at(uses, table.first_frame, 1)
    np.add.at(uses, table.first_frame + patch_frames, -1)
    return _standardisation(store, np.cumsum(uses)[:-1], per_band=True)


def standardise_globally(store: FeatureStore, clips: np.ndarray) -> Standardisation:
    """One mean and one standard deviation over all values of `clips`."""
    uses = np.zeros(len(store.frames), dtype=np.int64)
    for clip in clips:
        uses[store.start_frame[clip] : store.start_frame[clip] + store.frame_count[clip]] = 1
    return _standardisation(store, uses, per_band=False)


def _standardisation(store: FeatureStore, uses: np.ndarray, *, per_band: bool) -> Standardisation:
    """Moments over the store's frames, each counted `uses` times; float64 sums, one pass in chunks."""
    total = np.zeros(store.frames.shape[1])
    square = np.zeros(store.frames.shape[1])
    for part in chunks(len(uses)):
        used = uses[part] > 0
        frames = store.frames[part][used].astype(np.float64)
        weights = uses[part][used][:, None]
        total += (frames * weights).sum(0)
        square += (frames**2 * weights).sum(0)
    count = np.full(total.shape, uses.sum(), dtype=np.float64)
    if not per_band:
        total, square, count = total.sum(), square.sum(), count.sum()
    mean = total / count
    std = np.sqrt(np.maximum(square / count - mean**2, 0))
    std = np.where(std > 0, std, 1.0)  # a band that never varies stays at zero instead of becoming infinite
    return Standardisation(torch.as_tensor(mean, dtype=torch.float32), torch.as_tensor(std, dtype=torch.float32))
