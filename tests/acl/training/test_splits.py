"""Which clips train, validate and test."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from acl.store.feature_store import FeatureStore
from acl.training import fit
from acl.training.splits import finetuning_splits, hold_out, pretraining_clips, split_clips
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


def test_fine_tuning_validates_on_clips_that_it_does_not_train_on(tiny_corpus: Path) -> None:
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
