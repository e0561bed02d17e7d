"""The two weighted sums that training minimises: angular contrastive loss and margin cross-entropy."""

from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from acl.losses import AngularContrastiveLoss, MarginCrossEntropy, angular_margin_classes, angular_margin_pairs, nt_xent
from reference import loss_loops


def batch(seed: int = 0, clips: int = 6) -> list[torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    return [torch.randn(clips, dimensions, generator=generator, dtype=torch.float64) for dimensions in (8, 8, 4, 4)]


def labelled_batch(seed: int = 0) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    logits = torch.randn(9, 4, generator=generator, dtype=torch.float64)
    embeddings = torch.randn(9, 3, generator=generator, dtype=torch.float64)
    return logits, embeddings, torch.randint(4, (9,), generator=generator)


def test_acl_is_the_equation_at_the_published_batch_size() -> None:
    """128 clips: the published code divides the sum over ordered pairs, 256 times the mean over anchors, by 25."""
    h_first, h_second, z_first, z_second = batch()
    contrastive = loss_loops.nt_xent(z_first.numpy(), z_second.numpy(), 0.2)
    margin_term = loss_loops.angular_margin_pairs(h_first.numpy(), h_second.numpy(), 0.5) * 256 / 25
    value = AngularContrastiveLoss(0.3, 0.5, 0.2)(h_first, h_second, z_first, z_second)
    assert value.item() == pytest.approx(0.3 * contrastive + 0.7 * margin_term, rel=1e-12)


def test_margin_cross_entropy_is_the_equation_at_the_published_batch_size() -> None:
    logits, embeddings, labels = labelled_batch()
    cross_entropy = loss_loops.cross_entropy(logits.numpy(), labels.tolist())
    margin_term = loss_loops.angular_margin(embeddings.numpy(), labels.tolist(), 0.5) * 64 / 50
    value = MarginCrossEntropy(0.4, 0.5)(logits, embeddings, labels)
    assert value.item() == pytest.approx(0.4 * cross_entropy + 0.6 * margin_term, rel=1e-12)


@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 2**31), clips=st.integers(2, 8), scale=st.floats(0, 20))
def test_acl_ends_of_alpha(seed: int, clips: int, scale: float) -> None:
    h_first, h_second, z_first, z_second = batch(seed, clips)
    at_one = AngularContrastiveLoss(1.0, 0.5, 0.2, scale)(h_first, h_second, z_first, z_second)
    at_zero = AngularContrastiveLoss(0.0, 0.5, 0.2, scale)(h_first, h_second, z_first, z_second)
    assert at_one.item() == pytest.approx(nt_xent(z_first, z_second, 0.2).item())
    assert at_zero.item() == pytest.approx(scale * angular_margin_pairs(h_first, h_second, 0.5).item())


def test_margin_cross_entropy_ends_of_alpha() -> None:
    logits, embeddings, labels = labelled_batch()
    at_one = MarginCrossEntropy(1.0, 0.5)(logits, embeddings, labels)
    at_zero = MarginCrossEntropy(0.0, 0.5, 2.0)(logits, embeddings, labels)
    assert at_one.item() == pytest.approx(torch.nn.functional.cross_entropy(logits, labels).item())
    assert at_zero.item() == pytest.approx(2 * angular_margin_classes(embeddings, labels, 0.5).item())


@pytest.mark.reference
@pytest.mark.parametrize("alpha", [0.3, 0.7])
def test_acl_equals_the_published_code(golden: dict[str, Any], alpha: float) -> None:
    x = torch.from_numpy(golden["arrays"]["loss/rand/x"]).requires_grad_()
    value = AngularContrastiveLoss(alpha, 0.5, 0.2, angular_scale=16 / 25)(x[:8], x[8:], x[:8], x[8:])
    value.backward()
    assert value.item() == pytest.approx(golden["loss"]["rand"][f"ACL_ssl_alpha{alpha}_tau0.2"], rel=1e-6)
    expected = golden["arrays"][f"loss/rand/ACL_ssl_alpha{alpha}/grad_x"]
    np.testing.assert_allclose(x.grad.numpy(), expected, rtol=1e-4, atol=1e-7)


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
        ({"alpha": 1.1}, "alpha is 1.1"),
        ({"alpha": float("nan")}, "alpha is nan"),
        ({"margin": -1.0}, "margin is -1.0 rad"),
        ({"temperature": -0.2}, "temperature is -0.2"),
        ({"angular_scale": -1.0}, "angular_scale is -1.0"),
    ],
)
def test_acl_refuses_settings_out_of_range(settings_: dict[str, float], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        AngularContrastiveLoss(**({"alpha": 0.5, "margin": 0.5, "temperature": 0.2} | settings_))


@pytest.mark.parametrize(("settings_", "message"), [({"alpha": -0.1}, "alpha is -0.1"), ({"margin": 4.0}, "margin is 4.0 rad")])
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
