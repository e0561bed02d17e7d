"""Weights of a run that validation has selected, finished or not, and what they learned from."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from acl import metric_names as names
from acl.config import Config, SupervisedConfig, build_config
from acl.store.feature_store import FeatureStore
from acl.system.errors import CheckpointError
from acl.training.checkpoint_files import CHECKPOINT_FILE, fitting, read_file, stage_file
from acl.training.pretraining import ENCODER_PREFIX, PROBE_PREFIX
from acl.training.self_supervised import SelfSupervisedSetup
from acl.training.stage import Weights, weights_of
from acl.training.supervised import SupervisedSetup


@dataclass(frozen=True)
class SelectedWeights:
    """The selected weights of a run's first stage, supervised training or pre-training.

    Attributes:
        config: of the run.
        features_sha256: digest of the features that the run learned from.
        encoder: supervised, the whole CNN; self-supervised, the ResNet-18 without its projection head.
        classifier: self-supervised, the linear layer of the cached linear evaluation; empty where there is none (yet).
        epoch: the epoch that validation has selected.
        epochs_trained: epochs of the stage that had run.
        is_tested: whether the stage has come to its end, so that these weights were tested.
        figures: what was measured with these weights, by the names of metrics.
    """

    config: Config
    features_sha256: str
    encoder: Weights
    classifier: Weights
    epoch: int
    epochs_trained: int
    is_tested: bool
    figures: dict[str, float]


def selected_weights(folder: Path) -> SelectedWeights:
    """Selected weights of the run that keeps its checkpoints in `folder`.

    Raises:
        CheckpointError: no epoch has been scored, or a file is damaged or of another version.
    """
    if not (folder / CHECKPOINT_FILE).exists():
        raise CheckpointError(
            f"{folder} has no {CHECKPOINT_FILE}: no epoch has ended, or the trial's state was deleted; run it first"
        )
    state = read_file(folder / CHECKPOINT_FILE)
    with fitting(folder / CHECKPOINT_FILE):
        return _selected(folder, state)


def _selected(folder: Path, state: dict[str, Any]) -> SelectedWeights:
    config = build_config(state["config"])
    is_supervised = isinstance(config, SupervisedConfig)
    first = "supervised" if is_supervised else "pretraining"
    is_tested = first in state["finished"]
    if is_tested:
        stage = read_file(folder / stage_file(first))
        weights, figures = stage["weights"], stage["figures"]
        epoch, epochs_trained = int(figures[names.BEST_EPOCH]), config.optim.epochs
    else:
        stage = state["stage"]
        weights, figures = stage["best_weights"], stage["best_metrics"]
        epoch, epochs_trained = stage["best_epoch"], stage["epoch"]
    if not weights:
        raise CheckpointError(
            f"{folder} holds no selected weights: no epoch has a finite validation score; train with a lower --set optim.lr=…"
        )
    return SelectedWeights(
        config=config,
        features_sha256=state["corpus"],
        encoder=weights if is_supervised else weights_of(weights, ENCODER_PREFIX),
        classifier={} if is_supervised else weights_of(weights, PROBE_PREFIX),
        epoch=epoch,
        epochs_trained=epochs_trained,
        is_tested=is_tested,
        figures=figures,
    )


def learned_from(selected: SelectedWeights) -> SupervisedSetup | SelfSupervisedSetup:
    """The corpus as the run used it: its `store`, `splits`, and `standardise`, the normalisation of the patches; on the CPU.

    Raises:
        StoreError: the corpus has no complete feature store.
        CheckpointError: its features are not those that the run learned from.
    """
    compute = selected.config.compute.model_copy(update={"device": "cpu", "threads": 0})
    config = selected.config.model_copy(update={"compute": compute})
    data = SupervisedSetup(config) if isinstance(config, SupervisedConfig) else SelfSupervisedSetup(config)
    if FeatureStore.verify(config.data.root, config.mode) != selected.features_sha256:
        raise CheckpointError(f"{config.data.root} no longer holds the features that the run learned from; restore that corpus")
    return data
