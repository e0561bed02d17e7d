"""Evaluation in parts that fit a CPU's caches: the same results as in one piece."""

from pathlib import Path

import pytest
import torch

from acl.training import self_supervised, supervised
from acl.training.pretraining import PretrainingStage
from acl.training.self_supervised import SelfSupervisedSetup
from acl.training.supervised import SupervisedStage
from support.training_runs import config


@pytest.mark.parametrize("at_once", [1, 7, 10_000])
def test_a_supervised_split_is_evaluated_alike_in_any_parts(
    at_once: int, tiny_corpus: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stage = SupervisedStage(config("supervised", tiny_corpus))  # type: ignore[arg-type]
    expected, losses = stage.evaluate(stage.val, stage.splits.val)
    monkeypatch.setitem(supervised._EVALUATED_AT_ONCE, "cpu", at_once)
    probabilities, own_losses = stage.evaluate(stage.val, stage.splits.val)
    torch.testing.assert_close(probabilities, expected, rtol=0, atol=1e-6)
    assert own_losses == pytest.approx(losses, rel=1e-5)


@pytest.mark.parametrize("at_once", [1, 7, 10_000])
def test_embeddings_of_a_split_are_alike_in_any_parts(at_once: int, tiny_corpus: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    stage = PretrainingStage(SelfSupervisedSetup(config("self-supervised", tiny_corpus)))  # type: ignore[arg-type]
    expected = stage.embed(stage.setup.val_patches)
    monkeypatch.setitem(self_supervised.EVALUATION_BATCH, "cpu", at_once)
    torch.testing.assert_close(stage.embed(stage.setup.val_patches), expected, rtol=0, atol=1e-5)
