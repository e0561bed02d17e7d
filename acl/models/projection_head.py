"""Projection head of the self-supervised runs."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from acl.models.initialisation import weights_from


class ProjectionHead(nn.Module):
    """h `[N, D]` → z `[N, D]` of length 1: Linear, BatchNorm, ReLU, Linear, L2 normalisation.

    With D = 512 it has 526 336 parameters. Linear layers start as torch's defaults.

    Args:
        dimensions: D, the encoder's `embedding_dim`.
        generator: draws the initial weights.
    """

    def __init__(self, dimensions: int, generator: torch.Generator) -> None:
        super().__init__()
        with weights_from(generator):
            self.layers = nn.Sequential(
                nn.Linear(dimensions, dimensions),
                nn.BatchNorm1d(dimensions),
                nn.ReLU(),
                nn.Linear(dimensions, dimensions),
            )

    def forward(self, h: Tensor) -> Tensor:
        return F.normalize(self.layers(h), dim=1)
