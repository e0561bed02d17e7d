"""Augmentations against Pillow, scipy, the published code, and their invariants."""

from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from scipy.ndimage import gaussian_filter1d
from scipy.stats import chisquare, kstest

from acl.augmentations import compander, gaussian_blur, gaussian_noise, mix_back, random_crop_boxes, resized_crop, spec_augment


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def log_mels(count: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(count, 101, 96, generator=generator(seed)) - 2


def pillow_crop(patch: torch.Tensor, top: int, left: int, height: int, width: int) -> np.ndarray:
    box = patch.numpy()[top : top + height, left : left + width]
    return np.asarray(Image.fromarray(box).resize((96, 101), Image.Resampling.BILINEAR))


@pytest.mark.reference
def test_mix_back_equals_the_published_code(golden: dict[str, Any]) -> None:
    patch, back = (torch.from_numpy(golden["arrays"][f"aug/{name}"]) for name in ("patch", "back"))
    expected = torch.from_numpy(golden["arrays"]["aug/mixback_alpha0.03"])
    torch.testing.assert_close(mix_back(patch, back, 0.03), expected, rtol=0, atol=2e-6)


def test_mix_back_keeps_the_energy_whatever_the_background() -> None:
    front, back = log_mels(3).double(), log_mels(3, seed=1).double() + 4
    mixed = mix_back(front, back, torch.tensor([0.0, 0.05, 1.0]))
    torch.testing.assert_close((10**mixed).sum((1, 2)), (10**front).sum((1, 2)))
    torch.testing.assert_close(mixed[0], front[0])
    torch.testing.assert_close(mixed[2] - back[2], (mixed[2] - back[2])[0, 0].expand(101, 96))


def test_augmentations_leave_their_inputs_alone() -> None:
    front, back = log_mels(4), log_mels(4, seed=1)
    before = front.clone(), back.clone()
    mix_back(front, back, 0.03)
    resized_crop(front, *random_crop_boxes(4, 0.8, generator()))
    gaussian_noise(front, 0.01, generator())
    assert torch.equal(front, before[0])
    assert torch.equal(back, before[1])


def test_mix_back_of_a_batch_is_mix_back_of_each() -> None:
    front, back, weight = log_mels(4), log_mels(4, seed=1), torch.tensor([0.0, 0.01, 0.3, 1.0])
    each = torch.stack([mix_back(front[i], back[i], float(weight[i])) for i in range(4)])
    torch.testing.assert_close(mix_back(front, back, weight), each)


@pytest.mark.reference
@pytest.mark.parametrize(("top", "left", "height", "width"), [(5, 7, 90, 80), (0, 0, 101, 96)])
def test_crop_equals_the_published_code(golden: dict[str, Any], top: int, left: int, height: int, width: int) -> None:
    expected = torch.from_numpy(golden["arrays"][f"aug/rrc_i{top}_j{left}_h{height}_w{width}"])
    patch = torch.from_numpy(golden["arrays"]["aug/patch"])
    torch.testing.assert_close(resized_crop(patch, top, left, height, width), expected, rtol=0, atol=2e-5)


@settings(max_examples=40, deadline=None)
@given(data=st.data())
def test_crop_equals_pillow(data: st.DataObject) -> None:
    height, width = data.draw(st.integers(1, 101)), data.draw(st.integers(1, 96))
    top, left = data.draw(st.integers(0, 101 - height)), data.draw(st.integers(0, 96 - width))
    patch = log_mels(1)[0]
    expected = pillow_crop(patch, top, left, height, width)
    np.testing.assert_allclose(resized_crop(patch, top, left, height, width).numpy(), expected, rtol=0, atol=5e-5)


def test_each_patch_of_a_batch_has_its_own_box() -> None:
    patches = log_mels(8)
    boxes = random_crop_boxes(8, 0.3, generator())
    expected = np.stack([pillow_crop(patches[i], *(int(side[i]) for side in boxes)) for i in range(8)])
    np.testing.assert_allclose(resized_crop(patches, *boxes).numpy(), expected, rtol=0, atol=5e-5)


def test_boxes_have_the_published_distribution() -> None:
    """Means, extremes and share of whole patches over 20 000 draws of the published code at areas from 0.8."""
    top, left, height, width = random_crop_boxes(20000, 0.8, generator())
    means = [side.double().mean().item() for side in (top, left, height, width)]
    assert means == pytest.approx([3.33, 3.26, 94.29, 89.50], abs=0.15)
    assert [side.min().item() for side in (top, left, height, width)] == pytest.approx([0, 0, 81, 77], abs=1)
    assert [side.max().item() for side in (top, left, height, width)] == pytest.approx([20, 19, 101, 96], abs=1)
    whole = ((height == 101) & (width == 96)).double().mean().item()
    assert whole == pytest.approx(0.00715, abs=0.002)
    area = (height * width).double() / (101 * 96)
    assert area.min() > 0.79
    assert (top.min(), left.min()) == (0, 0)
    assert (top + height).max() == 101
    assert (left + width).max() == 96


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 2**31), area_min=st.floats(0.001, 1), frames=st.integers(1, 120), bands=st.integers(1, 120))
def test_boxes_lie_within_the_patch(seed: int, area_min: float, frames: int, bands: int) -> None:
    top, left, height, width = random_crop_boxes(50, area_min, generator(seed), frames, bands)
    assert min(top.min(), left.min()) >= 0
    assert min(height.min(), width.min()) >= 1
    assert (top + height).max() <= frames
    assert (left + width).max() <= bands


def test_boxes_that_never_fit_become_central() -> None:
    """Of a patch ten times as tall as wide no box of area 1 fits: the largest with aspect 3/4 is taken from its middle."""
    top, left, height, width = random_crop_boxes(3, 1.0, generator(), frames=300, bands=30)
    assert (height == 40).all()
    assert (width == 30).all()
    assert (top == 130).all()
    assert (left == 0).all()


