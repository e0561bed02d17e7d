"""The encoder of a self-supervised run: the only place where one is made."""

import torch

from acl.config.self_supervised import EncoderConfig
from acl.models.resnet import ResNet18


def encoder_of(settings: EncoderConfig, generator: torch.Generator) -> ResNet18:
    """The encoder that the settings name: patches `[N, 1, frames, bands]` → h `[N, 8 * width]`; `generator` draws its weights."""
    return ResNet18(settings.width, generator)
