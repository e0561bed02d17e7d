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


@settings(max_examples=25, deadline=None)
@given(
    seed=st.integers(0, 2**30),
    margin=st.sampled_from([0.0, 0.5, 2.0, math.pi]),
    labels=st.one_of(
        st.integers(2, 8).map(lambda count: [*range(count)]),  # nothing but negatives
        st.integers(2, 8).map(lambda count: [7] * count),  # nothing but positives
        st.lists(st.integers(0, 3), min_size=2, max_size=8),
    ),
)
def test_classes_equal_the_equation(seed: int, margin: float, labels: list[int]) -> None:
    embeddings = rows(seed, len(labels))
    expected = loss_loops.angular_margin(embeddings.numpy(), labels, margin)
    assert angular_margin_classes(embeddings, torch.tensor(labels), margin).item() == pytest.approx(expected, rel=1e-9, abs=1e-15)


def test_by_hand() -> None:
    """Views 60° apart, clips at right angles: only the positives cost, (π/3)² for each anchor."""
    first = torch.tensor([[1.0, 0, 0, 0], [0, 0, 1, 0]])
    second = torch.tensor([[0.5, math.sqrt(0.75), 0, 0], [0, 0, 0.5, math.sqrt(0.75)]])
    assert angular_margin_pairs(first, second, 0.5).item() == pytest.approx((math.pi / 3) ** 2)


def test_separated_classes_cost_nothing() -> None:
    """Exactly nothing: a row is no positive of itself, though the clamped angle with itself is not zero."""
    assert angular_margin_classes(torch.eye(3), torch.arange(3), 0.5).item() == 0


def assert_gradient(x: torch.Tensor, expected: np.ndarray) -> None:
    """To 1e-5 of each entry, or, where terms cancel, 1e-6 of the largest entry."""
    assert x.grad is not None
    np.testing.assert_allclose(x.grad.numpy(), expected, rtol=1e-5, atol=1e-6 * np.abs(expected).max())


@pytest.mark.reference
def test_pairs_equal_the_published_code(golden: dict[str, Any]) -> None:
    x = torch.from_numpy(golden["arrays"]["loss/rand/x"]).requires_grad_()
    value = angular_margin_pairs(x[:8], x[8:], 0.5) * 16 / 25
    value.backward()
    assert value.item() == pytest.approx(golden["loss"]["rand"]["amc_ssl"], rel=1e-6)
    assert_gradient(x, golden["arrays"]["loss/rand/amc_ssl/grad_x"])


@pytest.mark.reference
def test_classes_equal_the_published_code(golden: dict[str, Any]) -> None:
    x = torch.from_numpy(golden["arrays"]["loss/rand/x"]).requires_grad_()
    value = angular_margin_classes(x, torch.from_numpy(golden["arrays"]["loss/class_labels"]), 0.5) * 16 / 50
    value.backward()
    assert value.item() == pytest.approx(golden["loss"]["rand"]["amc_sup"], rel=1e-6)
    assert_gradient(x, golden["arrays"]["loss/rand/amc_sup/grad_x"])


@pytest.mark.reference
def test_identical_views_have_zero_loss_and_a_finite_gradient(golden: dict[str, Any]) -> None:
    """Both clamps leave at most about one float32 epsilon per positive pair: the sums over 16 of them are below 2e-7."""
    published = golden["loss"]["both_views_identical"]
    assert published["grad_nonfinite_entries"] == 192
    x = torch.from_numpy(golden["arrays"]["loss/rand/x"])[:8].requires_grad_()
    of_pairs = angular_margin_pairs(x, x, 0.5) * 16 / 25
    of_classes = angular_margin_classes(torch.cat([x, x]), torch.arange(8).repeat(2), 0.5) * 16 / 50
    assert of_pairs.item() == pytest.approx(published["amc_ssl"], abs=2e-7)
    assert of_classes.item() == pytest.approx(published["amc_sup"], abs=1e-7)
    (of_pairs + of_classes).backward()
    assert x.grad is not None
    assert x.grad.abs().max() < 1e-6


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


