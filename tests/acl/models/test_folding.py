"""Networks with folded BatchNorm layers: they compute the same as before."""

import pytest
import torch
from torch import Tensor, nn

from acl.models import BaselineCnn, ProjectionHead, ResNet18, folded


def seeded() -> torch.Generator:
    return torch.Generator().manual_seed(0)


def trained(model: nn.Module, inputs: Tensor) -> nn.Module:
    """With running statistics and affine maps that are no identities."""
    for norm in (each for each in model.modules() if isinstance(each, (nn.BatchNorm1d, nn.BatchNorm2d))):
        nn.init.uniform_(norm.weight, -1, 2, generator=seeded())
        nn.init.uniform_(norm.bias, -1, 1, generator=seeded())
    with torch.no_grad():
        for _ in range(20):
            model.train()(inputs)
    return model


def norms(model: nn.Module) -> int:
    return sum(isinstance(each, (nn.BatchNorm1d, nn.BatchNorm2d)) for each in model.modules())


class Unknown(nn.Module):
    """Of a user, who names no pairs: its convolution is used twice."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(1, 1, 3, padding=1)
        self.norm = nn.BatchNorm2d(1)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.conv(self.norm(self.conv(x)))
        return out


@pytest.mark.parametrize(
    ("model", "shape", "left"),
    [
        (ResNet18(8, seeded()), (8, 1, 101, 96), 0),
        (ProjectionHead(16, seeded()), (8, 16), 0),
        (BaselineCnn(5, 0.5, seeded()), (8, 1, 100, 96), 4),  # behind pooling, and between the embedding and the classifier
        (Unknown(), (8, 1, 9, 9), 1),
    ],
    ids=["encoder", "head", "baseline", "a user's"],
)
def test_outputs_are_those_of_evaluation_mode(model: nn.Module, shape: tuple[int, ...], left: int) -> None:
    inputs = torch.randn(shape, generator=seeded())
    before = {name: weight.clone() for name, weight in trained(model, inputs).state_dict().items()}
    twin = folded(model)
    assert model.training
    assert not twin.training
    assert norms(twin) == left
    with torch.no_grad():
        actual, expected = twin(inputs), model.eval()(inputs)
    torch.testing.assert_close(actual, expected, rtol=1e-4, atol=1e-4 * float(expected[0].abs().max()))
    assert all(torch.equal(before[name], weight) for name, weight in model.state_dict().items())
    assert not torch.equal(expected[0], expected[0] * 0)
