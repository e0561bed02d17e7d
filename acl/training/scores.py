"""From an evaluation's answers per clip to the metrics and prediction rows of a record."""

from collections.abc import Iterable
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from acl import metric_names as names
from acl.evaluation.accuracy import Accuracies, accuracies
from acl.patches.table import PatchTable
from acl.store.feature_store import FeatureStore
from acl.training.epoch_result import ClipPrediction


class Evaluation(NamedTuple):
    """Metrics and predictions of one or several evaluations."""

    metrics: dict[str, float]
    predictions: list[ClipPrediction]


def combined(evaluations: Iterable[Evaluation]) -> Evaluation:
    """All metrics and predictions in one."""
    metrics: dict[str, float] = {}
    predictions: list[ClipPrediction] = []
    for evaluation in evaluations:
        metrics |= evaluation.metrics
        predictions += evaluation.predictions
    return Evaluation(metrics, predictions)


def accuracy_metrics(
    split: str, evaluation: str, store: FeatureStore, clips: np.ndarray, predicted: Tensor, table: PatchTable
) -> dict[str, float]:
    """Plain, class-averaged and patch-weighted clip accuracy; metrics of the headline classifier have no prefix.

    Args:
        split: "val" or "test".
        evaluation: `EVALUATION_CLASSIFIER`, `EVALUATION_KNN`, or a fine-tuning's stage.
        store: features of the corpus.
        clips: `[C]` indices into the store's table.
        predicted: `[C]` class ids.
        table: patches of `clips`.
    """
    return _metrics(split, evaluation, _accuracies(store, clips, predicted, table))


def score(
    split: str, evaluation: str, store: FeatureStore, clips: np.ndarray, probabilities: Tensor, table: PatchTable
) -> Evaluation:
    """Accuracies, class-wise ones too, and one row per clip.

    Args:
        split: "val" or "test".
        evaluation: `EVALUATION_CLASSIFIER`, `EVALUATION_KNN`, or a fine-tuning's stage.
        store: features of the corpus.
        clips: `[C]` indices into the store's table.
        probabilities: `[C, classes]`; the largest is the prediction, ties go to the lowest class.
        table: patches of `clips`.
    """
    predicted = probabilities.argmax(1)
    result = _accuracies(store, clips, predicted, table)
    metrics = _metrics(split, evaluation, result)
    class_wise = names.of_split(split, evaluation, names.CLASS_ACCURACY)
    metrics |= {f"{class_wise}.{store.classes[label]}": share for label, share in result.class_wise.items()}
    rows = [
        ClipPrediction(
            evaluation=evaluation,
            split=split,
            clip=str(store.names[clip]),
            label=store.classes[store.class_ids[clip]],
            predicted=store.classes[answer],
            patches=int(patches),
            probabilities=tuple(shares),
            recording=recording,
        )
        for clip, answer, patches, shares, recording in zip(
            clips, predicted.tolist(), table.patches_per_clip, probabilities.tolist(), store.recordings(clips), strict=True
        )
    ]
    return Evaluation(metrics, rows)


def _accuracies(store: FeatureStore, clips: np.ndarray, predicted: Tensor, table: PatchTable) -> Accuracies:
    return accuracies(predicted, torch.from_numpy(store.class_ids[clips]), torch.from_numpy(table.patches_per_clip))


def _metrics(split: str, evaluation: str, result: Accuracies) -> dict[str, float]:
    figures = {
        names.ACCURACY: result.clip,
        names.MACRO_ACCURACY: result.macro,
        names.PATCH_WEIGHTED_ACCURACY: result.patch_weighted,
    }
    return {names.of_split(split, evaluation, figure): value for figure, value in figures.items()}
