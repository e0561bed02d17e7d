"""Network structures: parameter counts and outputs of the published ones."""

import math
import subprocess
import sys
from collections.abc import Iterable
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from acl.models import BaselineCnn, ProjectionHead, ResNet18

# Names of the layers in the published CNN, in the order in which it declares them, and here.
CNN_LAYERS = {
    "conv1": "convolutions.2",
    "conv2": "convolutions.8",
    "conv3": "convolutions.14",
    "norm1": "convolutions.0",
    "norm2": "convolutions.3",
    "norm22": "convolutions.6",
    "norm3": "convolutions.9",
    "norm33": "convolutions.12",
    "norm4": "classifier.0",
    "linear1": "classifier.4",
    "linear2": "classifier.7",
}


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def parameters(model: nn.Module) -> int:
    return sum(parameter.numel() for parameter in model.parameters())


def fill(named_parameters: Iterable[tuple[str, nn.Parameter]]) -> None:
    """The weights with which the published networks were run: see `fill_rule` in the reference numbers."""
    for k, (name, parameter) in enumerate(named_parameters):
        wave = torch.cos(0.7 * torch.arange(parameter.numel(), dtype=torch.float64) + k)
        if parameter.ndim > 1:
            wave = wave * math.sqrt(2 / (parameter.numel() / len(parameter)))
        elif name.endswith("bias"):
            wave = 0.1 * wave
        else:
            wave = 1 + 0.1 * wave
        parameter.data.copy_(wave.view(parameter.shape))


def test_published_parameter_counts_and_output_shapes() -> None:
    encoder, head, cnn = ResNet18(64, generator()), ProjectionHead(512, generator()), BaselineCnn(20, 0.5, generator())
    assert parameters(encoder) == 11_170_240 == 11_180_500 - 20 * 513  # without the published one's classifier
    assert parameters(head) == 526_336
    assert parameters(cnn) == 531_238
    maps: list[torch.Tensor] = []
    encoder.layer4.register_forward_hook(lambda module, inputs, output: maps.append(output))
    with torch.no_grad():
        h = encoder(torch.zeros(2, 1, 101, 96))
        logits, embeddings = cnn(torch.zeros(2, 1, 100, 96))
        assert h.shape == head(h).shape == (2, 512)
    assert maps[0].shape == (2, 512, 4, 3)
    assert logits.shape == (2, 20)
    assert embeddings.shape == (2, 48)


@pytest.mark.reference
def test_encoder_and_head_equal_the_published_ones(golden: dict[str, Any]) -> None:
    encoder, head = ResNet18(64, generator()).eval(), ProjectionHead(512, generator()).eval()
    classifier = nn.Linear(512, 20)  # the published encoder ends in one
    fill([*encoder.named_parameters(), *classifier.named_parameters()])
    fill(head.named_parameters())
    names = ("resnet_in", "resnet_h", "resnet_logits", "head_z")
    arrays = {name: torch.from_numpy(golden["arrays"][f"model/{name}"]) for name in names}
    with torch.no_grad():
        h = encoder(arrays["resnet_in"])
        torch.testing.assert_close(h, arrays["resnet_h"], rtol=1e-4, atol=1.0)  # values reach 9e5
        torch.testing.assert_close(classifier(h), arrays["resnet_logits"], rtol=1e-4, atol=1.0)
        torch.testing.assert_close(head(arrays["resnet_h"]), arrays["head_z"], rtol=1e-4, atol=1e-6)


