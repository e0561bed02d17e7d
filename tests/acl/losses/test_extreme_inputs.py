"""Finite losses and gradients where arccos, division or the exponential have none: cosines of ±1, zero rows."""

import math

import pytest
import torch

from acl.losses import AngularContrastiveLoss, MarginCrossEntropy, angular_margin_classes, angular_margin_pairs, nt_xent

CLIPS, DIMENSIONS = 8, 32
SAME_CLIP = torch.arange(CLIPS).repeat(2)
# Classes of four: with views that coincide or oppose, a class holds positives at cosines 1 and -1 and at angles between.
LABELS = torch.arange(2 * CLIPS) % 4


def margin_cross_entropy(first: torch.Tensor, second: torch.Tensor) -> torch.Tensor:
    rows = torch.cat([first, second])
    return MarginCrossEntropy(0.3, 0.5)(rows, rows, LABELS)


LOSSES = {
    "nt_xent": lambda first, second: nt_xent(first, second, 0.2),
    "nt_xent, coldest": lambda first, second: nt_xent(first, second, 0.01),
    "margin of pairs": lambda first, second: angular_margin_pairs(first, second, 0.5),
    "widest margin of pairs": lambda first, second: angular_margin_pairs(first, second, torch.pi),
    "margin of classes": lambda first, second: angular_margin_classes(torch.cat([first, second]), LABELS, 0.5),
    "margin of classes, one each": lambda first, second: angular_margin_classes(torch.cat([first, second]), SAME_CLIP * 2, 0.5),
    "acl": lambda first, second: AngularContrastiveLoss(0.3, 0.5, 0.2)(first, second, first, second),
    "acl, coldest": lambda first, second: AngularContrastiveLoss(0.5, 0.5, 0.01)(first, second, first, second),
    "margin cross-entropy": margin_cross_entropy,
}


def random_rows() -> torch.Tensor:
    return torch.randn(CLIPS, DIMENSIONS, generator=torch.Generator().manual_seed(0))


def axes_with_duplicates() -> torch.Tensor:
    """Unit vectors, whose cosines are 1, -1 and 0 without rounding, also between clips."""
    axes = torch.eye(DIMENSIONS)[:CLIPS]
    axes[1], axes[2] = -axes[0], axes[0]
    return axes


def some_zero_rows() -> torch.Tensor:
    return random_rows().index_fill(0, torch.arange(0, CLIPS, 3), 0)


CASES = {
    "identical": (random_rows(), random_rows()),
    "opposed": (random_rows(), -random_rows()),
    "cosine exactly 1": (axes_with_duplicates(), axes_with_duplicates()),
    "cosine exactly -1": (axes_with_duplicates(), -axes_with_duplicates()),
    "all rows equal": (torch.ones(CLIPS, DIMENSIONS), torch.ones(CLIPS, DIMENSIONS)),
    "some zero rows": (some_zero_rows(), random_rows()),
    "zero rows only": (torch.zeros(CLIPS, DIMENSIONS), torch.zeros(CLIPS, DIMENSIONS)),
    "short": (random_rows() / 50, -random_rows() / 50),  # lengths of about 0.1
    "long": (1000 * random_rows(), -1000 * random_rows()),  # lengths of about 6000, whose squares float16 cannot hold
}


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32], ids=str)
@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("loss", LOSSES)
def test_value_and_gradient_are_finite(loss: str, case: str, dtype: torch.dtype) -> None:
    first, second = (view.to(dtype).detach().clone().requires_grad_() for view in CASES[case])
    value = LOSSES[loss](first, second)
    value.backward()
    assert value.dtype == torch.float32
    assert value.isfinite()
    for view in (first, second):
        assert view.grad is not None
        assert view.grad.dtype == dtype
        assert view.grad.isfinite().all()


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32], ids=str)
def test_coldest_nt_xent_of_known_views(dtype: torch.dtype) -> None:
    """Views on as many axes as clips: identical ones cost nothing, opposed ones 1 / 0.01 plus log of the 2N - 2 others at 0."""
    axes = torch.eye(CLIPS, dtype=dtype)
    assert nt_xent(axes, axes, 0.01).item() == pytest.approx(0, abs=1e-6)
    assert nt_xent(axes, -axes, 0.01).item() == pytest.approx(100 + math.log(2 * CLIPS - 2), rel=1e-6)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16], ids=str)
@pytest.mark.parametrize("loss", LOSSES)
def test_half_precision_has_the_gradient_of_single_precision(loss: str, dtype: torch.dtype) -> None:
    halves = [view.to(dtype).requires_grad_() for view in (random_rows(), random_rows().flip(0) + 0.5)]
    singles = [view.detach().float().requires_grad_() for view in halves]
    LOSSES[loss](*halves).backward()
    LOSSES[loss](*singles).backward()
    for half, single in zip(halves, singles, strict=True):
        assert half.grad is not None
        assert single.grad is not None
        tolerance = 2 * torch.finfo(dtype).eps
        torch.testing.assert_close(half.grad.float(), single.grad, rtol=tolerance, atol=tolerance * single.grad.abs().max().item())
