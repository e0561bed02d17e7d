"""Angular contrastive loss, the paper's contribution (Eq. 3)."""

from typing import NamedTuple

from torch import Tensor, nn

from acl.losses.angular_margin import angular_margin_pairs
from acl.losses.geometry import check_alpha, check_margin, check_temperature
from acl.losses.nt_xent import nt_xent


class AngularContrastiveParts(NamedTuple):
    """The loss and its two parts, before they are weighted; `angular_margin` is in rad²."""

    total: Tensor
    contrastive: Tensor
    angular_margin: Tensor


class AngularContrastiveLoss(nn.Module):
    """Angular contrastive loss of two views.

        L = alpha * nt_xent(z) + (1 - alpha) * angular_scale * angular_margin_pairs(h)

    Paper, Eq. 3; the margin acts on the encoder's h, before the projection head. `angular_scale` 256 / 25 gives the margin term
    the weight that it has in the published code at batches of 128 clips, at every batch size.

    Args:
        alpha: weight of the contrastive part, 0 to 1.
        margin: rad, 0 to π.
        temperature: of the contrastive part, > 0.
        angular_scale: factor of the angular part, ≥ 0.

    Raises:
        ValueError: a setting outside its range.

    >>> import torch
    >>> h_first, h_second, z_first, z_second = torch.randn(4, 8, 16, generator=torch.Generator().manual_seed(0))
    >>> loss = AngularContrastiveLoss(alpha=0.3, margin=0.5, temperature=0.2)
    >>> loss(h_first, h_second, z_first, z_second).shape
    torch.Size([])
    """

    def __init__(self, alpha: float, margin: float, temperature: float, angular_scale: float = 10.24) -> None:
        super().__init__()
        check_alpha(alpha, angular_scale)
        check_margin(margin)
        check_temperature(temperature)
        self.alpha = alpha
        self.margin = margin
        self.temperature = temperature
        self.angular_scale = angular_scale

    def parts(self, h_first: Tensor, h_second: Tensor, z_first: Tensor, z_second: Tensor) -> AngularContrastiveParts:
        """Loss and parts of one batch.

        Args:
            h_first: `[N, D]` embeddings of one view of each clip, before the projection head.
            h_second: `[N, D]`, of the other view.
            z_first: `[N, E]` projections of `h_first`.
            z_second: `[N, E]` projections of `h_second`.

        Raises:
            ValueError: shapes that differ or are not `[N, D]`, or N < 2.
        """
        if len(h_first) != len(z_first):
            raise ValueError(f"h has {len(h_first)} rows and z {len(z_first)}; pass both for the same clips")
        contrastive = nt_xent(z_first, z_second, self.temperature)
        angular_margin = angular_margin_pairs(h_first, h_second, self.margin)
        total = self.alpha * contrastive + (1 - self.alpha) * self.angular_scale * angular_margin
        return AngularContrastiveParts(total, contrastive, angular_margin)

    def forward(self, h_first: Tensor, h_second: Tensor, z_first: Tensor, z_second: Tensor) -> Tensor:
        """Scalar loss of one batch; arguments and errors as `parts`."""
        return self.parts(h_first, h_second, z_first, z_second).total

    def extra_repr(self) -> str:
        return f"alpha={self.alpha}, margin={self.margin}, temperature={self.temperature}, angular_scale={self.angular_scale}"
