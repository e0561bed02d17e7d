"""ResNet-18 encoder (He et al., 2016) for one-channel spectrograms."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from acl.models.initialisation import weights_from


class ResNet18(nn.Module):
    """Encoder of the self-supervised runs: patches `[N, 1, frames, bands]` → h `[N, 8 * width]`, h ≥ 0.

    ResNet-18 without its classifier: 7×7 convolution with stride 2, 3×3 max pooling with stride 2, four stages of two basic blocks
    with width, 2, 4 and 8 times width channels, global average pooling. Convolutions start Kaiming-normal (fan-out).
    Width 64 is the paper's, with 11 170 240 parameters.

    Args:
        width: channels of the first stage.
        generator: draws the initial weights.
    """

    folds = (("conv1", "bn1"),)

    def __init__(self, width: int, generator: torch.Generator) -> None:
        super().__init__()
        self.embedding_dim = 8 * width
        with weights_from(generator):
            self.conv1 = nn.Conv2d(1, width, kernel_size=7, stride=2, padding=3, bias=False)
            self.bn1 = nn.BatchNorm2d(width)
            self.layer1 = _stage(width, width, stride=1)
            self.layer2 = _stage(width, 2 * width, stride=2)
            self.layer3 = _stage(2 * width, 4 * width, stride=2)
            self.layer4 = _stage(4 * width, 8 * width, stride=2)
            for module in self.modules():
                if isinstance(module, nn.Conv2d):
                    nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")

    def forward(self, patches: Tensor) -> Tensor:
        # ReLU and the maximum commute, gradients included: this order computes the same from a quarter of the values.
        x = F.max_pool2d(self.bn1(self.conv1(patches)), kernel_size=3, stride=2, padding=1)
        x = F.relu(x, inplace=True)
        x = self.layer4(self.layer3(self.layer2(self.layer1(x))))
        return x.mean(dim=(2, 3))


class BasicBlock(nn.Module):
    """Two 3×3 convolutions around which the input is added; a 1×1 convolution fits the input where the shape changes."""

    folds = (("conv1", "bn1"), ("conv2", "bn2"))

    def __init__(self, in_channels: int, channels: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(in_channels, channels, kernel_size=3, stride=stride, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(channels)
        self.conv2 = nn.Conv2d(channels, channels, kernel_size=3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(channels)
        self.downsample: nn.Module = nn.Identity()
        if stride != 1 or in_channels != channels:
            self.downsample = nn.Sequential(_PointwiseConv2d(in_channels, channels, stride), nn.BatchNorm2d(channels))

    def forward(self, x: Tensor) -> Tensor:
        # In place: no other layer and no gradient needs what BatchNorm gives.
        out = F.relu(self.bn1(self.conv1(x)), inplace=True)
        return F.relu(self.bn2(self.conv2(out)) + self.downsample(x), inplace=True)


class _PointwiseConv2d(nn.Conv2d):
    """1×1 convolution with stride, as one without stride over every stride-th frame and band, which is the same.

    With stride, channels_last and few channels (below 8 with AVX2), oneDNN writes past a buffer in the backward pass
    (github.com/uxlfoundation/oneDNN/issues/6035): wrong gradients, or the end of the process.
    """

    def __init__(self, in_channels: int, channels: int, stride: int) -> None:
        super().__init__(in_channels, channels, kernel_size=1, bias=False)
        self.subsampling = stride

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x[..., :: self.subsampling, :: self.subsampling])


def _stage(in_channels: int, channels: int, stride: int) -> nn.Sequential:
    return nn.Sequential(BasicBlock(in_channels, channels, stride), BasicBlock(channels, channels, stride=1))