@settings(max_examples=25, deadline=None)
@given(
    seed=st.integers(0, 2**30),
    labels=st.lists(st.integers(0, 3), min_size=2, max_size=8),
    scale=st.floats(1e-3, 1e3),
    margin=st.floats(0, 3),
)
def test_of_classes_does_not_depend_on_what_is_arbitrary(seed: int, labels: list[int], scale: float, margin: float) -> None:
    embeddings, classes = rows(seed, len(labels)), torch.tensor(labels)
    value = pytest.approx(angular_margin_classes(embeddings, classes, margin).item())
    order = torch.randperm(len(labels), generator=torch.Generator().manual_seed(seed))
    rotation, _ = torch.linalg.qr(rows(seed, 3))
    assert angular_margin_classes(embeddings[order], classes[order], margin).item() == value
    assert angular_margin_classes(embeddings @ rotation * scale, classes, margin).item() == value
    assert angular_margin_classes(embeddings, 17 - 5 * classes, margin).item() == value  # names of classes do not matter


@settings(max_examples=25, deadline=None)
@given(
    seed=st.integers(0, 2**30),
    labels=st.lists(st.integers(0, 3), min_size=4, max_size=4),
    margins=st.lists(st.floats(0, math.pi), min_size=2, max_size=6).map(sorted),
)
def test_never_falls_as_the_margin_grows(seed: int, labels: list[int], margins: list[float]) -> None:
    first, second = rows(seed, 4), rows(seed + 1, 4)
    of_pairs = [angular_margin_pairs(first, second, margin).item() for margin in margins]
    of_classes = [angular_margin_classes(first, torch.tensor(labels), margin).item() for margin in margins]
    assert of_pairs == sorted(of_pairs)
    assert of_classes == sorted(of_classes)
    assert angular_margin_pairs(first, second, math.pi) > angular_margin_pairs(first, second, 0.0)


def test_gradient_in_float64() -> None:
    first, second = (rows(seed, 3).requires_grad_() for seed in (3, 4))
    assert torch.autograd.gradcheck(lambda a, b: angular_margin_pairs(a, b, 1.0), (first, second))
    labels = torch.tensor([0, 1, 0])
    assert torch.autograd.gradcheck(lambda a: angular_margin_classes(a, labels, 1.0), (first,))


@pytest.mark.parametrize(
    ("embeddings", "labels", "margin", "message"),
    [
        (torch.ones(3, 4), torch.zeros(2, dtype=torch.int64), 0.5, "pass one per row"),
        (torch.ones(3, 4), torch.zeros(3), 0.5, "class ids"),
        (torch.ones(3, 4), torch.zeros(3, dtype=torch.int64), -0.1, "margin is -0.1 rad"),
        (torch.ones(3, 4), torch.zeros(3, dtype=torch.int64), 3.2, "margin is 3.2 rad; angles lie between 0 and pi"),
        (torch.ones(3, 4), torch.zeros(3, dtype=torch.int64), 30, "margin is 30 rad; .* 30 degrees are 0.524 rad"),
        (torch.ones(1, 4), torch.zeros(1, dtype=torch.int64), 0.5, "at least 2"),
        (torch.ones(4), torch.zeros(4, dtype=torch.int64), 0.5, r"expected \[N, D\]"),
    ],
)
def test_refuses_what_has_no_value(embeddings: torch.Tensor, labels: torch.Tensor, margin: float, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        angular_margin_classes(embeddings, labels, margin)


def test_pairs_refuse_what_has_no_value() -> None:
    with pytest.raises(ValueError, match=r"\[3, 4\] and \[2, 4\]; pass two views of the same clips"):
        angular_margin_pairs(torch.ones(3, 4), torch.ones(2, 4), 0.5)
    with pytest.raises(ValueError, match=r"1 rows, .* at least 2; drop or enlarge the batch"):
        angular_margin_pairs(torch.ones(1, 4), torch.ones(1, 4), 0.5)
    with pytest.raises(ValueError, match=r"margin is 45 rad; .* 45 degrees are 0.785 rad"):
        angular_margin_pairs(torch.ones(3, 4), torch.ones(3, 4), 45)
