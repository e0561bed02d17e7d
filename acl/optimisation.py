"""Optimisers of the recipe: SGD with step decay in pre-training, linear evaluation and fine-tuning, Adam in supervised runs."""

from collections.abc import Iterable
from typing import Any

import torch
from torch import nn
from torch.optim.lr_scheduler import MultiStepLR

from acl.config import StepDecayConfig

_WAYS = ("fused", "foreach", "capturable")  # how an optimiser computes, which is a matter of the device


def sgd_with_step_decay(parameters: Iterable[nn.Parameter], config: StepDecayConfig) -> tuple[torch.optim.SGD, MultiStepLR]:
    """Optimiser, and the scheduler to step after each epoch; at least one epoch runs at the full rate, however few there are."""
    weights = list(parameters)
    optimiser = torch.optim.SGD(
        weights, lr=config.lr, momentum=config.momentum, weight_decay=config.weight_decay, fused=_on_gpu(weights)
    )
    milestones = [max(1, round(share * config.epochs)) for share in config.milestones]
    return optimiser, MultiStepLR(optimiser, milestones, gamma=config.decay)


def adam(parameters: Iterable[nn.Parameter], lr: float, weight_decay: float) -> torch.optim.Adam:
    """Optimiser whose steps can be captured on a GPU."""
    weights = list(parameters)
    on_gpu = _on_gpu(weights)
    return torch.optim.Adam(weights, lr=lr, weight_decay=weight_decay, fused=on_gpu, capturable=on_gpu)


def load_optimiser(optimiser: torch.optim.Optimizer, state: dict[str, Any]) -> None:
    """Load `optimiser.state_dict()`, which may come from another kind of device."""
    ways = [{name: group[name] for name in _WAYS if name in group} for group in optimiser.param_groups]
    optimiser.load_state_dict(state)
    for group, way in zip(optimiser.param_groups, ways, strict=True):
        group.update(way)


def _on_gpu(weights: list[nn.Parameter]) -> bool:
    return all(weight.is_cuda for weight in weights)
