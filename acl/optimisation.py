"""SGD with step decay, as in pre-training, linear evaluation and fine-tuning of the recipe."""

from collections.abc import Iterable
from typing import Protocol

import torch
from torch import nn
from torch.optim.lr_scheduler import MultiStepLR


class StepDecay(Protocol):
    """Settings: `acl.config`'s optim, probe and finetune sections."""

    @property
    def epochs(self) -> int: ...
    @property
    def lr(self) -> float: ...
    @property
    def momentum(self) -> float: ...
    @property
    def weight_decay(self) -> float: ...
    @property
    def milestones(self) -> tuple[float, ...]: ...
    @property
    def decay(self) -> float: ...


def sgd_with_step_decay(parameters: Iterable[nn.Parameter], config: StepDecay) -> tuple[torch.optim.SGD, MultiStepLR]:
    """Optimiser, and the scheduler to step after each epoch; at least one epoch runs at the full rate, however few there are."""
    optimiser = torch.optim.SGD(parameters, lr=config.lr, momentum=config.momentum, weight_decay=config.weight_decay)
    milestones = [max(1, round(share * config.epochs)) for share in config.milestones]
    return optimiser, MultiStepLR(optimiser, milestones, gamma=config.decay)
