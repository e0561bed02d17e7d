"""Two views of a clip: random patches, mix-back and augmentation (paper, Fig. 1, block DA)."""

import numpy as np
import torch
from torch import Tensor

from acl.augmentations import compander, gaussian_blur, gaussian_noise, mix_back, random_crop_boxes, resized_crop, spec_augment
from acl.config import BLUR_SIGMA_MIN, ViewsConfig
from acl.patches import RandomPatches
from acl.store import FeatureStore


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
        self._patches = RandomPatches(store, clips, device)

    def pair(
        self, positions: np.ndarray, patch_generator: torch.Generator, augmentation_generator: torch.Generator
    ) -> tuple[Tensor, Tensor]:
        """Two augmented patches `[N, 101, 96]` of each clip, not yet normalised.

        Args:
            positions: `[N]` positions in `clips`.
            patch_generator: draws patches and backgrounds; on the CPU, where the memory-mapped features are.
            augmentation_generator: draws everything else; on the views' device.
        """
        clip = torch.from_numpy(positions)
        backgrounds = self._other_clips(clip, patch_generator)
        weight = self.config.mix_back_max * torch.rand(len(clip), generator=augmentation_generator, device=self.device)
        views = []
        for background in backgrounds:
            mixed = mix_back(self._patches.draw(clip, patch_generator), self._patches.draw(background, patch_generator), weight)
            views.append(self._augment(mixed, augmentation_generator))
        return views[0], views[1]

    def _other_clips(self, clip: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """Two clips for each clip, different from it and from each other, uniform over all such pairs."""
        count = len(self._patches)
        first = torch.randint(count - 1, clip.shape, generator=generator)
        first += first >= clip
        second = torch.randint(count - 2, clip.shape, generator=generator)
        low, high = torch.minimum(clip, first), torch.maximum(clip, first)
        second += second >= low
        second += second >= high
        return first, second

    def _augment(self, patches: Tensor, generator: torch.Generator) -> Tensor:
        config, count = self.config, len(patches)

        def uniform(low: float, high: float) -> Tensor:
            return low + (high - low) * torch.rand(count, generator=generator, device=self.device)

        patches = resized_crop(patches, *random_crop_boxes(count, config.crop_area_min, generator))
        if config.compander_min < 1:
            patches = compander(patches, uniform(config.compander_min, 1.0))
        if config.masks:
            patches = spec_augment(patches, config.mask_frames_max, config.mask_bands_max, config.masks, generator)
        if config.noise_std_max:
            patches = gaussian_noise(patches, uniform(0.0, config.noise_std_max), generator)
        if config.blur_sigma_max:
            patches = gaussian_blur(patches, uniform(BLUR_SIGMA_MIN, config.blur_sigma_max))
        return patches
