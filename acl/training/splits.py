"""Training, validation and test clips of a run."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from acl.config import SelfSupervisedData, SupervisedData
from acl.store.feature_store import FeatureStore
from acl.system.errors import SplitError
from acl.training.randomness import stream_seed

# The split is a property of the corpus, not of the run: all seeds and settings of a study are compared on the same clips.
SPLIT_SEED = 42


@dataclass(frozen=True)
class Splits:
    """Indices into the store's clip table; disjoint."""

    train: np.ndarray
    val: np.ndarray
    test: np.ndarray


def folds_of(store: FeatureStore) -> list[int]:
    """Numbers of a corpus' folds, ascending; empty where it is split into training and test clips."""
    return sorted(set(store.fold[store.split == "fold"].tolist()))


def with_test_fold(store: FeatureStore, data: SupervisedData | SelfSupervisedData) -> FeatureStore:
    """The store with its folds divided into training and test clips; as it is where there are none.

    Raises:
        SplitError: the corpus has folds and none is named, or it has not the one that is.
    """
    folds = folds_of(store)
    if not folds and not data.test_fold:
        return store
    if not folds:
        raise SplitError(f"data.test_fold is {data.test_fold}, but {data.root} has no folds; leave it out")
    if data.test_fold not in folds:
        listed = ", ".join(map(str, folds))
        got = f"data.test_fold is {data.test_fold}" if data.test_fold else "none is named to test"
        raise SplitError(
            f"{data.root} has the folds {listed}, {got}; set one, e.g. --set data.test_fold={folds[0]}, or search over them"
        )
    in_fold = np.where(store.fold == data.test_fold, "test", "train")
    return replace(store, split=np.where(store.split == "fold", in_fold, store.split))


def split_clips(store: FeatureStore, data: SupervisedData | SelfSupervisedData) -> Splits:
    """Training, validation and test clips of a store whose test fold, if it has folds, is chosen.

    Raises:
        SplitError: the corpus has no such subset, or a part would be empty.
    """
    of_subsets = [data.subset]
    if isinstance(data, SelfSupervisedData) and data.validation == "clean":
        of_subsets.append("clean")
    _check_subsets(store, of_subsets, data)
    subset = store.select(data.subset)
    if len(of_subsets) > 1:
        train, val = subset, store.select("clean")
    else:
        train, val = hold_out(subset, store.class_ids, data.validation_fraction, store.group)
    return _checked(Splits(train, val, store.test_clips()), f"subset {data.subset!r}", data.root)


def pretraining_clips(store: FeatureStore, data: SelfSupervisedData, splits: Splits) -> np.ndarray:
    """Clips that pre-training hears, without labels: the training clips, or every clip that is not a test clip."""
    return store.select("all") if data.pretraining == "all" else splits.train


def finetuning_splits(store: FeatureStore, part: str, data: SelfSupervisedData) -> Splits:
    """Clips of fine-tuning on the noisy part (validated on the clean one) or on the clean part (a share of it held out).

    Raises:
        SplitError: a part would be empty.
    """
    _check_subsets(store, ["noisy", "clean"], data)
    if part == "noisy":
        train, val = store.select("noisy"), store.select("clean")
    else:
        train, val = hold_out(store.select("clean"), store.class_ids, data.validation_fraction, store.group)
    return _checked(Splits(train, val, store.test_clips()), f"fine-tuning on {part} clips", data.root)


def hold_out(
    clips: np.ndarray, class_ids: np.ndarray, fraction: float, groups: np.ndarray | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """Stratified split of `clips` into (training, validation): a class gives `fraction` of its clips, rounded, at least one if it
    has two.

    Clips of one of `groups`, a recording, stay together: one that would exceed the share is passed over, and a class of one
    recording gives none.
    """
    groups = np.arange(len(class_ids)) if groups is None else groups
    order = np.random.default_rng(stream_seed(SPLIT_SEED, "hold out")).permutation(clips)
    members: dict[int, dict[int, Counter[int]]] = {}  # class -> groups in the order of the draw -> clips by class
    of_group: dict[int, Counter[int]] = {}
    for class_id, group in zip(class_ids[order].tolist(), groups[order].tolist(), strict=True):
        of_group.setdefault(group, Counter())[class_id] += 1
        members.setdefault(class_id, {})[group] = of_group[group]
    sizes = Counter(class_ids[clips].tolist())
    left = Counter({class_id: round(size * fraction) for class_id, size in sizes.items()})
    held: set[int] = set()
    for class_id in sorted(members):
        for group, counts in members[class_id].items():
            if group not in held and counts <= left:
                held.add(group)
                left.subtract(counts)
        if len(members[class_id]) > 1 and held.isdisjoint(members[class_id]):
            held.add(min(members[class_id], key=lambda group: of_group[group].total()))
    held_out = np.isin(groups[clips], list(held))
    return clips[~held_out], clips[held_out]


def _check_subsets(store: FeatureStore, subsets: Sequence[str], data: SupervisedData | SelfSupervisedData) -> None:
    for subset in subsets:
        if subset != "all" and store.subsets == ("all",):
            holdout = ", and data.validation to holdout" if isinstance(data, SelfSupervisedData) else ""
            raise SplitError(
                f"subset {subset!r}: {data.root} has no clean and noisy parts, since no flags of its clips tell them apart; set "
                f"data.subset to all{holdout}"
            )


def _checked(splits: Splits, what: str, root: str) -> Splits:
    for name, clips in (("training", splits.train), ("validation", splits.val), ("test", splits.test)):
        if len(clips) == 0:
            raise SplitError(f"{what} has no {name} clips in {root}; choose another subset or a larger corpus")
    return splits