@pytest.mark.reference
def test_cnn_equals_the_published_one(golden: dict[str, Any]) -> None:
    cnn = BaselineCnn(20, 0.5, generator()).eval()
    own = dict(cnn.named_parameters())
    published = [name.split(".") for name in golden["models"]["cnn_layers"]]
    fill((kind, own[f"{CNN_LAYERS[layer]}.{kind}"]) for layer, kind in published)
    arrays = {name: torch.from_numpy(golden["arrays"][f"model/{name}"]) for name in ("cnn_in", "cnn_logits", "cnn_feat_48")}
    with torch.no_grad():
        logits, embeddings = cnn(arrays["cnn_in"])
    torch.testing.assert_close(logits, arrays["cnn_logits"], rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(embeddings, arrays["cnn_feat_48"], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("width", [4, 8])
def test_encoder_scales_with_its_width(width: int) -> None:
    encoder = ResNet18(width, generator())
    h = encoder(torch.randn(2, 1, 101, 96, generator=generator()))
    assert encoder.embedding_dim == 8 * width
    assert h.shape == (2, 8 * width)
    assert (h >= 0).all()
    z = ProjectionHead(8 * width, generator())(h)
    torch.testing.assert_close(z.norm(dim=1), torch.ones(2))


def test_convolutions_of_the_encoder_start_kaiming_normal() -> None:
    weight = ResNet18(64, generator()).layer4[0].conv1.weight  # 256 channels in, 512 out
    assert weight.std().item() == pytest.approx(math.sqrt(2 / (512 * 9)), rel=0.01)
    assert weight.mean().item() == pytest.approx(0, abs=1e-4)


@pytest.mark.parametrize(
    "make",
    [lambda g: ResNet18(4, g), lambda g: ProjectionHead(32, g), lambda g: BaselineCnn(20, 0.5, g)],
    ids=["resnet", "head", "cnn"],
)
def test_weights_follow_from_the_generator_alone(make: Any) -> None:
    before = torch.random.get_rng_state()
    first = make(generator(1)).state_dict()
    assert torch.equal(torch.random.get_rng_state(), before)
    torch.rand(7)
    again, other = make(generator(1)).state_dict(), make(generator(2)).state_dict()
    assert all(torch.equal(first[name], again[name]) for name in first)
    assert any(not torch.equal(first[name], other[name]) for name in first)


def test_two_models_from_one_generator_differ() -> None:
    shared = generator()
    first, second = ProjectionHead(8, shared), ProjectionHead(8, shared)
    assert not torch.equal(first.layers[0].weight, second.layers[0].weight)


def test_cnn_embedding_is_taken_before_the_relu() -> None:
    cnn = BaselineCnn(20, 0.5, generator()).eval()
    assert (cnn(torch.zeros(1, 1, 100, 96))[1] < 0).any()


def test_cnn_dropout_acts_in_training_only() -> None:
    cnn = BaselineCnn(20, 0.5, generator())
    patches = torch.randn(2, 1, 100, 96, generator=generator())
    cnn.eval()
    assert torch.equal(cnn(patches)[0], cnn(patches)[0])
    for module in cnn.modules():
        if isinstance(module, nn.Dropout):
            module.train()
    assert not torch.equal(cnn(patches)[0], cnn(patches)[0])
    assert torch.equal(cnn(patches)[1], cnn(patches)[1])  # the embedding lies before the dropout


def test_memory_format_changes_no_value() -> None:
    patches = torch.randn(2, 1, 101, 96, generator=generator())
    encoder = ResNet18(8, generator()).eval()
    with torch.no_grad():
        expected = encoder(patches)
        actual = encoder.to(memory_format=torch.channels_last)(patches.to(memory_format=torch.channels_last))
    torch.testing.assert_close(actual, expected, rtol=1e-4, atol=1e-5)


def test_channels_last_has_the_gradients_of_other_formats() -> None:
    """oneDNN writes past a buffer in a strided 1×1 convolution of few channels, which may end the process: so in one of its own.

    Rounding turns some ReLUs on or off, which changes the gradients by about 1 %.
    """
    script = """
import torch
from acl.models import ResNet18
gradients = []
for memory_format in (torch.contiguous_format, torch.channels_last):
    encoder = ResNet18(4, torch.Generator().manual_seed(0)).to(memory_format=memory_format)
    patches, weights = torch.randn(64, 1, 128, 104).to(memory_format=memory_format), torch.randn(64, 32)
    for seed in range(10):
        torch.manual_seed(seed)
        patches.normal_()
        encoder.zero_grad()
        (encoder(patches) * weights.normal_()).sum().backward()
        between = [torch.zeros(size) for size in range(1, 200)]
    gradients.append([parameter.grad for parameter in encoder.parameters()])
for expected, found in zip(*gradients):
    assert (found - expected).norm() < 0.05 * expected.norm(), (found.shape, found.norm(), expected.norm())
"""
    done = subprocess.run([sys.executable, "-c", script], check=False, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr


def gradients(model: nn.Module, outputs: torch.Tensor) -> list[torch.Tensor]:
    return list(torch.autograd.grad(outputs.square().sum(), list(model.parameters())))


def equal_bits(first: Iterable[torch.Tensor], second: Iterable[torch.Tensor]) -> bool:
    return all(torch.equal(one, other) for one, other in zip(first, second, strict=True))


@pytest.mark.parametrize("width", [4, 8])
def test_the_encoder_computes_the_published_order_bit_for_bit(width: int) -> None:
    """The published encoder pools behind the ReLU, and makes a new tensor of every map."""
    encoder = ResNet18(width, generator()).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    patches = torch.randn(6, 1, 101, 96, generator=generator(1))
    own = encoder(patches)
    x = F.max_pool2d(F.relu(encoder.bn1(encoder.conv1(patches))), kernel_size=3, stride=2, padding=1)
    for stage in (encoder.layer1, encoder.layer2, encoder.layer3, encoder.layer4):
        for block in stage:
            out = F.relu(block.bn1(block.conv1(x)))
            x = F.relu(block.bn2(block.conv2(out)) + block.downsample(x))
    published = x.mean(dim=(2, 3))
    assert torch.equal(own, published)
    assert equal_bits(gradients(encoder, own), gradients(encoder, published))


def test_the_cnn_computes_the_published_order_bit_for_bit() -> None:
    """The published CNN pools behind the ReLU."""
    cnn = BaselineCnn(20, 0.0, generator()).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    patches = torch.randn(6, 1, 100, 96, generator=generator(1))
    layers = list(cnn.convolutions)
    for place in (4, 10):
        assert isinstance(layers[place], nn.MaxPool2d)
        layers[place], layers[place + 1] = layers[place + 1], layers[place]
    own, published = cnn.convolutions(patches), nn.Sequential(*layers)(patches)
    assert torch.equal(own, published)
    outputs = [cnn.classifier(maps) for maps in (own, published)]
    assert equal_bits(*(gradients(cnn, output) for output in outputs))
