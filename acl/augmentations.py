"""Augmentations of log-mel patches, batched: one function each, every strength explicit and per patch.

All take patches `[N, frames, bands]` of log10 mel power and per-patch strengths `[N]`, and run where the patches are. Those that
draw random numbers take a generator on the same device; the others are pure.
"""

import math

import torch
from torch import Tensor

from acl.config import SELF_SUPERVISED
from acl.features import PATCH_FRAMES
from acl.front_ends import BANDS

CROP_ASPECT_MIN, CROP_ASPECT_MAX = 3 / 4, 4 / 3  # bands / frames
CROP_TRIES = 10


def mix_back(foreground: Tensor, background: Tensor, weight: Tensor | float) -> Tensor:
    """Foreground with a quiet background added in the power domain (Fonseca et al., 2021).

        out = log10( (1 - weight) * F + weight * B * ΣF / ΣB ),    F = 10^foreground, B = 10^background

    so that the background first gets the foreground's energy. Sums run over the patch.

    Args:
        foreground: `[..., frames, bands]`.
        background: as `foreground`.
        weight: share of the background, 0 to 1, `[...]` or one number.

    >>> patch = torch.zeros(2, 2)
    >>> mix_back(patch, patch + 3, 0.5)
    tensor([[0., 0.],
            [0., 0.]])
    """
    share = _per_patch(weight, foreground)
    front, back = _power(foreground), _power(background)
    gain = front.sum((-2, -1), keepdim=True) / back.sum((-2, -1), keepdim=True)
    return front.mul_(1 - share).add_(back.mul_(share * gain)).log10_()


