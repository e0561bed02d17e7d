"""Injected label noise: which clips it changes, how many, and to which labels."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from acl.config import NoiseConfig
from acl.provenance import describe_run
from acl.store.feature_store import FeatureStore
from acl.system.errors import SplitError
from acl.training import fit
from acl.training.checkpoint_files import CHECKPOINT_FILE
from acl.training.label_noise import inject_noise
from acl.training.loop import Course
from support.training_runs import config, without_times

SYMMETRIC, FOREIGN = "symmetric", "out-of-vocabulary"


@pytest.fixture(scope="module")
def store(tiny_corpus: Path) -> FeatureStore:
    return FeatureStore.open(tiny_corpus, "supervised")


def noise(rate: float, kind: Any = SYMMETRIC) -> NoiseConfig:
    return NoiseConfig(rate=rate, kind=kind)


@settings(deadline=None, derandomize=True, max_examples=40, database=None)
@given(st.floats(0, 1), st.sampled_from(["all", "clean", "noisy"]))
def test_exactly_the_rate_gets_another_label(store: FeatureStore, rate: float, subset: str) -> None:
    clips = store.select(subset)
    noisy = inject_noise(store, clips, noise(rate))
    changed = np.flatnonzero(noisy.class_ids != store.class_ids)
    assert len(changed) == noisy.noisy_clips == round(rate * len(clips))
    assert set(changed) <= set(clips)  # never a test clip, never a clip that only validates
    assert np.array_equal(np.array(store.classes)[noisy.class_ids], noisy.labels)
    assert np.array_equal(noisy.start_frame, store.start_frame)


def test_noise_is_the_same_each_time_and_grows_with_the_rate(store: FeatureStore) -> None:
    clips = store.select("all")
    changes = []
    for rate in (0.2, 0.4, 0.4, 0.9):
        class_ids = inject_noise(store, clips, noise(rate)).class_ids
        changes.append({(clip, class_ids[clip]) for clip in np.flatnonzero(class_ids != store.class_ids)})
    assert changes[0] < changes[1] == changes[2] < changes[3]


def test_symmetric_noise_spreads_over_all_other_classes(store: FeatureStore) -> None:
    clips = store.select("all")
    noisy = inject_noise(store, clips, noise(1.0))
    shift = (noisy.class_ids[clips] - store.class_ids[clips]) % len(store.classes)
    counts = np.bincount(shift, minlength=len(store.classes))
    expected = len(clips) / (len(store.classes) - 1)
    assert counts[0] == 0
    chi_square = ((counts[1:] - expected) ** 2 / expected).sum()
    assert chi_square < 42.4  # its 99.9 % quantile for 18 degrees of freedom; the draw is fixed
    of_class = np.bincount(store.class_ids[np.flatnonzero(inject_noise(store, clips, noise(0.5)).class_ids != store.class_ids)])
    assert of_class.min() >= 1  # no class is spared


def test_foreign_noise_keeps_labels_and_replaces_sounds(folds_corpus: Path) -> None:
    store = FeatureStore.open(folds_corpus, "supervised")
    clips, foreign = np.flatnonzero(store.split == "fold"), np.flatnonzero(store.split == "foreign")
    assert (len(clips), len(foreign)) == (60, 20)
    assert set(store.class_ids[foreign]) == {-1}
    noisy = inject_noise(store, clips, noise(0.3, FOREIGN))
    changed = np.flatnonzero(noisy.start_frame != store.start_frame)
    assert len(changed) == noisy.noisy_clips == 18
    assert set(changed) <= set(clips)
    assert np.array_equal(noisy.class_ids, store.class_ids)
    assert len(set(noisy.start_frame[changed])) == 18  # each sound once while they last
    assert set(noisy.start_frame[changed]) <= set(store.start_frame[foreign])
    many = inject_noise(store, clips, noise(0.75, FOREIGN))
    used = np.unique(many.start_frame[np.flatnonzero(many.start_frame != store.start_frame)], return_counts=True)[1]
    assert sorted(used) == [2] * 15 + [3] * 5


def test_foreign_noise_needs_foreign_clips(store: FeatureStore) -> None:
    with pytest.raises(SplitError, match=r"the corpus has no foreign clips; list their labels under foreign in its manifest"):
        inject_noise(store, store.select("all"), noise(0.1, FOREIGN))
    assert inject_noise(store, store.select("all"), noise(0.0, FOREIGN)) is store


@pytest.mark.parametrize("kind", [SYMMETRIC, FOREIGN])
def test_runs_train_and_validate_with_noise_and_test_without(kind: str, folds_corpus: Path) -> None:
    def run(rate: float) -> Course:
        return Course(config("supervised", folds_corpus, data__subset="all", data__test_fold=1, noise__rate=rate, noise__kind=kind))

    clean, noisy = run(0.0), run(0.5)
    before, after = clean.store, noisy.store
    parts = next(noisy.untrained_stages()).splits
    changed = np.flatnonzero((before.class_ids != after.class_ids) | (before.start_frame != after.start_frame))
    assert len(changed) == 24
    assert set(changed) <= set(parts.train) | set(parts.val)
    assert set(changed) & set(parts.val)
    assert not set(changed) & set(parts.test)
    assert np.array_equal(parts.val, next(clean.untrained_stages()).splits.val)  # rates are compared on the same clips
    assert describe_run(noisy.config, after, noisy.device)["noisy_clips"] == 24
    assert describe_run(clean.config, before, clean.device)["noisy_clips"] == 0


def test_a_run_of_a_version_without_noise_goes_on(tiny_corpus: Path, tmp_path: Path) -> None:
    import torch

    whole = list(fit(config("supervised", tiny_corpus)))
    runs = fit(config("supervised", tiny_corpus), tmp_path)
    next(runs)
    runs.close()
    path = tmp_path / CHECKPOINT_FILE
    content = torch.load(path, weights_only=True)
    for name in ("noise.rate", "noise.kind", "data.test_fold"):
        del content["config"][name]
    torch.save(content, path)
    assert without_times(list(fit(config("supervised", tiny_corpus), tmp_path)))[-1] == without_times(whole)[-1]
