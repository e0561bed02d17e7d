"""Tables of patches: fixed-length excerpts, cut from the feature store."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from acl.config import Mode
from acl.store.feature_store import FeatureStore


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
    def starts(self) -> Tensor:
        """`first_frame` for a `PatchReader`."""
        return torch.from_numpy(self.first_frame)

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


class RandomStarts:
    """Draws where a random patch of each of some clips starts, uniform over all starts that it has room for.

    Args:
        store: whose clips these are.
        clips: `[C]` indices into the store's table.
        patch_frames: length of a patch.
    """

    def __init__(self, store: FeatureStore, clips: np.ndarray, patch_frames: int) -> None:
        self._first_frame = torch.from_numpy(store.start_frame[clips])
        self._possible = torch.from_numpy(store.frame_count[clips]) - patch_frames + 1

    def __len__(self) -> int:
        return len(self._first_frame)

    def draw(self, positions: Tensor, generator: torch.Generator) -> Tensor:
        """First frame `[N]`, a row of the store's array, of one patch of each clip; `positions` `[N]` in `clips`."""
        draws = torch.rand(positions.shape, generator=generator, dtype=torch.float64)
        return self._first_frame[positions] + (draws * self._possible[positions]).long()
