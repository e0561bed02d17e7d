"""CNN baseline of FSDnoisy18k (Fonseca et al., 2019), the network of the supervised runs."""

import torch
from torch import Tensor, nn

from acl.models.initialisation import weights_from

INPUT_SHAPE = (100, 96)  # frames, bands


class BaselineCnn(nn.Module):
    """Patches `[N, 1, 100, 96]` → logits `[N, classes]` and embeddings `[N, 48]`.

    Three 5×5 convolutions with pre-activation, then two dense layers; 531 238 parameters with 20 classes. The embedding, on which
    the angular margin acts, is the global maximum of the third convolution before its BatchNorm and ReLU, so it may be negative.
    The recipe has each pooling behind its ReLU. Here the pooling comes first, which gives the same values and the same gradients
    bit for bit, and spares the ReLU seven of eight values.

    Args:
        classes: number of classes.
        dropout: probability, before each dense layer.
        generator: draws the initial weights.
    """

    def __init__(self, classes: int, dropout: float, generator: torch.Generator) -> None:
        super().__init__()
        with weights_from(generator):
            self.convolutions = nn.Sequential(
                nn.BatchNorm2d(1),
                nn.ReLU(),
                nn.Conv2d(1, 24, kernel_size=5, padding="same"),
                nn.BatchNorm2d(24),
                nn.MaxPool2d((4, 2)),
                nn.ReLU(),
                nn.BatchNorm2d(24),
                nn.ReLU(),
                nn.Conv2d(24, 48, kernel_size=5, padding="same"),
                nn.BatchNorm2d(48),
                nn.MaxPool2d((4, 2)),
                nn.ReLU(),
                nn.BatchNorm2d(48),
                nn.ReLU(),
                nn.Conv2d(48, 48, kernel_size=5, padding="same"),
            )
            self.classifier = nn.Sequential(
                nn.BatchNorm2d(48),
                nn.ReLU(),
                nn.Flatten(),
                nn.Dropout(dropout),
                nn.Linear(48 * (INPUT_SHAPE[0] // 16) * (INPUT_SHAPE[1] // 4), 64),
                nn.ReLU(),
                nn.Dropout(dropout),
                nn.Linear(64, classes),
            )

    def forward(self, patches: Tensor) -> tuple[Tensor, Tensor]:
        maps = self.convolutions(patches)
        return self.classifier(maps), maps.amax(dim=(2, 3))
