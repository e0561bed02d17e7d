"""Steps of the optimiser: a captured step equals a launched one."""

from collections.abc import Callable
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from acl.optim import TrainingStep
from acl.training.loop import Course
from acl.training.stage import Stage
from support.training_runs import config

RUNS = {
    "supervised": ("supervised", {"optim__batch_size": 4}),
    "pretraining": ("self-supervised", {"optim__batch_size": 4}),
    "finetune_clean": ("self-supervised", {"finetune__on": ["clean"], "finetune__epochs": 2, "finetune__batch_size": 4}),
}


def stage_of(name: str, corpus: Path, **compute: Any) -> Stage:
    mode, more = RUNS[name]
    stages = Course(config(mode, corpus, compute__device="cuda", **compute, **more)).untrained_stages()
    return next(stage for stage in stages if stage.name == name)


class Twins:
    """Does each step twice, from the same state on the same batch: captured and launched."""

    def __init__(self, captured: Stage, launched: Stage) -> None:
        self.captured, self.launched, self.step = captured, launched, captured.step
        launched.step = TrainingStep(launched.optimiser, launched.device, capture=False)
        self.replayed = 0

    def __call__(self, losses_of: Callable[..., Tensor], *inputs: Tensor) -> Tensor:
        self.launched.load_state(deepcopy(self.captured.state()))
        torch.manual_seed(0)
        expected = self.launched.step(self.launched._losses, *inputs)  # type: ignore[attr-defined]
        torch.manual_seed(0)
        found = self.step(losses_of, *inputs)
        self.replayed += found is self.step._losses
        torch.testing.assert_close(found, expected, rtol=5e-3, atol=5e-3)
        for (name, one), other in zip(
            self.captured.model.state_dict().items(), self.launched.model.state_dict().values(), strict=True
        ):
            torch.testing.assert_close(one, other, rtol=1e-2, atol=2e-3, msg=lambda text, name=name: f"{name}: {text}")
        return found

    def forget(self) -> None:
        self.step.forget()


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
@pytest.mark.parametrize("precision", ["fp32", "bf16"])
@pytest.mark.parametrize("name", RUNS)
def test_captured_steps_do_what_launched_ones_do(name: str, precision: str, tiny_corpus: Path) -> None:
    """Also with another learning rate, and after another state was loaded."""
    captured, launched = (stage_of(name, tiny_corpus, compute__precision=precision) for _ in range(2))
    untrained = captured.copy_of_weights()
    twins = Twins(captured, launched)
    captured.step = twins  # type: ignore[assignment]
    for epoch in range(3):
        captured.epoch = epoch
        before = captured.copy_of_weights()
        list(captured.train_steps())
        assert any(not torch.equal(old, new) for old, new in zip(before.values(), captured.copy_of_weights().values(), strict=True))
        for group in captured.optimiser.param_groups:
            group["lr"] *= 0.5
        if epoch == 1:
            captured.load_state(captured.state() | {"model": untrained})
    assert twins.replayed >= 6


def test_state_of_a_gpu_is_loaded_on_a_cpu(tiny_corpus: Path) -> None:
    """How an optimiser computes is a matter of the device, not of the state."""
    for mode in ("supervised", "self-supervised"):
        stage = next(Course(config(mode, tiny_corpus, optim__epochs=2)).untrained_stages())
        stage.run_epoch()
        state = stage.state()
        for group in state["optimiser"]["param_groups"]:
            group.update({"fused": True, "capturable": True})
        stage.load_state(state)
        stage.run_epoch()
        assert not any(group["fused"] for group in stage.optimiser.param_groups)
