"""From class ids per clip to the metrics and prediction rows of an epoch's record."""

import numpy as np
import torch

from acl.evaluation import accuracies
from acl.patches import PatchTable
from acl.store import FeatureStore
from acl.training.epoch_result import ClipPrediction


def accuracy_metrics(
    split: str, store: FeatureStore, clips: np.ndarray, predicted: np.ndarray, table: PatchTable
) -> dict[str, float]:
    """Plain, class-averaged and patch-weighted clip accuracy of one split."""
    score = accuracies(
        torch.from_numpy(predicted), torch.from_numpy(store.class_ids[clips]), torch.from_numpy(table.patches_per_clip)
    )
    return {
        f"{split}.accuracy": score.clip,
        f"{split}.macro_accuracy": score.macro,
        f"{split}.patch_weighted_accuracy": score.patch_weighted,
    }


def clip_prediction_rows(
    split: str, store: FeatureStore, clips: np.ndarray, predicted: np.ndarray, table: PatchTable
) -> list[ClipPrediction]:
    """One row per clip of one split."""
    return [
        ClipPrediction(split, str(store.names[clip]), store.classes[store.class_ids[clip]], store.classes[answer], int(patches))
        for clip, answer, patches in zip(clips, predicted, table.patches_per_clip, strict=True)
    ]
