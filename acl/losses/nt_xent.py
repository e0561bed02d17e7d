"""NT-Xent, the contrastive loss of the paper (Eq. 1)."""

import torch
import torch.nn.functional as F
from torch import Tensor

from acl.losses.geometry import check_temperature, pairwise_cosines, stack_views


def nt_xent(first: Tensor, second: Tensor, temperature: float) -> Tensor:
    """Normalised temperature-scaled cross-entropy, mean over the 2N anchors.

        l_i = -log( exp(cos(z_i, z_p) / temperature) / Σ_{k≠i} exp(cos(z_i, z_k) / temperature) )

    where z holds both views and p is the other view of clip i. Rows are L2-normalised inside, so their length does not matter.
    Paper, Eq. 1.

    Args:
        first: `[N, D]`, one view of each clip.
        second: `[N, D]`, the other view.
        temperature: > 0.

    Returns:
        Scalar, float32 or wider.

    Raises:
        ValueError: shapes that differ or are not `[N, D]`, N < 2, or a temperature that is not positive.

    >>> first, second = torch.eye(2), torch.eye(2)
    >>> round(nt_xent(first, second, temperature=1.0).item(), 4)
    0.5514
    """
    check_temperature(temperature)
    views = stack_views(first, second)
    logits = (pairwise_cosines(views) / temperature).fill_diagonal_(-torch.inf)
    other_view = torch.arange(len(views), device=views.device).roll(len(first))
    return F.cross_entropy(logits, other_view)
