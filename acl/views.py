"""Two views of a clip: random patches, mix-back and augmentation (paper, Fig. 1, block DA)."""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from acl.augmentations import compander, gaussian_blur, gaussian_noise, mix_back, random_crop_boxes, resized_crop, spec_augment
from acl.config import BLUR_SIGMA_MIN, SELF_SUPERVISED, ViewsConfig
from acl.features import PATCH_FRAMES
from acl.patches.reader import PatchReader
from acl.patches.table import RandomStarts
from acl.store.feature_store import FeatureStore

# Whose views are made at a time: on a CPU few enough for its caches and for memory that is used again, up to 1.5 times faster.
_CLIPS_AT_ONCE = {"cpu": 32}


class ViewMaker:
    """Draws pairs of augmented patches of the clips that it was made with.

    Args:
        store: self-supervised feature store.
        clips: `[C]` indices into the store's table: the clips that views, and backgrounds for mix-back, are drawn from.
        config: which augmentations, how strong.
        device: where the augmentations run.

    Raises:
        ValueError: fewer than three clips (mix-back needs two others).
    """

    def __init__(self, store: FeatureStore, clips: np.ndarray, config: ViewsConfig, device: torch.device) -> None:
        if len(clips) < 3:
            raise ValueError(f"{len(clips)} clips are too few to mix each with two others; use a larger corpus or subset")
        self.config = config
        self.device = device
        self._starts = RandomStarts(store, clips, PATCH_FRAMES[SELF_SUPERVISED])
        self._reader = PatchReader(store, PATCH_FRAMES[SELF_SUPERVISED], device)

    def pairs(
        self, positions: Tensor, batch_size: int, patch_generator: torch.Generator, augmentation_generator: torch.Generator
    ) -> Iterator[tuple[Tensor, Tensor]]:
        """Two augmented patches `[N, 101, 96]` of each clip, not yet normalised, in batches.

        What is one number a patch is drawn for all batches at once, so that the device is not kept waiting for small steps.

        Args:
            positions: `[M]` positions in `clips`, on the CPU.
            batch_size: clips of a batch; the last one has what is left.
            patch_generator: draws patches and backgrounds, on the CPU.
            augmentation_generator: draws everything else, on the views' device.
        """
        first_frame = self._draw_starts(positions, patch_generator)
        strengths = self._draw_strengths(len(positions), augmentation_generator).split(batch_size)
        for patches, strength in zip(self._reader.batches(first_frame, batch_size), strengths, strict=True):
            at_once = _CLIPS_AT_ONCE.get(self.device.type, batch_size)
            parts = zip(patches.split(at_once, dim=2), strength.split(at_once), strict=True)
            first, second = torch.cat([self._augment(*part, augmentation_generator) for part in parts], dim=1)
            yield first, second

    def _draw_starts(self, positions: Tensor, generator: torch.Generator) -> Tensor:
        """First frames `[foreground and background, 2 views, M]`."""
        drawn = [
            [self._starts.draw(clips, generator) for clips in (positions, other)]
            for other in self._other_clips(positions, generator)
        ]
        return torch.stack([torch.stack(view) for view in drawn], dim=1)

    def _other_clips(self, clip: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """Two clips for each clip, different from it and from each other, uniform over all such pairs."""
        count = len(self._starts)
        first = torch.randint(count - 1, clip.shape, generator=generator)
        first += first >= clip
        second = torch.randint(count - 2, clip.shape, generator=generator)
        low, high = torch.minimum(clip, first), torch.maximum(clip, first)
        second += second >= low
        second += second >= high
        return first, second

    def _draw_strengths(self, clips: int, generator: torch.Generator) -> "_Strengths":
        config = self.config

        def uniform(low: float, high: float, views: int = 2) -> Tensor:
            return low + (high - low) * torch.rand(views, clips, generator=generator, device=self.device)

        boxes = random_crop_boxes(2 * clips, config.crop_area_min, generator)
        return _Strengths(
            mix_back=uniform(0.0, config.mix_back_max, views=1).expand(2, -1),  # one for both views
            box=torch.stack(boxes).unflatten(1, (2, clips)),
            gain=uniform(config.compander_min, 1.0),
            noise_std=uniform(0.0, config.noise_std_max),
            blur_sigma=uniform(BLUR_SIGMA_MIN, max(config.blur_sigma_max, BLUR_SIGMA_MIN)),
        )

    def _augment(self, patches: Tensor, strength: "_Strengths", generator: torch.Generator) -> Tensor:
        """Views `[2, n, 101, 96]` of patches `[foreground and background, 2, n, 101, 96]`."""
        config = self.config
        views = mix_back(patches[0], patches[1], strength.mix_back).flatten(0, 1)
        views = resized_crop(views, *strength.box.flatten(1))
        if config.compander_min < 1:
            views = compander(views, strength.gain.flatten())
        if config.masks:
            views = spec_augment(views, config.mask_frames_max, config.mask_bands_max, config.masks, generator)
        if config.noise_std_max:
            views = gaussian_noise(views, strength.noise_std.flatten(), generator)
        if config.blur_sigma_max:
            views = gaussian_blur(views, strength.blur_sigma.flatten())
        return views.unflatten(0, (2, -1))


class _Strengths(NamedTuple):
    """Strengths of the augmentations, `[2 views, M clips]` each, and the crop's `box` `[4, 2, M]`: top, left, height, width."""

    mix_back: Tensor
    box: Tensor
    gain: Tensor
    noise_std: Tensor
    blur_sigma: Tensor

    def split(self, batch_size: int) -> "list[_Strengths]":
        """Those of each batch."""
        return [_Strengths(*parts) for parts in zip(*(each.split(batch_size, dim=-1) for each in self), strict=True)]
