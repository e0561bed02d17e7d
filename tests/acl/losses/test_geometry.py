"""Angles whose gradient is finite."""

import math

import pytest
import torch

from acl.losses.geometry import angles, check_margin, pairwise_cosines


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("cosine", [-1.0000001, -1.0, -0.99999994, 0.0, 0.99999994, 1.0, 1.0000001])
def test_gradient_is_finite(dtype: torch.dtype, cosine: float) -> None:
    cosines = torch.tensor([cosine], dtype=dtype, requires_grad=True)
    angle = angles(cosines)
    angle.backward()
    assert angle.item() == pytest.approx(math.acos(max(-1.0, min(1.0, cosine))), abs=1e-3)
    assert cosines.grad is not None
    assert cosines.grad.isfinite().all()


def test_equals_arccos_away_from_one() -> None:
    cosines = torch.linspace(-0.999, 0.999, 101, dtype=torch.float64)
    torch.testing.assert_close(angles(cosines), torch.acos(cosines), rtol=0, atol=0)


def test_autocast_does_not_round_the_cosines() -> None:
    rows = torch.randn(6, 32, generator=torch.Generator().manual_seed(0))
    with torch.autocast("cpu", torch.bfloat16):
        inside = pairwise_cosines(rows)
    torch.testing.assert_close(inside, pairwise_cosines(rows), rtol=0, atol=0)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32])
def test_zero_rows_have_cosine_zero_and_no_gradient(dtype: torch.dtype) -> None:
    rows = torch.tensor([[0.0, 0.0], [1.0, 0.0], [3.0, 4.0]], dtype=dtype, requires_grad=True)
    cosines = pairwise_cosines(rows)
    cosines.sum().backward()
    assert cosines[0].tolist() == cosines[:, 0].tolist() == [0, 0, 0]
    assert rows.grad is not None
    assert not rows.grad[0].any()
    assert rows.grad[1:].isfinite().all()
    assert rows.grad[1].any()


@pytest.mark.parametrize(
    ("margin", "message"),
    [
        (30, "margin is 30 rad; angles lie between 0 and pi, choose a margin in that range; 30 degrees are 0.524 rad"),
        (-0.1, "margin is -0.1 rad; angles lie between 0 and pi, choose a margin in that range"),
        (float("nan"), "margin is nan rad; angles lie between 0 and pi, choose a margin in that range"),
        (float("inf"), "margin is inf rad; angles lie between 0 and pi, choose a margin in that range"),
    ],
)
def test_a_margin_out_of_range_is_refused_with_the_remedy(margin: float, message: str) -> None:
    with pytest.raises(ValueError, match=f"^{message}$"):
        check_margin(margin)
