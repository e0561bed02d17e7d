"""Strengths of the augmentations of a pair of views: how they are drawn, and which the two share."""

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from scipy.stats import kstest, uniform

from acl.config import ViewsConfig
from acl.views import ViewMaker


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
