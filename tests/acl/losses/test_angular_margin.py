"""Angular margin loss against loops and the published code."""

import math
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from acl.losses import angular_margin_classes, angular_margin_pairs
from reference import loss_loops


def rows(seed: int, count: int, dimensions: int = 3) -> torch.Tensor:
    """Few dimensions, so that some negatives lie within the margin."""
    return torch.randn(count, dimensions, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


@pytest.mark.parametrize("margin", [0.0, 0.5, math.pi])
def test_pairs_equal_the_equation(margin: float) -> None:
    first, second = rows(0, 6), rows(1, 6)
    expected = loss_loops.angular_margin_pairs(first.numpy(), second.numpy(), margin)
    assert angular_margin_pairs(first, second, margin).item() == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("margin", [0.0, 0.5, math.pi])
def test_classes_equal_the_equation(margin: float) -> None:
    embeddings, labels = rows(2, 10), [0, 0, 1, 3, 1, 0, 3, 3, 2, 0]
    expected = loss_loops.angular_margin(embeddings.numpy(), labels, margin)
    assert angular_margin_classes(embeddings, torch.tensor(labels), margin).item() == pytest.approx(expected, rel=1e-12)


def test_by_hand() -> None:
    """Views 60° apart, clips at right angles: only the positives cost, (π/3)² for each anchor."""
    first = torch.tensor([[1.0, 0, 0, 0], [0, 0, 1, 0]])
    second = torch.tensor([[0.5, math.sqrt(0.75), 0, 0], [0, 0, 0.5, math.sqrt(0.75)]])
    assert angular_margin_pairs(first, second, 0.5).item() == pytest.approx((math.pi / 3) ** 2)


def test_separated_classes_cost_nothing() -> None:
    """Exactly nothing: a row is no positive of itself, though the clamped angle with itself is not zero."""
    assert angular_margin_classes(torch.eye(3), torch.arange(3), 0.5).item() == 0


@pytest.mark.reference
def test_pairs_equal_the_published_code(golden: dict[str, Any]) -> None:
    x = torch.from_numpy(golden["arrays"]["loss/rand/x"]).requires_grad_()
    value = angular_margin_pairs(x[:8], x[8:], 0.5) * 16 / 25
    value.backward()
    assert value.item() == pytest.approx(golden["loss"]["rand"]["amc_ssl"], rel=1e-6)
    np.testing.assert_allclose(x.grad.numpy(), golden["arrays"]["loss/rand/amc_ssl/grad_x"], rtol=1e-4, atol=1e-7)


@pytest.mark.reference
def test_classes_equal_the_published_code(golden: dict[str, Any]) -> None:
    x = torch.from_numpy(golden["arrays"]["loss/rand/x"]).requires_grad_()
    value = angular_margin_classes(x, torch.from_numpy(golden["arrays"]["loss/class_labels"]), 0.5) * 16 / 50
    value.backward()
    assert value.item() == pytest.approx(golden["loss"]["rand"]["amc_sup"], rel=1e-6)
    np.testing.assert_allclose(x.grad.numpy(), golden["arrays"]["loss/rand/amc_sup/grad_x"], rtol=1e-4, atol=1e-7)


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 2**30), clips=st.integers(2, 9), scale=st.floats(1e-3, 1e3), margin=st.floats(0, 3))
def test_does_not_depend_on_what_is_arbitrary(seed: int, clips: int, scale: float, margin: float) -> None:
    first, second = rows(seed, clips), rows(seed + 1, clips)
    value = angular_margin_pairs(first, second, margin).item()
    order = torch.randperm(clips, generator=torch.Generator().manual_seed(seed))
    rotation, _ = torch.linalg.qr(rows(seed, 3))
    assert angular_margin_pairs(second, first, margin).item() == pytest.approx(value)
    assert angular_margin_pairs(first[order], second[order], margin).item() == pytest.approx(value)
    assert angular_margin_pairs(first @ rotation, second @ rotation, margin).item() == pytest.approx(value)
    assert angular_margin_pairs(first * scale, second, margin).item() == pytest.approx(value)
    labels = torch.arange(clips).repeat(2)
    assert angular_margin_classes(torch.cat([first, second]), labels, margin).item() == pytest.approx(value)


def test_gradient_in_float64() -> None:
    first, second = (rows(seed, 3).requires_grad_() for seed in (3, 4))
    assert torch.autograd.gradcheck(lambda a, b: angular_margin_pairs(a, b, 1.0), (first, second))
    labels = torch.tensor([0, 1, 0])
    assert torch.autograd.gradcheck(lambda a: angular_margin_classes(a, labels, 1.0), (first,))


@pytest.mark.parametrize("sign", [1.0, -1.0])
@pytest.mark.parametrize("seed", range(5))
def test_gradient_is_finite_where_views_coincide_or_oppose(sign: float, seed: int) -> None:
    first = rows(seed, 8, dimensions=32).float().requires_grad_()
    angular_margin_pairs(first, sign * first, 0.5).backward()
    assert first.grad is not None
    assert first.grad.isfinite().all()


def test_gradient_is_finite_where_all_rows_are_equal() -> None:
    same = torch.ones(8, 32, requires_grad=True)
    angular_margin_classes(same, torch.arange(8) // 4, 0.5).backward()
    assert same.grad is not None
    assert same.grad.isfinite().all()


@pytest.mark.parametrize(
    ("embeddings", "labels", "margin", "message"),
    [
        (torch.ones(3, 4), torch.zeros(2, dtype=torch.int64), 0.5, "pass one per row"),
        (torch.ones(3, 4), torch.zeros(3), 0.5, "class ids"),
        (torch.ones(3, 4), torch.zeros(3, dtype=torch.int64), -0.1, "margin is -0.1 rad"),
        (torch.ones(3, 4), torch.zeros(3, dtype=torch.int64), 3.2, "margin is 3.2 rad"),
        (torch.ones(1, 4), torch.zeros(1, dtype=torch.int64), 0.5, "at least 2"),
        (torch.ones(4), torch.zeros(4, dtype=torch.int64), 0.5, r"expected \[N, D\]"),
    ],
)
def test_refuses_what_has_no_value(embeddings: torch.Tensor, labels: torch.Tensor, margin: float, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        angular_margin_classes(embeddings, labels, margin)
