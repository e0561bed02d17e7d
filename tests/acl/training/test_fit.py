"""Training runs on real wav files at toy size: complete records, determinism, checkpoints, selection."""

import json
import math
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from acl import metric_names as names
from acl.provenance import PROVENANCE_FILE
from acl.store.feature_store import FeatureStore
from acl.system.errors import CheckpointError, DeviceError, StoreError
from acl.training import DivergedError, fit
from acl.training.checkpoint_files import CHECKPOINT_FILE, stage_file
from acl.training.splits import split_clips
from support.training_runs import MODES, config, without_times

MEASURED = {names.CLIPS_PER_SECOND, names.EPOCH_SECONDS, names.MEMORY_GB}
COMMON = {names.TRAIN_LOSS, names.TRAIN_ANGULAR_MARGIN, names.LEARNING_RATE, *MEASURED}
CLASSIFIER = {names.VAL_ACCURACY, names.VAL_MACRO_ACCURACY, names.VAL_PATCH_WEIGHTED_ACCURACY}
TEST = {names.BEST_EPOCH, names.TEST_ACCURACY, names.TEST_MACRO_ACCURACY, names.TEST_PATCH_WEIGHTED_ACCURACY}
KNN = {names.VAL_KNN_ACCURACY, names.VAL_KNN_MACRO_ACCURACY, "val.knn_patch_weighted_accuracy"}
TEST_KNN = {name.replace("val.", "test.") for name in KNN} | {"val.knn_top3_accuracy", "test.knn_top3_accuracy"}
QUALITY = {f"{split}.{name}" for split in ("val", "test") for name in ("uniformity", "tolerance", "alignment")}
EACH_EPOCH = {
    "supervised": COMMON
    | CLASSIFIER
    | {names.TRAIN_CROSS_ENTROPY, names.VAL_LOSS, names.VAL_EPOCH_ACCURACY, names.VAL_CROSS_ENTROPY, names.VAL_ANGULAR_MARGIN},
    "self-supervised": COMMON | KNN | {names.TRAIN_NT_XENT, names.VAL_EPOCH_KNN_ACCURACY, names.VAL_EPOCH_KNN_MACRO_ACCURACY},
}
LAST_EPOCH = {"supervised": TEST, "self-supervised": TEST | CLASSIFIER | TEST_KNN | QUALITY}


def class_wise(mode: str, root: Path) -> set[str]:
    """Class-wise accuracies of the last record; every class has validation and test clips in the corpus."""
    prefixes = [f"{split}.{which}" for split in ("val", "test") for which in ([""] if mode == "supervised" else ["", "knn_"])]
    classes = FeatureStore.open(root, "supervised").classes
    return {f"{prefix}class_accuracy.{name}" for prefix in prefixes for name in classes}


@pytest.mark.parametrize("mode", MODES)
def test_every_record_is_complete_and_the_last_has_test_results(mode: str, tiny_corpus: Path) -> None:
    first, last = fit(config(mode, tiny_corpus))
    assert set(first.metrics) == EACH_EPOCH[mode]
    assert set(last.metrics) == EACH_EPOCH[mode] | LAST_EPOCH[mode] | class_wise(mode, tiny_corpus)
    assert all(math.isfinite(value) for value in last.metrics.values())
    assert all(name.startswith(names.METRIC_PREFIXES) for name in last.metrics)
    assert (first.is_last, last.is_last, first.predictions) == (False, True, [])
    assert last.classes == FeatureStore.open(tiny_corpus, "supervised").classes


