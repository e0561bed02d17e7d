"""The two weighted sums that training minimises: angular contrastive loss and margin cross-entropy."""

from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from acl.losses import AngularContrastiveLoss, MarginCrossEntropy, angular_margin_classes, angular_margin_pairs, nt_xent
from reference import loss_loops


def batch(seed: int = 0, clips: int = 6, dimensions: int = 8) -> list[torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    return [torch.randn(clips, width, generator=generator, dtype=torch.float64) for width in (dimensions, dimensions, 4, 4)]


def labelled_batch(seed: int = 0, rows: int = 9, classes: int = 4) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    logits = torch.randn(rows, classes, generator=generator, dtype=torch.float64)
    embeddings = torch.randn(rows, 3, generator=generator, dtype=torch.float64)
    return logits, embeddings, torch.randint(classes, (rows,), generator=generator)


def rotation(dimensions: int) -> torch.Tensor:
    matrix = torch.randn(dimensions, dimensions, generator=torch.Generator().manual_seed(99), dtype=torch.float64)
    return torch.linalg.qr(matrix)[0]


@pytest.mark.parametrize(("alpha", "margin", "temperature"), [(0.0, 0.5, 0.2), (0.3, 0.5, 0.2), (0.7, 2.0, 0.05), (1.0, 0.5, 1.0)])
def test_acl_is_the_equation_at_the_published_batch_size(alpha: float, margin: float, temperature: float) -> None:
    """128 clips: the published code divides the sum over ordered pairs, 256 times the mean over anchors, by 25."""
    h_first, h_second, z_first, z_second = batch(dimensions=3)
    h, z = (h_first.numpy(), h_second.numpy()), (z_first.numpy(), z_second.numpy())
    expected = loss_loops.angular_contrastive(h, z, alpha, margin, temperature, scale=256 / 25)
    value = AngularContrastiveLoss(alpha, margin, temperature)(h_first, h_second, z_first, z_second)
    assert value.item() == pytest.approx(expected, rel=1e-12)


def test_margin_cross_entropy_is_the_equation_at_batch_size_64() -> None:
    logits, embeddings, labels = labelled_batch()
    cross_entropy = loss_loops.cross_entropy(logits.numpy(), labels.tolist())
    margin_term = loss_loops.angular_margin(embeddings.numpy(), labels.tolist(), 0.5) * 64 / 50
    value = MarginCrossEntropy(0.4, 0.5)(logits, embeddings, labels)
    assert value.item() == pytest.approx(0.4 * cross_entropy + 0.6 * margin_term, rel=1e-12)


@settings(max_examples=10, deadline=None)
@given(seed=st.integers(0, 2**31), clips=st.integers(2, 8), scale=st.floats(0, 20))
def test_acl_ends_of_alpha(seed: int, clips: int, scale: float) -> None:
    h_first, h_second, z_first, z_second = batch(seed, clips)
    at_one = AngularContrastiveLoss(1.0, 0.5, 0.2, scale)(h_first, h_second, z_first, z_second)
    at_zero = AngularContrastiveLoss(0.0, 0.5, 0.2, scale)(h_first, h_second, z_first, z_second)
    assert at_one.item() == pytest.approx(nt_xent(z_first, z_second, 0.2).item())
    assert at_zero.item() == pytest.approx(scale * angular_margin_pairs(h_first, h_second, 0.5).item())


@settings(max_examples=10, deadline=None)
@given(seed=st.integers(0, 2**31), rows=st.integers(2, 9), scale=st.floats(0, 20))
def test_margin_cross_entropy_ends_of_alpha(seed: int, rows: int, scale: float) -> None:
    logits, embeddings, labels = labelled_batch(seed, rows)
    at_one = MarginCrossEntropy(1.0, 0.5, scale)(logits, embeddings, labels)
    at_zero = MarginCrossEntropy(0.0, 0.5, scale)(logits, embeddings, labels)
    assert at_one.item() == pytest.approx(torch.nn.functional.cross_entropy(logits, labels).item())
    assert at_zero.item() == pytest.approx(scale * angular_margin_classes(embeddings, labels, 0.5).item())


@settings(max_examples=10, deadline=None)
@given(seed=st.integers(0, 2**31), clips=st.integers(2, 8), scale=st.floats(1e-3, 1e3), alpha=st.floats(0, 1))
def test_acl_does_not_depend_on_what_is_arbitrary(seed: int, clips: int, scale: float, alpha: float) -> None:
    loss = AngularContrastiveLoss(alpha, 1.0, 0.2)
    h_first, h_second, z_first, z_second = batch(seed, clips, dimensions=3)
    value = pytest.approx(loss(h_first, h_second, z_first, z_second).item())
    order = torch.randperm(clips, generator=torch.Generator().manual_seed(seed))
    assert loss(h_second, h_first, z_second, z_first).item() == value
    assert loss(h_first[order], h_second[order], z_first[order], z_second[order]).item() == value
    assert loss(h_first @ rotation(3), h_second @ rotation(3), z_first @ rotation(4), z_second @ rotation(4)).item() == value
    assert loss(h_first * scale, h_second, z_first, z_second * scale).item() == value


@settings(max_examples=10, deadline=None)
@given(seed=st.integers(0, 2**31), rows=st.integers(2, 9), scale=st.floats(1e-3, 1e3), alpha=st.floats(0, 1))
def test_margin_cross_entropy_ignores_order_rotation_and_shift(seed: int, rows: int, scale: float, alpha: float) -> None:
    loss = MarginCrossEntropy(alpha, 1.0)
    logits, embeddings, labels = labelled_batch(seed, rows)
    value = pytest.approx(loss(logits, embeddings, labels).item())
    order = torch.randperm(rows, generator=torch.Generator().manual_seed(seed))
    assert loss(logits[order], embeddings[order], labels[order]).item() == value
    assert loss(logits, embeddings @ rotation(3) * scale, labels).item() == value
    assert loss(logits + scale, embeddings, labels).item() == value


@settings(max_examples=10, deadline=None)
@given(seed=st.integers(0, 2**31), alpha=st.floats(0, 1), margins=st.lists(st.floats(0, 3.1), min_size=2, max_size=5).map(sorted))
def test_never_fall_as_the_margin_grows(seed: int, alpha: float, margins: list[float]) -> None:
    tensors, labelled = batch(seed, dimensions=3), labelled_batch(seed)
    contrastive = [AngularContrastiveLoss(alpha, margin, 0.2)(*tensors).item() for margin in margins]
    supervised = [MarginCrossEntropy(alpha, margin)(*labelled).item() for margin in margins]
    assert contrastive == sorted(contrastive)
    assert supervised == sorted(supervised)


@pytest.mark.parametrize("labels", [[0, 1, 2, 3, 4], [2, 2, 2, 2, 2], [0, 1, 0, 0, 4]], ids=["all differ", "all equal", "mixed"])
def test_margin_cross_entropy_takes_any_mixture_of_labels(labels: list[int]) -> None:
    logits, embeddings, _ = labelled_batch(rows=5, classes=5)
    cross_entropy = loss_loops.cross_entropy(logits.numpy(), labels)
    margin_term = loss_loops.angular_margin(embeddings.numpy(), labels, 2.0)
    value = MarginCrossEntropy(0.4, 2.0, angular_scale=3.0)(logits, embeddings, torch.tensor(labels))
    assert value.item() == pytest.approx(0.4 * cross_entropy + 0.6 * 3.0 * margin_term, rel=1e-12)


@pytest.mark.reference
@pytest.mark.parametrize("alpha", [0.3, 0.7])
def test_acl_equals_the_published_code(golden: dict[str, Any], alpha: float) -> None:
    x = torch.from_numpy(golden["arrays"]["loss/rand/x"]).requires_grad_()
    value = AngularContrastiveLoss(alpha, 0.5, 0.2, angular_scale=16 / 25)(x[:8], x[8:], x[:8], x[8:])
    value.backward()
    assert value.item() == pytest.approx(golden["loss"]["rand"][f"ACL_ssl_alpha{alpha}_tau0.2"], rel=1e-6)
    expected = golden["arrays"][f"loss/rand/ACL_ssl_alpha{alpha}/grad_x"]
    np.testing.assert_allclose(x.grad.numpy(), expected, rtol=1e-5, atol=1e-6 * np.abs(expected).max())


@pytest.mark.reference
@pytest.mark.parametrize("alpha", [0.3, 0.7])
def test_margin_cross_entropy_equals_the_published_code(golden: dict[str, Any], alpha: float) -> None:
    x, logits, labels = (torch.from_numpy(golden["arrays"][f"loss/{name}"]) for name in ("rand/x", "logits", "class_labels"))
    parts = MarginCrossEntropy(alpha, 0.5, angular_scale=16 / 50).parts(logits, x, labels)
    assert parts.cross_entropy.item() == pytest.approx(golden["loss"]["CE"], rel=1e-6)
    assert parts.total.item() == pytest.approx(golden["loss"]["rand"][f"ACL_sup_alpha{alpha}"], rel=1e-6)


def test_gradients_in_float64() -> None:
    loss = AngularContrastiveLoss(0.5, 1.0, 0.2)
    assert torch.autograd.gradcheck(loss, [tensor.requires_grad_() for tensor in batch(clips=3)])
    logits, embeddings, labels = labelled_batch()
    supervised = MarginCrossEntropy(0.5, 1.0)
    assert torch.autograd.gradcheck(lambda a, b: supervised(a, b, labels), (logits.requires_grad_(), embeddings.requires_grad_()))


def test_alpha_zero_leaves_the_projections_without_gradient() -> None:
    tensors = [tensor.requires_grad_() for tensor in batch()]
    AngularContrastiveLoss(0.0, 0.5, 0.2)(*tensors).backward()
    assert all(tensor.grad is not None and not tensor.grad.any() for tensor in tensors[2:])
    assert all(tensor.grad is not None and tensor.grad.any() for tensor in tensors[:2])


def test_autocast_changes_nothing_but_the_inputs() -> None:
    tensors = [tensor.bfloat16() for tensor in batch()]
    outside = AngularContrastiveLoss(0.5, 0.5, 0.2)(*tensors)
    with torch.autocast("cpu", torch.bfloat16):
        inside = AngularContrastiveLoss(0.5, 0.5, 0.2)(*tensors)
    assert inside.dtype == torch.float32
    assert inside.item() == outside.item()


@pytest.mark.parametrize(
    ("settings_", "message"),
    [
        ({"alpha": 1.1}, "alpha is 1.1; .* choose a number between 0 and 1"),
        ({"alpha": float("nan")}, "alpha is nan"),
        ({"margin": -1.0}, "margin is -1.0 rad"),
        ({"margin": 30}, "margin is 30 rad; .* 30 degrees are 0.524 rad"),
        ({"temperature": 0.0}, "temperature is 0.0; choose a positive number"),
        ({"temperature": -0.2}, "temperature is -0.2"),
        ({"angular_scale": -1.0}, "angular_scale is -1.0"),
    ],
)
def test_acl_refuses_settings_out_of_range(settings_: dict[str, float], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        AngularContrastiveLoss(**({"alpha": 0.5, "margin": 0.5, "temperature": 0.2} | settings_))


@pytest.mark.parametrize(
    ("settings_", "message"), [({"alpha": -0.1}, "alpha is -0.1"), ({"margin": 30.0}, "30 degrees are 0.524 rad")]
)
def test_margin_cross_entropy_refuses_settings_out_of_range(settings_: dict[str, float], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        MarginCrossEntropy(**({"alpha": 0.5, "margin": 0.5} | settings_))


def test_parts_refuse_batches_of_different_size() -> None:
    h_first, h_second, z_first, z_second = batch()
    with pytest.raises(ValueError, match="h has 6 rows and z 5"):
        AngularContrastiveLoss(0.5, 0.5, 0.2)(h_first, h_second, z_first[:5], z_second[:5])
    logits, embeddings, labels = labelled_batch()
    with pytest.raises(ValueError, match="pass one row per embedding"):
        MarginCrossEntropy(0.5, 0.5)(logits[:5], embeddings, labels)
