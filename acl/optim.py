"""Optimisers of the recipe, and a step of theirs; on a GPU it is captured as a CUDA graph and replayed."""

from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor, nn
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


WARM_UP_STEPS = 3  # that are launched one by one before a capture: libraries choose algorithms and take memory meanwhile


class TrainingStep:
    """Forward, backward and optimiser on a batch.

    On a GPU the first shape of inputs that comes `WARM_UP_STEPS` times is captured, and replayed from then on with new inputs.
    Batches of other shapes, such as the last one of an epoch, are launched as usual on the same weights. Another learning rate, or
    an optimiser whose state was loaded, needs another capture: call `forget` for the latter.

    Args:
        optimiser: of the model; what it updates stays where it is in memory.
        device: of the model.
        capture: False launches every step.
    """

    def __init__(self, optimiser: torch.optim.Optimizer, device: torch.device, capture: bool = True) -> None:
        self._optimiser = optimiser
        self._captures = device.type == "cuda" and capture
        self._stream = torch.cuda.Stream(device) if self._captures else None
        self._graph: torch.cuda.CUDAGraph | None = None
        self.forget()

    def forget(self) -> None:
        """Launch steps one by one again, until the next capture."""
        self._graph = None
        self._inputs: tuple[Tensor, ...] = ()  # of the graph
        self._losses = torch.empty(0)
        self._learning_rates: list[float] = []
        self._seen: dict[tuple[torch.Size, ...], int] = {}

    def __call__(self, losses_of: Callable[..., Tensor], *inputs: Tensor) -> Tensor:
        """Losses `[n]`, detached; the first is minimised. With a graph they are overwritten by the next step.

        Args:
            losses_of: the same function each time; it must not wait for the device.
            inputs: of `losses_of`.
        """
        if not self._captures:
            return self._launch(losses_of, inputs)
        shapes = tuple(each.shape for each in inputs)
        learning_rates = [group["lr"] for group in self._optimiser.param_groups]
        if self._graph is not None and learning_rates != self._learning_rates:
            captured = tuple(each.shape for each in self._inputs)
            self.forget()
            self._seen[captured] = WARM_UP_STEPS
        if self._graph is None:
            self._seen[shapes] = self._seen.get(shapes, 0) + 1
            if self._seen[shapes] <= WARM_UP_STEPS:
                return self._launch(losses_of, inputs)
            self._capture(losses_of, inputs)
            self._learning_rates = learning_rates
        if shapes != tuple(each.shape for each in self._inputs):
            return self._launch(losses_of, inputs)
        for static, given in zip(self._inputs, inputs, strict=True):
            static.copy_(given)
        assert self._graph is not None
        self._graph.replay()
        return self._losses

    def _launch(self, losses_of: Callable[..., Tensor], inputs: tuple[Tensor, ...]) -> Tensor:
        """Launch a step; on a GPU in the stream of the captures, so that autograd's nodes belong to it."""
        if self._stream is None:
            return self._step(losses_of, inputs)
        self._stream.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(self._stream):
            losses = self._step(losses_of, inputs)
        torch.cuda.current_stream().wait_stream(self._stream)
        return losses

    def _step(self, losses_of: Callable[..., Tensor], inputs: tuple[Tensor, ...]) -> Tensor:
        losses = losses_of(*inputs)
        self._optimiser.zero_grad(set_to_none=True)
        losses[0].backward()
        self._optimiser.step()
        return losses.detach()

    def _capture(self, losses_of: Callable[..., Tensor], inputs: tuple[Tensor, ...]) -> None:
        """Record a step on copies of the inputs, without running it."""
        self._inputs = tuple(each.clone() for each in inputs)
        self._optimiser.zero_grad(set_to_none=True)  # gradients get their places within the graph's memory
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph, stream=self._stream):
            self._losses = self._step(losses_of, self._inputs)
        self._graph = graph