@pytest.mark.reference
def test_compander_equals_the_published_code(golden: dict[str, Any]) -> None:
    patch, expected = (torch.from_numpy(golden["arrays"][f"aug/{name}"]) for name in ("patch", "compander"))
    torch.testing.assert_close(compander(patch, golden["aug"]["compander_factor"]), expected, rtol=1e-6, atol=0)


def test_compander_gain_is_per_patch() -> None:
    patches = log_mels(2)
    assert torch.equal(compander(patches, torch.tensor([1.0, 0.5])), torch.stack([patches[0], 0.5 * patches[1]]))


def test_noise_has_the_standard_deviation_of_its_patch() -> None:
    patches = log_mels(3)
    added = gaussian_noise(patches, torch.tensor([0.0, 0.01, 2.0]), generator()) - patches
    assert added[0].abs().max() == 0
    assert added[1:].std((1, 2)).tolist() == pytest.approx([0.01, 2.0], rel=0.03)
    assert kstest((added[2] / 2).flatten().numpy(), "norm").pvalue > 1e-3
    assert torch.equal(gaussian_noise(patches, 1.0, generator(5)), gaussian_noise(patches, 1.0, generator(5)))


def test_masks_are_full_frames_and_bands_at_the_minimum() -> None:
    patches = log_mels(200)
    masked = spec_augment(patches, 20, 10, 1, generator())
    changed = masked != patches
    assert torch.equal(masked[changed], patches.amin((1, 2), keepdim=True).expand_as(patches)[changed])
    minimum = masked == patches.amin((1, 2), keepdim=True)
    frames, bands = minimum.all(2), minimum.all(1)
    assert (minimum.sum((1, 2)) - (frames[:, :, None] | bands[:, None, :]).sum((1, 2))).max() <= 1  # the minimum itself
    frame_widths, band_widths = frames.sum(1), bands.sum(1)
    assert frame_widths.unique().tolist() == [*range(21)]
    assert band_widths.unique().tolist() == [*range(11)]
    edges = frames.int().diff(dim=1).abs().sum(1) + frames[:, 0] + frames[:, -1]
    assert torch.isin(edges, torch.tensor([0, 2])).all()  # one interval


def test_masks_reach_both_ends_and_overlap_at_most() -> None:
    masked = spec_augment(log_mels(3000), 3, 0, 2, generator())
    frames = (masked == masked.amin((1, 2), keepdim=True)).all(2)
    assert frames[:, 0].any()
    assert frames[:, -1].any()
    assert frames.sum(1).max() == 6


@pytest.mark.parametrize("axis", [1, 2])
def test_masks_are_uniform_in_width_and_place(axis: int) -> None:
    widest = (5, 0) if axis == 1 else (0, 5)
    masked = spec_augment(torch.rand(20000, 24, 24, generator=generator()), *widest, 1, generator())
    hidden = (masked == masked.amin((1, 2), keepdim=True)).all(3 - axis)
    widths = hidden.sum(1)
    assert chisquare(np.bincount(widths.numpy(), minlength=6)).pvalue > 1e-3
    starts = hidden.int().argmax(1)[widths == 5]
    assert chisquare(np.bincount(starts.numpy(), minlength=24 - 5 + 1)).pvalue > 1e-3


def test_no_masks_change_nothing() -> None:
    patches = log_mels(2)
    assert torch.equal(spec_augment(patches, 20, 20, 0, generator()), patches)
    assert torch.equal(spec_augment(patches, 0, 0, 2, generator()), patches)


@pytest.mark.parametrize("sigma", [0.1, 1.0, 2.0])
def test_blur_equals_scipy_inside(sigma: float) -> None:
    patch = log_mels(1)[0].double()
    expected = gaussian_filter1d(gaussian_filter1d(patch.numpy(), sigma, axis=0, truncate=9), sigma, axis=1, truncate=9)
    inside = slice(20, -20)
    np.testing.assert_allclose(gaussian_blur(patch, sigma).numpy()[inside, inside], expected[inside, inside], rtol=0, atol=1e-9)


def test_blur_keeps_constants_to_the_edge_and_is_per_patch() -> None:
    constant = torch.full((2, 101, 96), 3.0)
    torch.testing.assert_close(gaussian_blur(constant, torch.tensor([0.1, 2.0])), constant)
    patches = log_mels(2)
    blurred = gaussian_blur(patches, torch.tensor([0.1, 2.0]))
    torch.testing.assert_close(blurred[0], patches[0])
    torch.testing.assert_close(blurred[1], gaussian_blur(patches[1], 2.0))


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_everything_runs_on_the_gpu() -> None:
    patches = log_mels(4)
    on_gpu = patches.cuda()
    boxes = random_crop_boxes(4, 0.8, torch.Generator("cuda").manual_seed(0))
    torch.testing.assert_close(resized_crop(on_gpu, *boxes).cpu(), resized_crop(patches, *(side.cpu() for side in boxes)))
    weight = torch.tensor([0.0, 0.1, 0.2, 0.3])
    torch.testing.assert_close(mix_back(on_gpu, on_gpu.flip(0), weight.cuda()).cpu(), mix_back(patches, patches.flip(0), weight))
    torch.testing.assert_close(gaussian_blur(on_gpu, weight.cuda() + 1).cpu(), gaussian_blur(patches, weight + 1))
    noisy = gaussian_noise(compander(on_gpu, weight.cuda()), weight.cuda(), torch.Generator("cuda").manual_seed(0))
    assert spec_augment(noisy, 20, 20, 2, torch.Generator("cuda").manual_seed(0)).is_cuda
