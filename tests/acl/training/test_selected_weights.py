"""Selection of an epoch on validation, and the test of that epoch's weights."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from acl import metric_names as names
from acl.training import fit
from support.training_runs import config


def test_supervised_test_uses_the_lowest_validation_loss(tiny_corpus: Path) -> None:
    results = list(fit(config("supervised", tiny_corpus, optim__epochs=6, optim__lr=0.02)))
    losses = [result.metrics[names.VAL_LOSS] for result in results]
    best = int(np.argmin(losses))
    assert results[-1].metrics[names.BEST_EPOCH] == best + 1
    for epoch, result in enumerate(results):  # each record repeats the accuracy of the epoch selected so far
        selected = int(np.argmin(losses[: epoch + 1]))
        assert result.metrics[names.VAL_ACCURACY] == results[selected].metrics[names.VAL_EPOCH_ACCURACY]


def test_self_supervised_test_uses_the_best_macro_knn(tiny_corpus: Path) -> None:
    results = list(fit(config("self-supervised", tiny_corpus, optim__epochs=5)))
    scores = [result.metrics[names.VAL_EPOCH_KNN_MACRO_ACCURACY] for result in results]
    assert results[-1].metrics[names.BEST_EPOCH] == np.argmax(scores) + 1
    for epoch, result in enumerate(results):  # each record repeats the accuracies of the epoch selected so far
        selected = int(np.argmax(scores[: epoch + 1]))
        assert result.metrics[names.VAL_KNN_MACRO_ACCURACY] == scores[selected]
        assert result.metrics[names.VAL_KNN_ACCURACY] == results[selected].metrics[names.VAL_EPOCH_KNN_ACCURACY]


# Nothing in these settings depends on the number of epochs, so that a shorter run is the beginning of a longer one.
@pytest.mark.parametrize(
    ("mode", "settings"),
    [("supervised", {"optim__lr": 0.02}), ("self-supervised", {"optim__milestones": ()})],
    ids=["supervised", "self-supervised"],
)
def test_final_figures_come_from_the_selected_weights(mode: str, settings: dict[str, Any], tiny_corpus: Path) -> None:
    for seed in range(10):
        *_, last = fit(config(mode, tiny_corpus, optim__epochs=5, seed=seed, **settings))
        selected = int(last.metrics[names.BEST_EPOCH])
        if selected < last.epoch:
            break
    else:
        pytest.fail("no seed selects an epoch before the last one")
    *_, ended_there = fit(config(mode, tiny_corpus, optim__epochs=selected, seed=seed, **settings))
    final = {name for name in last.metrics if name.startswith(("test.", "val.")) and "epoch" not in name and "loss" not in name}
    final = {names.BEST_EPOCH, *final} - {names.VAL_CROSS_ENTROPY, names.VAL_ANGULAR_MARGIN}  # of the last epoch itself
    assert len(final) > 40  # class-wise accuracies too
    assert {name: last.metrics[name] for name in final} == {name: ended_there.metrics[name] for name in final}
    assert last.predictions == ended_there.predictions
    right = [row.label == row.predicted for row in last.predictions if (row.split, row.evaluation) == ("val", "classifier")]
    assert last.metrics[names.VAL_ACCURACY] == pytest.approx(np.mean(right))
