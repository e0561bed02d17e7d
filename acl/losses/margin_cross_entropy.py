"""Cross-entropy with an angular margin between classes, the paper's supervised loss."""

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from acl.losses.angular_margin import angular_margin_classes
from acl.losses.geometry import check_alpha, check_margin


class MarginCrossEntropyParts(NamedTuple):
    """The loss and its two parts, before they are weighted; `angular_margin` is in rad²."""

    total: Tensor
    cross_entropy: Tensor
    angular_margin: Tensor


class MarginCrossEntropy(nn.Module):
    """Cross-entropy plus angular margin.

        L = alpha * cross_entropy(logits, y) + (1 - alpha) * angular_scale * angular_margin_classes(h, y)

    Paper, Sec. 3. `angular_scale` 64 / 50 gives the margin term the weight that it has in the published code at batches of 64
    patches, at every batch size.

    Args:
        alpha: weight of the cross-entropy, 0 to 1.
        margin: rad, 0 to π.
        angular_scale: factor of the angular part, ≥ 0.

    Raises:
        ValueError: a setting outside its range.

    >>> loss = MarginCrossEntropy(alpha=1.0, margin=0.5)
    >>> loss(torch.zeros(4, 20), torch.randn(4, 48), torch.tensor([0, 0, 1, 2]))  # log 20
    tensor(2.9957)
    """

    def __init__(self, alpha: float, margin: float, angular_scale: float = 1.28) -> None:
        super().__init__()
        check_alpha(alpha, angular_scale)
        check_margin(margin)
        self.alpha = alpha
        self.margin = margin
        self.angular_scale = angular_scale

    def parts(self, logits: Tensor, embeddings: Tensor, labels: Tensor) -> MarginCrossEntropyParts:
        """Loss and parts of one batch.

        Args:
            logits: `[N, classes]`.
            embeddings: `[N, D]`.
            labels: `[N]`, integer class ids.

        Raises:
            ValueError: shapes that do not fit together, or N < 2.
        """
        if logits.ndim != 2 or len(logits) != len(embeddings):
            raise ValueError(
                f"logits have shape {list(logits.shape)}, expected [{len(embeddings)}, classes]; pass one row per embedding"
            )
        angular_margin = angular_margin_classes(embeddings, labels, self.margin)
        cross_entropy = F.cross_entropy(logits.to(torch.promote_types(logits.dtype, torch.float32)), labels)
        total = self.alpha * cross_entropy + (1 - self.alpha) * self.angular_scale * angular_margin
        return MarginCrossEntropyParts(total, cross_entropy, angular_margin)

    def forward(self, logits: Tensor, embeddings: Tensor, labels: Tensor) -> Tensor:
        """Scalar loss of one batch; arguments and errors as `parts`."""
        return self.parts(logits, embeddings, labels).total

    def extra_repr(self) -> str:
        return f"alpha={self.alpha}, margin={self.margin}, angular_scale={self.angular_scale}"
