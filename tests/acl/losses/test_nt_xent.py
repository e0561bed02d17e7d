"""NT-Xent against loops, an independent library and the published code."""

from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from pytorch_metric_learning.losses import NTXentLoss

from acl.losses import nt_xent
from reference import loss_loops


def views(seed: int, clips: int = 5, dimensions: int = 7, dtype: torch.dtype = torch.float64) -> tuple[torch.Tensor, torch.Tensor]:
    first, second = torch.randn(2, clips, dimensions, generator=torch.Generator().manual_seed(seed), dtype=dtype)
    return first, second


@pytest.mark.parametrize("temperature", [0.01, 0.2, 1.0])
def test_equals_the_equation(temperature: float) -> None:
    first, second = views(0)
    expected = loss_loops.nt_xent(first.numpy(), second.numpy(), temperature)
    assert nt_xent(first, second, temperature).item() == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("temperature", [0.01, 0.07, 0.2, 1.0])
def test_equals_pytorch_metric_learning(temperature: float) -> None:
    first, second = (view.requires_grad_() for view in views(1, clips=16))
    expected = NTXentLoss(temperature)(torch.cat([first, second]), torch.arange(16).repeat(2))
    actual = nt_xent(first, second, temperature)
    assert actual.item() == pytest.approx(expected.item(), rel=1e-9)
    for ours, theirs in zip(*(torch.autograd.grad(value, (first, second)) for value in (actual, expected)), strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-8, atol=1e-10)


@pytest.mark.reference
@pytest.mark.parametrize("temperature", ["0.2", "0.07"])
def test_equals_the_published_code(golden: dict[str, Any], temperature: str) -> None:
    x = torch.from_numpy(golden["arrays"]["loss/rand/x"]).requires_grad_()
    value = nt_xent(x[:8], x[8:], float(temperature))
    value.backward()
    assert value.item() == pytest.approx(golden["loss"]["rand"][f"ntxent_tau{temperature}"], rel=1e-6)
    expected = torch.from_numpy(golden["arrays"][f"loss/rand/ntxent_tau{temperature}/grad_x"])
    torch.testing.assert_close(x.grad, expected, rtol=1e-5, atol=1e-6 * expected.abs().max().item())


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 2**31), clips=st.integers(2, 9), scale=st.floats(1e-3, 1e3), temperature=st.floats(0.05, 2))
def test_does_not_depend_on_what_is_arbitrary(seed: int, clips: int, scale: float, temperature: float) -> None:
    first, second = views(seed, clips)
    value = nt_xent(first, second, temperature).item()
    order = torch.randperm(clips, generator=torch.Generator().manual_seed(seed))
    rotation, _ = torch.linalg.qr(views(seed, clips=7)[0])
    assert nt_xent(second, first, temperature).item() == pytest.approx(value)
    assert nt_xent(first[order], second[order], temperature).item() == pytest.approx(value)
    assert nt_xent(first @ rotation, second @ rotation, temperature).item() == pytest.approx(value)
    assert nt_xent(first * scale, second, temperature).item() == pytest.approx(value)


def test_gradient_in_float64() -> None:
    first, second = (view.requires_grad_() for view in views(2, clips=3, dimensions=4))
    assert torch.autograd.gradcheck(lambda a, b: nt_xent(a, b, 0.2), (first, second))


def test_stays_finite_where_exponentials_overflow() -> None:
    first, _ = views(3, dtype=torch.float32)
    first.requires_grad_()
    value = nt_xent(first, first, 0.005)  # exp(200) is infinite in float32
    value.backward()
    assert value.isfinite()
    assert first.grad is not None
    assert first.grad.isfinite().all()


def test_bfloat16_input_is_compared_in_float32() -> None:
    first, second = (view.bfloat16() for view in views(4))
    value = nt_xent(first, second, 0.2)
    assert value.dtype == torch.float32
    assert value.item() == pytest.approx(nt_xent(first.double(), second.double(), 0.2).item(), rel=1e-5)


@pytest.mark.parametrize(
    ("first", "second", "temperature", "message"),
    [
        (torch.ones(3, 4), torch.ones(2, 4), 0.2, "pass two views of the same clips"),
        (torch.ones(3, 4, 1), torch.ones(3, 4, 1), 0.2, r"expected \[N, D\]"),
        (torch.ones(1, 4), torch.ones(1, 4), 0.2, "at least 2"),
        (torch.ones(3, 4, dtype=torch.int64), torch.ones(3, 4, dtype=torch.int64), 0.2, "floating point"),
        (torch.ones(3, 4), torch.ones(3, 4), 0.0, "temperature is 0.0; choose a positive number"),
        (torch.ones(3, 4), torch.ones(3, 4), -0.2, "temperature is -0.2; choose a positive number"),
        (torch.ones(3, 4), torch.ones(3, 4), float("nan"), "temperature is nan"),
    ],
)
def test_refuses_what_has_no_value(first: torch.Tensor, second: torch.Tensor, temperature: float, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        nt_xent(first, second, temperature)
