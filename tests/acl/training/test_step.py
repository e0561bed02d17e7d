"""Steps of the optimiser: what a captured one must have in common with one that is launched."""

from pathlib import Path
from typing import Any

import pytest
import torch

from acl.training.course import Course
from acl.training.stage import Stage
from acl.training.step import TrainingStep
from toy_runs import config

on_gpu = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
RUNS = {
    "supervised": ("supervised", {}),
    "pretraining": ("self-supervised", {}),
    "finetune_clean": ("self-supervised", {"finetune__on": ["clean"], "finetune__epochs": 2}),
}


def stage_of(name: str, corpus: Path, **compute: Any) -> Stage:
    mode, more = RUNS[name]
    stages = Course(config(mode, corpus, compute__device="cuda", optim__batch_size=8, **compute, **more)).untrained_stages()
    return next(stage for stage in stages if stage.name == name)


def losses_of(stage: Stage, epochs: int) -> torch.Tensor:
    """The losses of all steps of some epochs; the learning rate falls after the first."""
    drawn = []
    for epoch in range(epochs):
        stage.epoch = epoch
        drawn += [losses.clone() for _, losses in stage.train_steps()]
        for group in stage.optimiser.param_groups:
            group["lr"] *= 0.5
    return torch.stack(drawn).cpu()


@on_gpu
@pytest.mark.parametrize("precision", ["fp32", "bf16"])
@pytest.mark.parametrize("name", RUNS)
def test_captured_steps_learn_what_launched_ones_do(name: str, precision: str, tiny_corpus: Path) -> None:
    captured, launched = (stage_of(name, tiny_corpus, compute__precision=precision) for _ in range(2))
    launched.step = TrainingStep(launched.optimiser, launched.device, capture=False)
    found, expected = losses_of(captured, 3), losses_of(launched, 3)
    assert captured.step._graph is not None
    torch.testing.assert_close(found, expected, rtol=0.05, atol=0.05)
    torch.testing.assert_close(found[:8], expected[:8], rtol=1e-2, atol=1e-2)
    before = [weight.clone() for weight in captured.model.parameters()]
    losses_of(captured, 1)
    assert any(not torch.equal(old, new) for old, new in zip(before, captured.model.parameters(), strict=True))


@on_gpu
def test_a_captured_stage_goes_on_from_loaded_state(tiny_corpus: Path) -> None:
    first, second = (stage_of("pretraining", tiny_corpus) for _ in range(2))
    losses_of(first, 2)
    losses_of(second, 1)  # captured, on other weights
    second.load_state(first.state())
    torch.testing.assert_close(losses_of(second, 1)[:3], losses_of(first, 1)[:3], rtol=1e-2, atol=1e-2)
    for one, other in zip(first.optimiser.state.values(), second.optimiser.state.values(), strict=True):
        assert one["momentum_buffer"].shape == other["momentum_buffer"].shape


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
