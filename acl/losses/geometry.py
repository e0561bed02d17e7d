"""Cosines and angles between embeddings, and the checks that all losses share."""

import math

import torch
import torch.nn.functional as F
from torch import Tensor


def pairwise_cosines(embeddings: Tensor) -> Tensor:
    """Cosines `[N, N]` between all rows of `[N, D]`, in float32 or wider.

    Autocast is off inside: eight bits of mantissa cannot tell a cosine of 1 from one at 0.09 rad. A row of zeros has no direction:
    its cosines are 0 and its gradient is zero, where dividing by a tiny length would make it 1e12 and infinite in float16.
    """
    with torch.autocast(embeddings.device.type, enabled=False):
        rows = embeddings.to(torch.promote_types(embeddings.dtype, torch.float32))
        rows = F.normalize(rows.masked_fill((rows == 0).all(1, keepdim=True), 0), dim=1)
        return rows @ rows.T


def angles(cosines: Tensor) -> Tensor:
    """arccos in rad whose gradient is finite for every input.

    The derivative of arccos is infinite at ±1, where rounding also carries cosines beyond ±1. Inputs are therefore limited to one
    machine epsilon inside ±1; from there on the value is constant (0.0005 rad or its supplement in float32) and the gradient zero.

    >>> angles(torch.tensor([1.0, 0.0])).round(decimals=3)
    tensor([0.0000, 1.5710])
    """
    limit = 1 - torch.finfo(cosines.dtype).eps
    return torch.acos(cosines.clamp(-limit, limit))


def angles_slope(cosines: Tensor) -> Tensor:
    """Derivative of `angles`, -1 / sqrt(1 - cos²), zero where the value is constant."""
    limit = 1 - torch.finfo(cosines.dtype).eps
    slope = torch.addcmul(cosines.new_ones(()), cosines, cosines, value=-1).rsqrt_().neg_()
    return slope.masked_fill_(cosines.abs() > limit, 0)


def stack_views(first: Tensor, second: Tensor) -> Tensor:
    """Both views `[N, D]` stacked to `[2N, D]`; rows i and i + N are the two views of clip i.

    Raises:
        ValueError: the views differ in shape, are not `[N, D]`, or hold fewer than 2 clips.
    """
    if first.shape != second.shape:
        raise ValueError(f"views have shapes {list(first.shape)} and {list(second.shape)}; pass two views of the same clips")
    check_embeddings(first)
    check_embeddings(second)
    return torch.cat([first, second])


def check_embeddings(embeddings: Tensor) -> None:
    """Raises ValueError unless `embeddings` is a floating-point `[N, D]` with N ≥ 2."""
    if embeddings.ndim != 2:
        raise ValueError(f"embeddings have shape {list(embeddings.shape)}, expected [N, D]; flatten what is not a batch of vectors")
    if not embeddings.is_floating_point():
        raise ValueError(f"embeddings are {embeddings.dtype}, expected floating point; convert them")
    if len(embeddings) < 2:
        raise ValueError(f"batch has {len(embeddings)} rows, a loss over pairs needs at least 2; drop or enlarge the batch")


def check_margin(margin: float) -> None:
    """Raises ValueError unless 0 ≤ margin ≤ π."""
    if not 0 <= margin <= math.pi:
        degrees = f"; {margin:g} degrees are {math.radians(margin):.3f} rad" if math.pi < margin <= 180 else ""
        raise ValueError(f"margin is {margin} rad; angles lie between 0 and pi, choose a margin in that range{degrees}")


def check_temperature(temperature: float) -> None:
    """Raises ValueError unless temperature > 0."""
    if not (temperature > 0 and math.isfinite(temperature)):
        raise ValueError(f"temperature is {temperature}; choose a positive number, the paper's is 0.2")


def check_alpha(alpha: float, angular_scale: float) -> None:
    """Raises ValueError unless 0 ≤ alpha ≤ 1 and angular_scale ≥ 0."""
    if not 0 <= alpha <= 1:
        raise ValueError(f"alpha is {alpha}; the two losses are weighted alpha and 1 - alpha, choose a number between 0 and 1")
    if not (angular_scale >= 0 and math.isfinite(angular_scale)):
        raise ValueError(f"angular_scale is {angular_scale}; choose a finite number of at least 0")
