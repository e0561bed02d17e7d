"""Clips for training, validation and test, also on a corpus with folds."""

import csv
import io
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from acl.config import SelfSupervisedData, SupervisedData
from acl.store.feature_store import FeatureStore
from acl.system.errors import SplitError
from acl.training import fit
from acl.training.splits import finetuning_splits, folds_of, hold_out, pretraining_clips, split_clips, with_test_fold
from study.execution.predictions import predictions_csv
from support.training_runs import MODES, config


@pytest.mark.parametrize("mode", MODES)
def test_every_seed_holds_out_the_same_clips(mode: str, tiny_corpus: Path) -> None:
    settings: dict[str, Any] = {"optim__epochs": 1} | ({"data__validation": "holdout"} if mode == "self-supervised" else {})
    (first,), (second,) = (fit(config(mode, tiny_corpus, seed=seed, **settings)) for seed in (0, 1))
    held_out = [[row.clip for row in result.predictions if row.split == "val"] for result in (first, second)]
    assert held_out[0] == held_out[1] != []


def test_splits_are_disjoint_and_stratified(tiny_corpus: Path) -> None:
    store = FeatureStore.open(tiny_corpus, "supervised")
    for subset in ("all", "clean", "noisy", "noisy_small"):
        splits = split_clips(store, config("supervised", tiny_corpus, data__subset=subset).data)
        parts = [set(part.tolist()) for part in (splits.train, splits.val, splits.test)]
        assert len(set.union(*parts)) == sum(map(len, parts))
        assert parts[0] | parts[1] == set(store.select(subset).tolist())
        assert set(store.split[splits.test]) == {"test"}
        counts = np.bincount(store.class_ids[store.select(subset)])
        assert set(store.class_ids[splits.val]) == set(np.flatnonzero(counts > 1))


def test_hold_out_takes_the_rounded_share_of_each_class() -> None:
    class_ids = np.repeat([0, 1, 2], [100, 20, 2])
    train, val = hold_out(np.arange(122), class_ids, 0.15)
    assert np.bincount(class_ids[val]).tolist() == [15, 3, 1]
    assert len(train) + len(val) == 122


def test_fine_tuning_validates_on_clips_outside_its_training(tiny_corpus: Path) -> None:
    store = FeatureStore.open(tiny_corpus, "self-supervised")
    data = config("self-supervised", tiny_corpus).data
    for part, all_of_it in (("noisy", ("noisy", "clean")), ("clean", ("clean",))):
        splits = finetuning_splits(store, part, data)
        train, val, test = (set(clips.tolist()) for clips in (splits.train, splits.val, splits.test))
        assert not train & val
        assert not train & test
        assert not val & test
        assert train | val == set(np.concatenate([store.select(subset) for subset in all_of_it]).tolist())
        assert test == set(store.test_clips().tolist())
    assert finetuning_splits(store, "noisy", data).val.tolist() == store.select("clean").tolist()
    held_out = finetuning_splits(store, "clean", data).val
    assert np.bincount(store.class_ids[held_out]).tolist() == [1] * 20  # of two clips a class


def test_pre_training_on_all_hears_every_clip_but_the_test_clips(tiny_corpus: Path) -> None:
    store = FeatureStore.open(tiny_corpus, "self-supervised")
    for choice, expected in (("subset", store.select("noisy")), ("all", np.flatnonzero(store.split == "train"))):
        data = config("self-supervised", tiny_corpus, data__pretraining=choice).data
        splits = split_clips(store, data)
        assert pretraining_clips(store, data, splits).tolist() == expected.tolist()
        assert splits.train.tolist() == store.select("noisy").tolist()  # labels of validation clips never train the probe


HOLDOUT: dict[str, Any] = {"data__subset": "all", "data__validation": "holdout"}


@pytest.fixture(scope="module")
def store(folds_corpus: Path) -> FeatureStore:
    return FeatureStore.open(folds_corpus, "supervised")


def supervised(root: Path, **settings: Any) -> SupervisedData:
    return SupervisedData(root=str(root), **settings)


def test_a_corpus_without_flags_has_one_subset(store: FeatureStore, tiny_corpus: Path) -> None:
    assert folds_of(store) == [1, 2, 3, 4, 5]
    assert store.subsets == ("all",)
    flagged = FeatureStore.open(tiny_corpus, "supervised")
    assert flagged.subsets == ("all", "noisy", "noisy_small", "clean")
    verified = replace(flagged, manually_verified=np.ones_like(flagged.manually_verified))
    assert verified.subsets == ("all", "clean")


