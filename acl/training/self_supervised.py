"""The setup that stages of a self-supervised run share: device, features, splits, normalisation."""

from functools import cached_property
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from acl.config import SELF_SUPERVISED, SelfSupervisedConfig
from acl.features import PATCH_FRAMES, training_patch_starts
from acl.models import folded
from acl.patches.reader import PatchReader
from acl.patches.standardise import Standardisation, standardise_globally
from acl.patches.table import PatchTable, tabulate_patches
from acl.store.feature_store import FeatureStore
from acl.system.errors import SplitError
from acl.training.device import choose_device, precision
from acl.training.label_noise import inject_noise
from acl.training.splits import Splits, finetuning_splits, pretraining_clips, split_clips, with_test_fold

# Patches of a forward pass without gradients: on a CPU few, which stay in its caches.
EVALUATION_BATCH = {"cpu": 32, "cuda": 1024}
FEWEST_CLIPS = 3  # mix-back takes two other clips


class SelfSupervisedSetup:
    """Features of a corpus as a self-supervised run uses them.

    Args:
        config: of the run.

    Raises:
        StoreError: the corpus has no complete feature store.
        SplitError: it is too small for what the run does after its first epoch, or lacks the fold, the subset or foreign clips.
        DeviceError: the configured device is missing.
    """

    def __init__(self, config: SelfSupervisedConfig) -> None:
        self.config = config
        self.device = choose_device(config.compute)
        store = with_test_fold(FeatureStore.open(Path(config.data.root), config.mode), config.data)
        self.splits = split_clips(store, config.data)
        self.store = inject_noise(store, store.select(config.data.subset), config.noise)
        self.reader = PatchReader(self.store, PATCH_FRAMES[SELF_SUPERVISED], self.device)
        self.pretraining_clips = pretraining_clips(self.store, config.data, self.splits)
        self.finetuning: dict[str, Splits] = {part: finetuning_splits(store, part, config.data) for part in config.finetune.on}
        self.val_patches = self.patches_of(self.splits.val)
        self.test_patches = self.patches_of(self.splits.test)
        self._check_size()

    @cached_property
    def standardise(self) -> Standardisation:
        """Normalisation by the clips of pre-training; reads all their features when it is first used."""
        return standardise_globally(self.store, self.pretraining_clips).to(self.device)

    def patches_of(self, clips: np.ndarray) -> PatchTable:
        """Patches of clips on which embeddings are evaluated, 50 frames apart."""
        return tabulate_patches(self.store, clips, training_patch_starts, SELF_SUPERVISED)

    def labels_of(self, clips: np.ndarray) -> Tensor:
        """Class ids `[n]`."""
        return torch.from_numpy(self.store.class_ids[clips])

    @torch.no_grad()
    def forward(self, model: nn.Module, table: PatchTable) -> Tensor:
        """Output `[P, …]` of a model for all patches of `table`, float32, evaluation mode."""
        model = folded(model)
        outputs = []
        for patches in self.reader.batches(table.starts, EVALUATION_BATCH[self.device.type]):
            with precision(self.device, self.config.compute):
                outputs.append(model(self.standardise(patches)).float())
        return torch.cat(outputs)

    def _check_size(self) -> None:
        """Refuse before the first epoch what would fail after it."""
        for split, clips in (("training", self.pretraining_clips), ("validation", self.splits.val), ("test", self.splits.test)):
            if len(clips) < FEWEST_CLIPS:
                raise SplitError(f"{len(clips)} {split} clips are too few to mix each with two others; use a larger corpus")
        tables = {"validation": self.val_patches, "test": self.test_patches}
        others = {split: len(table) - int(table.patches_per_clip.max()) for split, table in tables.items()}
        split = min(others, key=lambda each: others[each])
        if self.config.knn.k > others[split]:
            rule = f"knn.k is {self.config.knn.k}, but a {split} clip has {others[split]} patches of other clips"
            raise SplitError(f"{rule}; lower it: --set knn.k={others[split]}")


def splits_of_stage(setup: SelfSupervisedSetup, stage: str) -> Splits:
    """Clips of linear evaluation ("linear") or of a fine-tuning ("finetune_noisy", "finetune_clean")."""
    return setup.splits if stage == "linear" else setup.finetuning[stage.removeprefix("finetune_")]
