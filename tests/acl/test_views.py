"""Pairs of views: their patches, their backgrounds, and the strengths of their augmentations."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from scipy.stats import chisquare, kstest, uniform

from acl.config import ViewsConfig
from acl.store.feature_store import FeatureStore
from acl.views import ViewMaker

CPU = torch.device("cpu")


# With these settings a view is its patch: nothing is mixed, cropped, scaled or added.
PLAIN = ViewsConfig(mix_back_max=0, crop_area_min=1, compander_min=1, noise_std_max=0)


@pytest.fixture(scope="module")
def store(tiny_corpus: Path) -> FeatureStore:
    return FeatureStore.open(tiny_corpus, "self-supervised")


def pair(maker: ViewMaker, positions: torch.Tensor, seed: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Two views of each clip, in one batch."""
    generators = torch.Generator().manual_seed(seed), torch.Generator().manual_seed(seed + 1)
    (views,) = maker.pairs(positions, len(positions), *generators)
    return views


@pytest.mark.parametrize("augmentations", ["published-code", "paper-text"])
def test_views_follow_their_generators_and_differ(store: FeatureStore, augmentations: str) -> None:
    maker = ViewMaker(store, store.select("noisy"), ViewsConfig(augmentations=augmentations), CPU)  # type: ignore[arg-type]
    first, second = pair(maker, torch.arange(16), 0)
    again, _ = pair(maker, torch.arange(16), 0)
    other, _ = pair(maker, torch.arange(16), 2)
    assert first.shape == second.shape == (16, 101, 96)
    assert torch.equal(first, again)
    assert not torch.equal(first, other)
    assert all(not torch.equal(a, b) for a, b in zip(first, second, strict=True))
    assert torch.isfinite(first).all()


def test_patches_come_from_their_own_clip_at_every_start(store: FeatureStore) -> None:
    clips = store.select("noisy")
    position = int(np.argmax(store.frame_count[clips] > 110))
    start, count = store.start_frame[clips[position]], store.frame_count[clips[position]]
    windows = np.stack([store.frames[start + offset : start + offset + 101] for offset in range(count - 100)])
    maker = ViewMaker(store, clips, PLAIN, CPU)
    first, second = pair(maker, torch.full((2000,), position), 0)
    hits = [np.abs(windows - view.numpy()).max((1, 2)).argmin() for view in torch.cat([first, second])]
    assert min(np.abs(windows - view.numpy()).max((1, 2)).min() for view in first[:20]) < 1e-3
    assert chisquare(np.bincount(hits, minlength=len(windows))).pvalue > 1e-3


@pytest.mark.parametrize("batch_size", [7, 50, 128])
def test_each_view_is_of_its_own_clip_for_any_chunk_size(store: FeatureStore, batch_size: int) -> None:
    clips = store.select("noisy")
    order = torch.arange(len(clips)).repeat(2).flip(0)
    batches = list(ViewMaker(store, clips, PLAIN, CPU).pairs(order, batch_size, torch.Generator(), torch.Generator()))
    assert [len(first) for first, _ in batches] == [len(part) for part in order.split(batch_size)]
    for views in map(torch.cat, zip(*batches, strict=True)):
        own = []
        for position, view in zip(order.tolist(), views, strict=True):
            start, count = store.start_frame[clips[position]], store.frame_count[clips[position]]
            windows = np.lib.stride_tricks.sliding_window_view(store.frames[start : start + count], 101, axis=0).transpose(0, 2, 1)
            own.append(np.abs(windows - view.numpy()).max((1, 2)).min() < 1e-5)
        assert np.mean(own) > 0.8  # the box of some is a frame or band smaller than the patch


def test_backgrounds_are_two_other_clips_drawn_uniformly(store: FeatureStore) -> None:
    maker = ViewMaker(store, store.select("noisy")[:5], PLAIN, CPU)
    clip = torch.full((6000,), 2)
    first, second = maker._other_clips(clip, torch.Generator().manual_seed(0))
    assert not (first == 2).any()
    assert not (second == 2).any()
    assert not (first == second).any()
    pairs = np.bincount((first * 5 + second).numpy(), minlength=25).reshape(5, 5)
    assert chisquare(pairs[pairs > 0]).pvalue > 1e-3
    assert (pairs > 0).sum() == 4 * 3


def test_too_few_clips_are_refused(store: FeatureStore) -> None:
    with pytest.raises(ValueError, match="too few"):
        ViewMaker(store, store.select("noisy")[:2], PLAIN, CPU)


def views_of_first_clip(clips: torch.Tensor, **strengths: float) -> tuple[torch.Tensor, torch.Tensor]:
    """Three hundred pairs of views of the first of three clips, one patch long each; what `strengths` does not name is off."""
    off = {"mix_back_max": 0, "crop_area_min": 1, "compander_min": 1, "masks": 0, "noise_std_max": 0, "blur_sigma_max": 0}
    store: Any = SimpleNamespace(
        frames=clips.reshape(-1, 96).numpy(), start_frame=np.array([0, 101, 202]), frame_count=np.full(3, 101)
    )
    maker = ViewMaker(store, np.arange(3), ViewsConfig(**(off | strengths)), torch.device("cpu"))  # type: ignore[arg-type]
    (views,) = maker.pairs(
        torch.zeros(300, dtype=torch.int64), 300, torch.Generator().manual_seed(0), torch.Generator().manual_seed(1)
    )
    return views


def assert_uniform(drawn: torch.Tensor, low: float, high: float) -> None:
    assert kstest(drawn.numpy(), uniform(low, high - low).cdf).pvalue > 1e-3


def test_gain_noise_and_blur_are_drawn_uniformly_for_each_view() -> None:
    ones, impulse = torch.ones(3, 101, 96), torch.zeros(3, 101, 96)
    impulse[:, 50, 48] = 1
    gains = [view.mean((1, 2)) for view in views_of_first_clip(ones, compander_min=0.75)]
    noises = [view.std((1, 2)) for view in views_of_first_clip(ones, noise_std_max=0.01)]
    square_distance = (torch.arange(101) - 50) ** 2
    blurs = [(view.sum(2) @ square_distance.float()).sqrt() for view in views_of_first_clip(impulse, blur_sigma_max=2)]
    for first, second, low, high in ((*gains, 0.75, 1.0), (*noises, 0.0, 0.01), (*blurs, 0.7, 2.0)):
        for drawn in (first, second):
            assert_uniform(drawn[drawn > low], low, high)  # a blur below 0.7 is too narrow to be measured on the grid
        assert abs(np.corrcoef(first, second)[0, 1]) < 0.17  # 3 standard errors
    assert (blurs[0] > 0.7).double().mean().item() == pytest.approx((2 - 0.7) / (2 - 0.1), abs=0.08)


def test_both_views_share_one_uniform_mix_back_weight() -> None:
    """The first clip sounds in even bands, its backgrounds in odd ones: their share of the energy is the weight."""
    clips = torch.full((3, 101, 96), -12.0)
    clips[0, :, 0::2] = 0
    clips[1:, :, 1::2] = 1
    energies = [10 ** view.double() for view in views_of_first_clip(clips, mix_back_max=0.05)]
    first, second = (energy[:, :, 1::2].sum((1, 2)) / energy.sum((1, 2)) for energy in energies)
    torch.testing.assert_close(first, second)
    assert_uniform(first, 0, 0.05)