@pytest.mark.parametrize("mode", MODES)
def test_predictions_of_clips_give_the_reported_accuracies(mode: str, tiny_corpus: Path) -> None:
    settings = config(mode, tiny_corpus, optim__epochs=1)
    (last,) = fit(settings)
    store = FeatureStore.open(tiny_corpus, settings.mode)
    splits = split_clips(store, settings.data)
    evaluations = {"classifier": "", **({"knn": "knn_"} if mode == "self-supervised" else {})}
    assert {row.evaluation for row in last.predictions} == set(evaluations)
    for evaluation, prefix in evaluations.items():
        for split, clips in (("val", splits.val), ("test", splits.test)):
            rows = [row for row in last.predictions if (row.split, row.evaluation) == (split, evaluation)]
            assert [row.clip for row in rows] == store.names[clips].tolist()
            assert [row.label for row in rows] == store.labels[clips].tolist()
            right = np.array([row.label == row.predicted for row in rows])
            patches = np.array([row.patches for row in rows])
            by_class = {label: right[store.labels[clips] == label].mean() for label in store.classes}
            figures = {
                "accuracy": right.mean(),
                "macro_accuracy": np.mean(list(by_class.values())),
                "patch_weighted_accuracy": (right * patches).sum() / patches.sum(),
                **{f"class_accuracy.{label}": share for label, share in by_class.items()},
            }
            for name, value in figures.items():
                assert last.metrics[f"{split}.{prefix}{name}"] == pytest.approx(value), name
            probabilities = np.array([row.probabilities for row in rows])
            assert probabilities.sum(1) == pytest.approx(1)
            assert (probabilities >= 0).all()
            assert [row.predicted for row in rows] == [last.classes[best] for best in probabilities.argmax(1)]


@pytest.mark.parametrize("mode", MODES)
def test_same_seed_same_records_and_another_seed_others(mode: str, tiny_corpus: Path) -> None:
    once = without_times(list(fit(config(mode, tiny_corpus))))
    torch.rand(3)  # the global generator is not what runs draw from
    assert without_times(list(fit(config(mode, tiny_corpus)))) == once
    assert without_times(list(fit(config(mode, tiny_corpus, seed=1)))) != once


@pytest.mark.slow
@pytest.mark.parametrize(
    ("mode", "settings"),
    [
        ("supervised", {"optim__epochs": 3}),
        (
            "self-supervised",
            {"probe__protocol": "published", "probe__epochs": 2, "finetune__on": ["noisy", "clean"], "finetune__epochs": 1},
        ),
    ],
    ids=MODES[::-1],
)
def test_a_run_resumed_from_any_epoch_has_the_same_records(
    mode: str, settings: dict[str, Any], tiny_corpus: Path, tmp_path: Path
) -> None:
    settings_of_run = config(mode, tiny_corpus, **settings)
    whole = []
    for result in fit(settings_of_run, tmp_path / "whole"):
        whole.append(result)
        shutil.copytree(tmp_path / "whole", tmp_path / str(result.epoch), ignore=shutil.ignore_patterns("*.partial"))
    assert len(whole) == settings_of_run.total_epochs
    for epoch in range(1, len(whole) + 1):
        again = list(fit(settings_of_run, tmp_path / str(epoch)))
        # The record that may not have been received comes once more, and the one before it if the state was still being written.
        assert epoch - again[0].epoch in (0, 1)
        assert without_times(again) == without_times(whole[again[0].epoch - 1 :]), f"resumed from epoch {epoch}"
    (again_only,) = fit(settings_of_run, tmp_path / "whole")
    assert again_only == whole[-1]


def test_a_damaged_or_foreign_checkpoint_is_refused(tiny_corpus: Path, tmp_path: Path) -> None:
    next(fit(config("supervised", tiny_corpus), tmp_path))
    with pytest.raises(CheckpointError, match=r"loss\.alpha=0\.5, not 0\.7"):
        next(fit(config("supervised", tiny_corpus, loss__alpha=0.7), tmp_path))
    elsewhere = tmp_path / "other corpus"
    shutil.copytree(tiny_corpus / "features", elsewhere / "features")
    metadata = elsewhere / "features" / "supervised" / "store.json"
    metadata.write_text(metadata.read_text().replace('"content_sha256": "', '"content_sha256": "0'))
    with pytest.raises(CheckpointError, match="belongs to a run on another corpus"):
        next(fit(config("supervised", elsewhere), tmp_path))
    path = tmp_path / CHECKPOINT_FILE
    content = torch.load(path, weights_only=True)
    torch.save({**content, "format": 1}, path)
    with pytest.raises(CheckpointError, match="written by another version"):
        next(fit(config("supervised", tiny_corpus), tmp_path))
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(CheckpointError, match=r"delete \S+ to train from the first epoch"):
        next(fit(config("supervised", tiny_corpus), tmp_path))


