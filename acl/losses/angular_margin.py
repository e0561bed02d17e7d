"""Angular margin loss (AMC) over pairs of views and over classes (paper, Eq. 2)."""

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from acl.losses.geometry import angles, angles_slope, check_embeddings, check_margin, pairwise_cosines, stack_views


def angular_margin_pairs(first: Tensor, second: Tensor, margin: float) -> Tensor:
    """Angular margin loss whose positives are the two views of a clip; rad², mean over the 2N anchors.

        l_i = θ_ip² + Σ_{k≠i,p} max(0, margin - θ_ik)²,    θ_ik = arccos(cos(h_i, h_k))

    where h holds both views and p is the other view of clip i. Paper, Eq. 2. The published code sums over all ordered pairs and
    divides by 25 instead: at N clips that is this value times 2N / 25.

    Args:
        first: `[N, D]`, one view of each clip.
        second: `[N, D]`, the other view.
        margin: rad, 0 to π.

    Returns:
        Scalar, float32 or wider; its gradient is finite also where two views coincide.

    Raises:
        ValueError: shapes that differ or are not `[N, D]`, N < 2, or a margin outside 0 to π.

    >>> first, second = torch.eye(2), torch.eye(2).flip(0)
    >>> angular_margin_pairs(first, second, margin=0.5) # each view is 90° from its partner, and equals a view of the other clip
    tensor(2.7169)
    """
    check_margin(margin)
    views = stack_views(first, second)
    clip = torch.arange(len(first), device=views.device).repeat(2)
    return _mean_over_anchors(views, clip, margin)


def angular_margin_classes(embeddings: Tensor, labels: Tensor, margin: float) -> Tensor:
    """Angular margin loss whose positives are all other rows of the same class; rad², mean over the N anchors.

        l_i = Σ_{k≠i, y_k = y_i} θ_ik² + Σ_{k: y_k ≠ y_i} max(0, margin - θ_ik)²,    θ_ik = arccos(cos(h_i, h_k))

    Paper, Eq. 2, with class labels as in Choi et al., "AMC-loss" (2020). The published code sums over all ordered pairs and
    divides by 50 instead: at N rows that is this value times N / 50.

    Args:
        embeddings: `[N, D]`.
        labels: `[N]`, integer class ids.
        margin: rad, 0 to π.

    Returns:
        Scalar, float32 or wider; its gradient is finite also where two rows coincide.

    Raises:
        ValueError: embeddings that are not `[N, D]`, N < 2, labels that are not `[N]` integers, or a margin outside 0 to π.
    """
    check_margin(margin)
    check_embeddings(embeddings)
    if labels.shape != embeddings.shape[:1] or labels.is_floating_point():
        raise ValueError(
            f"labels are {list(labels.shape)} {labels.dtype}, expected [{len(embeddings)}] class ids; pass one per row"
        )
    return _mean_over_anchors(embeddings, labels, margin)


def _mean_over_anchors(embeddings: Tensor, group: Tensor, margin: float) -> Tensor:
    """Positives are the pairs of one group; a row is no pair with itself."""
    sums: Tensor = _SumsOfPairs.apply(pairwise_cosines(embeddings), group, margin)
    return sums.mean()


class _SumsOfPairs(torch.autograd.Function):
    """l_i `[N]` of all anchors from cosines `[N, N]`; of all its steps, the backward pass keeps one matrix, dl/dcos."""

    @staticmethod
    def forward(ctx: Any, cosines: Tensor, group: Tensor, margin: float) -> Tensor:
        angle = angles(cosines)
        # What a pair is too far apart, or too close (negative): its square is the loss.
        excess = torch.where(group[:, None] == group, angle, (angle - margin).clamp_(max=0)).fill_diagonal_(0)
        ctx.save_for_backward(excess * angles_slope(cosines).mul_(2))
        return excess.square_().sum(1)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None, None]:
        (slope,) = ctx.saved_tensors
        return gradient[:, None] * slope, None, None
