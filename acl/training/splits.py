"""Which clips train, validate and test a run."""

from dataclasses import dataclass

import numpy as np

from acl.config import SelfSupervisedData, SupervisedData
from acl.store import FeatureStore
from acl.training.randomness import stream_seed

# The split is a property of the corpus, not of the run: all seeds and settings of a study are compared on the same clips.
SPLIT_SEED = 42


class SplitError(ValueError):
    """The corpus has too few clips for the requested split."""


@dataclass(frozen=True)
class Splits:
    """Indices into the store's clip table; disjoint."""

    train: np.ndarray
    val: np.ndarray
    test: np.ndarray


def split_clips(store: FeatureStore, data: SupervisedData | SelfSupervisedData) -> Splits:
    """Training, validation and test clips.

    Raises:
        SplitError: a part would be empty.
    """
    subset = store.select(data.subset)
    if isinstance(data, SelfSupervisedData) and data.validation == "clean":
        train, val = subset, store.select("clean")
    else:
        train, val = hold_out(subset, store.class_ids, data.validation_fraction)
    return _checked(Splits(train, val, store.test_clips()), f"subset {data.subset!r}", data.root)


def pretraining_clips(store: FeatureStore, data: SelfSupervisedData, splits: Splits) -> np.ndarray:
    """Clips that pre-training hears, without labels: the training clips, or every clip that is not a test clip."""
    return store.select("all") if data.pretraining == "all" else splits.train


def finetuning_splits(store: FeatureStore, part: str, data: SelfSupervisedData) -> Splits:
    """Clips of fine-tuning on the noisy part (validated on the clean one) or on the clean part (a share of it held out).

    Raises:
        SplitError: a part would be empty.
    """
    if part == "noisy":
        train, val = store.select("noisy"), store.select("clean")
    else:
        train, val = hold_out(store.select("clean"), store.class_ids, data.validation_fraction)
    return _checked(Splits(train, val, store.test_clips()), f"fine-tuning on {part} clips", data.root)


def hold_out(clips: np.ndarray, class_ids: np.ndarray, fraction: float) -> tuple[np.ndarray, np.ndarray]:
    """Stratified split into (training, validation): a class gives `fraction` of its clips, rounded, at least one if it has two."""
    order = np.random.default_rng(stream_seed(SPLIT_SEED, "hold out")).permutation(clips)
    val: list[int] = []
    for class_id in np.unique(class_ids[clips]):
        members = order[class_ids[order] == class_id]
        held = round(len(members) * fraction) or min(1, len(members) - 1)
        val.extend(members[:held])
    held_out = np.isin(clips, val)
    return clips[~held_out], clips[held_out]


def _checked(splits: Splits, what: str, root: str) -> Splits:
    for name, clips in (("training", splits.train), ("validation", splits.val), ("test", splits.test)):
        if len(clips) == 0:
            raise SplitError(f"{what} has no {name} clips in {root}; choose another subset or a larger corpus")
    return splits