@pytest.mark.parametrize("fold", [1, 2, 3, 4, 5])
def test_no_fold_leaks_into_another(fold: int, store: FeatureStore, folds_corpus: Path) -> None:
    data = supervised(folds_corpus, test_fold=fold)
    splits = split_clips(with_test_fold(store, data), data)
    assert set(store.fold[splits.test]) == {fold}
    assert set(store.fold[np.concatenate([splits.train, splits.val])]) == {1, 2, 3, 4, 5} - {fold}
    groups = [set(store.group[clips]) for clips in (splits.train, splits.val, splits.test)]
    assert len(set.union(*groups)) == sum(map(len, groups))
    own = np.sort(np.concatenate([splits.train, splits.val, splits.test]))
    assert own.tolist() == np.flatnonzero(store.labels != "siren").tolist()
    assert set(store.class_ids[splits.val]) == {0, 1, 2}


def test_the_folds_together_test_every_clip_once(store: FeatureStore, folds_corpus: Path) -> None:
    tested = [with_test_fold(store, supervised(folds_corpus, test_fold=fold)).test_clips() for fold in folds_of(store)]
    assert sorted(np.concatenate(tested)) == np.flatnonzero(store.labels != "siren").tolist()


def test_predictions_name_the_recording_of_a_clip(store: FeatureStore, folds_corpus: Path) -> None:
    (result,) = fit(config("supervised", folds_corpus, optim__epochs=1, data__test_fold=1, data__subset="all"))
    place = {name: index for index, name in enumerate(store.names)}
    rows = {row.clip: row.recording for row in result.predictions}
    several = np.bincount(store.group)[store.group] > 1
    assert several.any()
    expected = {clip: str(store.names[store.group[place[clip]]]) if several[place[clip]] else "" for clip in rows}
    assert rows == expected
    lines = list(csv.DictReader(io.StringIO(predictions_csv(result))))
    assert {line["clip"]: line["recording"] for line in lines} == expected


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({}, r"has the folds 1, 2, 3, 4, 5, none is named to test; set one, e.g. --set data.test_fold=1"),
        ({"test_fold": 6}, r"has the folds 1, 2, 3, 4, 5, data.test_fold is 6"),
        ({"test_fold": 1, "subset": "clean"}, r"subset 'clean': \S+ has no clean and noisy parts.*set data.subset to all$"),
        ({"test_fold": 1, "subset": "noisy_small"}, r"subset 'noisy_small': \S+ has no clean and noisy parts"),
    ],
)
def test_what_the_corpus_lacks_is_refused(
    settings: dict[str, Any], message: str, store: FeatureStore, folds_corpus: Path, tiny_corpus: Path
) -> None:
    data = supervised(folds_corpus, **settings)
    with pytest.raises(SplitError, match=message):
        split_clips(with_test_fold(store, data), data)
    ssl = SelfSupervisedData(root=str(folds_corpus), test_fold=1)
    with pytest.raises(SplitError, match=r"set data.subset to all, and data.validation to holdout$"):
        split_clips(with_test_fold(store, ssl), ssl)
    with pytest.raises(SplitError, match=r"data.test_fold is 1, but \S+ has no folds; leave it out"):
        with_test_fold(FeatureStore.open(tiny_corpus, "supervised"), supervised(tiny_corpus, test_fold=1))


def test_hold_out_keeps_recordings_together() -> None:
    random = np.random.default_rng(0)
    for _ in range(50):
        sizes = random.integers(1, 8, 40)
        groups = np.repeat(np.arange(40), sizes)
        class_ids = (groups + (random.random(len(groups)) < 0.1)) % 3  # some recordings have clips of several classes
        train, val = hold_out(np.arange(len(groups)), class_ids, 0.2, groups)
        assert not set(groups[train]) & set(groups[val])
        assert sorted([*train, *val]) == list(range(len(groups)))
        for class_id in range(3):
            assert 0 < np.sum(class_ids[val] == class_id) < np.sum(class_ids == class_id) / 2


def test_a_class_of_one_recording_is_never_held_out() -> None:
    train, val = hold_out(np.arange(12), np.repeat([0, 1], 6), 0.5, np.array([0] * 6 + [1, 1, 1, 2, 2, 2]))
    assert val.tolist() in ([6, 7, 8], [9, 10, 11])
    assert len(train) == 9


@pytest.mark.parametrize(("mode", "settings"), [("supervised", {"data__subset": "all"}), ("self-supervised", HOLDOUT)])
def test_both_modes_train_on_folds(mode: str, settings: dict[str, Any], folds_corpus: Path) -> None:
    (last,) = fit(config(mode, folds_corpus, optim__epochs=1, data__test_fold=2, **settings))
    assert last.classes == ("crow", "dog", "rain")
    tested = {row.clip for row in last.predictions if row.split == "test"}
    assert tested == {
        f"audio/2-2{target}0{recording}-{take}-{target}.wav" for target in range(3) for recording in "01" for take in "AB"
    }
