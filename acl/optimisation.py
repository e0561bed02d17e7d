"""SGD with step decay, as in pre-training, linear evaluation and fine-tuning of the recipe."""

from collections.abc import Iterable

import torch
from torch import nn
from torch.optim.lr_scheduler import MultiStepLR

from acl.config import StepDecayConfig


def sgd_with_step_decay(parameters: Iterable[nn.Parameter], config: StepDecayConfig) -> tuple[torch.optim.SGD, MultiStepLR]:
    """Optimiser, and the scheduler to step after each epoch; at least one epoch runs at the full rate, however few there are."""
    optimiser = torch.optim.SGD(parameters, lr=config.lr, momentum=config.momentum, weight_decay=config.weight_decay)
    milestones = [max(1, round(share * config.epochs)) for share in config.milestones]
    return optimiser, MultiStepLR(optimiser, milestones, gamma=config.decay)