def random_crop_boxes(
    n: int,
    area_min: float,
    generator: torch.Generator,
    frames: int = PATCH_FRAMES[SELF_SUPERVISED],
    bands: int = BANDS,
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Boxes for `resized_crop`: `(top, left, height, width)`, each `[n]` int64, in frames and bands.

    The area is uniform in area_min to 1 of the patch, the aspect ratio width / height log-uniform in 3/4 to 4/3, the place
    uniform. A box that does not fit is drawn again, up to ten times; then the largest central box of an allowed aspect is taken.
    """
    device = generator.device
    draws = torch.rand(3, n, CROP_TRIES, generator=generator, device=device, dtype=torch.float64)
    area = frames * bands * (area_min + (1 - area_min) * draws[0])
    aspect = CROP_ASPECT_MIN * (CROP_ASPECT_MAX / CROP_ASPECT_MIN) ** draws[1]
    width = (area * aspect).sqrt().round().long()
    height = (area / aspect).sqrt().round().long()
    fits = (width > 0) & (width <= bands) & (height > 0) & (height <= frames)
    first_fit = fits.int().argmax(1, keepdim=True)
    central_height = min(frames, round(bands / CROP_ASPECT_MIN))
    central_width = min(bands, round(frames * CROP_ASPECT_MAX))
    found = fits.any(1)
    height = torch.where(found, height.gather(1, first_fit)[:, 0], central_height)
    width = torch.where(found, width.gather(1, first_fit)[:, 0], central_width)
    place = torch.rand(2, n, generator=generator, device=device, dtype=torch.float64)
    top = torch.where(found, (place[0] * (frames - height + 1)).long(), (frames - central_height) // 2)
    left = torch.where(found, (place[1] * (bands - width + 1)).long(), (bands - central_width) // 2)
    return top, left, height, width


def resized_crop(patch: Tensor, top: Tensor | int, left: Tensor | int, height: Tensor | int, width: Tensor | int) -> Tensor:
    """The box of each patch, resized to the patch's own shape by bilinear interpolation, as PIL does it.

    Output i is the box at the point (i + 0.5) * length / size of each axis, between the two nearest values, or the outermost one.
    A box is never larger than its patch, so nothing shrinks and nothing can alias.

    Args:
        patch: `[N, frames, bands]`, or one patch `[frames, bands]`.
        top: first frame of the box, `[N]` or one number.
        left: first band.
        height: frames of the box, ≥ 1.
        width: bands of the box, ≥ 1.
    """
    frames, bands = patch.shape[-2:]
    low, high, between = _taps(top, height, frames, patch)
    first_row = torch.arange(0, len(rows := patch.reshape(-1, bands)), frames, device=patch.device)[:, None]
    lower, higher = (rows.index_select(0, (first_row + each).flatten()) for each in (low, high))
    stretched = lower.lerp_(higher, between.reshape(-1, 1)).view(patch.shape)
    low, high, between = (each[..., None, :].expand(patch.shape) for each in _taps(left, width, bands, patch))
    return stretched.gather(-1, low).lerp_(stretched.gather(-1, high), between)


def compander(patches: Tensor, gain: Tensor | float) -> Tensor:
    """Log-mel values times `gain`, `[N]` or one number; below 1 this narrows the dynamic range."""
    return patches * _per_patch(gain, patches)


def gaussian_noise(patches: Tensor, std: Tensor | float, generator: torch.Generator) -> Tensor:
    """White noise added; `std` in log-mel units, `[N]` or one number."""
    noise = torch.randn(patches.shape, generator=generator, device=patches.device, dtype=patches.dtype)
    return noise.mul_(_per_patch(std, patches)).add_(patches)


def spec_augment(patches: Tensor, frames_max: int, bands_max: int, masks: int, generator: torch.Generator) -> Tensor:
    """Random bands of time and of frequency set to the patch's minimum (Park et al., SpecAugment, 2019).

    Args:
        patches: `[N, frames, bands]`.
        frames_max: widest time mask, frames; widths are uniform in 0 to this.
        bands_max: widest frequency mask, mel bands.
        masks: number of masks per axis and patch.
        generator: on the patches' device.
    """
    n, frames, bands = patches.shape
    masked_frames = _random_masks(n, frames, frames_max, masks, generator)
    masked_bands = _random_masks(n, bands, bands_max, masks, generator)
    masked = masked_frames[:, :, None] | masked_bands[:, None, :]
    return torch.where(masked, patches.amin((1, 2), keepdim=True), patches)


def gaussian_blur(patches: Tensor, sigma: Tensor | float) -> Tensor:
    """Gaussian blur along both axes; `sigma` > 0 in frames and bands, `[N]` or one number.

    Weights are those within the patch, normalised to 1.
    """
    frames, bands = patches.shape[-2:]
    return _blurring(frames, sigma, patches) @ patches @ _blurring(bands, sigma, patches).mT


def _per_patch(strength: Tensor | float, patches: Tensor) -> Tensor:
    """`strength`, `[N]` or one number, in a shape that multiplies patches."""
    return torch.as_tensor(strength, dtype=patches.dtype, device=patches.device)[..., None, None]


def _power(patches: Tensor) -> Tensor:
    """10 ** patches, several times faster than a general power."""
    return (patches * math.log2(10)).exp2_()


def _taps(start: Tensor | int, length: Tensor | int, size: int, patches: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """For `length` values from `start` on, stretched to `size` values: which two each is between, and how far, `[..., size]`."""
    first, extent = (torch.as_tensor(each).to(patches)[..., None] for each in (start, length))
    place = (torch.arange(size, device=patches.device, dtype=patches.dtype) + 0.5) * extent / size - 0.5
    place = torch.minimum(place.clamp(min=0), extent - 1)
    low = place.floor()
    high = torch.minimum(low + 1, extent - 1)
    return (first + low).long(), (first + high).long(), place - low


def _random_masks(n: int, size: int, width_max: int, masks: int, generator: torch.Generator) -> Tensor:
    """`[n, size]`, true inside any of `masks` random intervals of width 0 to `width_max`."""
    draws = torch.rand(2, n, masks, 1, generator=generator, device=generator.device)
    width = (draws[0] * (width_max + 1)).floor()
    start = (draws[1] * (size - width + 1)).floor()
    position = torch.arange(size, device=generator.device)
    return ((position >= start) & (position < start + width)).any(1)


def _blurring(size: int, sigma: Tensor | float, patches: Tensor) -> Tensor:
    """Matrices `[..., size, size]`; row i holds the weights of output i."""
    position = torch.arange(size, device=patches.device, dtype=patches.dtype)
    exponent = -0.5 * ((position[:, None] - position) / _per_patch(sigma, patches)).square()
    return exponent.softmax(-1)