def test_a_lost_file_of_a_finished_stage_is_named(tiny_corpus: Path, tmp_path: Path) -> None:
    settings = config("self-supervised", tiny_corpus, optim__epochs=1, finetune__on=["clean"], finetune__epochs=2)
    run = fit(settings, tmp_path)
    assert [next(run).epoch, next(run).epoch] == [1, 2]
    run.close()
    lost = tmp_path / stage_file("pretraining")
    lost.unlink()
    with pytest.raises(CheckpointError, match=f"{lost.name} cannot be read .*; delete"):
        next(fit(settings, tmp_path))


def test_provenance_is_kept_for_each_launch_that_trained(tiny_corpus: Path, tmp_path: Path) -> None:
    settings = config("supervised", tiny_corpus, optim__epochs=3, seed=7)

    def launches() -> list[tuple[int, int]]:
        return [(entry["from_epoch"], entry["seed"]) for entry in json.loads((tmp_path / PROVENANCE_FILE).read_text())]

    run = fit(settings, tmp_path)
    next(run)
    run.close()
    assert launches() == [(1, 7)]
    list(fit(settings, tmp_path))
    assert launches() == [(1, 7), (2, 7)]
    list(fit(settings, tmp_path))  # repeats the last record, trains nothing
    with pytest.raises(CheckpointError):
        list(fit(config("supervised", tiny_corpus, optim__epochs=3, seed=8), tmp_path))
    assert launches() == [(1, 7), (2, 7)]


@pytest.mark.parametrize("mode", MODES)
def test_training_lowers_the_loss(mode: str, tiny_corpus: Path) -> None:
    results = list(fit(config(mode, tiny_corpus, optim__epochs=6, loss__alpha=1.0)))
    losses = [result.metrics[names.TRAIN_LOSS] for result in results]
    assert losses[-1] < 0.97 * losses[0]


def test_alpha_decides_which_part_is_learned(tiny_corpus: Path) -> None:
    margin_only = list(fit(config("self-supervised", tiny_corpus, loss__alpha=0.0, optim__epochs=3)))
    scale = config("self-supervised", tiny_corpus).loss.angular_scale
    for result in margin_only:
        assert result.metrics[names.TRAIN_LOSS] == pytest.approx(scale * result.metrics[names.TRAIN_ANGULAR_MARGIN], rel=1e-5)


def test_reduced_precision_and_channels_last_train_too(tiny_corpus: Path) -> None:
    for mode in MODES:
        more = {"finetune__on": ["clean"], "finetune__epochs": 1} if mode == "self-supervised" else {}
        reduced = config(mode, tiny_corpus, compute__precision="bf16", compute__channels_last=True, optim__epochs=1, **more)
        full = config(mode, tiny_corpus, optim__epochs=1)
        (low, *_), (high,) = fit(reduced), fit(full)
        assert low.metrics[names.TRAIN_LOSS] == pytest.approx(high.metrics[names.TRAIN_LOSS], rel=0.05)
        assert low.metrics[names.TRAIN_LOSS] != high.metrics[names.TRAIN_LOSS]


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
@pytest.mark.parametrize("mode", MODES)
def test_cuda_gives_the_first_losses_of_the_cpu(mode: str, tiny_corpus: Path) -> None:
    settings: dict[str, Any] = {"optim__epochs": 1, "compute__device": "cuda"}
    (on_gpu,) = fit(config(mode, tiny_corpus, **settings))
    (on_cpu,) = fit(config(mode, tiny_corpus, optim__epochs=1))
    assert on_gpu.metrics[names.TRAIN_LOSS] == pytest.approx(on_cpu.metrics[names.TRAIN_LOSS], rel=0.1)


@pytest.mark.skipif(torch.cuda.is_available(), reason="needs a machine without GPU")
def test_a_missing_gpu_is_named(tiny_corpus: Path) -> None:
    with pytest.raises(DeviceError, match=r"pass --set compute\.device=auto"):
        next(fit(config("supervised", tiny_corpus, compute__device="cuda")))


def test_a_diverged_run_says_so(tiny_corpus: Path) -> None:
    with pytest.raises(DivergedError, match=r"lower optim\.lr"):
        list(fit(config("self-supervised", tiny_corpus, optim__lr=1e30, optim__epochs=5)))


def test_an_unprepared_corpus_names_the_command(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="acl-study data prepare"):
        next(fit(config("supervised", tmp_path)))
