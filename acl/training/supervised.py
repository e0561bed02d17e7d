"""Supervised run: the CNN with cross-entropy + angular margin, as in the recipe's Table 1."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.optim.lr_scheduler import ReduceLROnPlateau

from acl import metric_names as names
from acl.config import SUPERVISED, SupervisedConfig
from acl.evaluation.accuracy import clip_probabilities
from acl.features import PATCH_FRAMES, testing_patch_starts, training_patch_starts
from acl.losses import MarginCrossEntropy
from acl.metric_names import EVALUATION_CLASSIFIER
from acl.models import BaselineCnn
from acl.optim import TrainingStep, adam
from acl.patches.reader import PatchReader
from acl.patches.standardise import standardise_bands
from acl.patches.table import PatchTable, tabulate_patches
from acl.store.feature_store import FeatureStore
from acl.training.device import choose_device, place_model, precision
from acl.training.label_noise import inject_noise
from acl.training.randomness import stream, stream_seed
from acl.training.scores import Evaluation, accuracy_metrics, combined, score
from acl.training.splits import split_clips, with_test_fold
from acl.training.stage import Stage, Validation

# Patches of a forward pass without gradients where it is not the whole batch: on a CPU so few stay in its caches, twice as fast.
_EVALUATED_AT_ONCE = {"cpu": 8}


class SupervisedSetup:
    """Features of a corpus as a supervised run uses them.

    Args:
        config: of the run.

    Raises:
        StoreError: the corpus has no complete feature store.
        SplitError: it is too small, or lacks the fold, the subset or foreign clips.
        DeviceError: the configured device is missing.
    """

    def __init__(self, config: SupervisedConfig) -> None:
        self.device = choose_device(config.compute)
        store = with_test_fold(FeatureStore.open(Path(config.data.root), config.mode), config.data)
        self.splits = split_clips(store, config.data)
        self.store = inject_noise(store, store.select(config.data.subset), config.noise)
        self.train = tabulate_patches(self.store, self.splits.train, training_patch_starts, SUPERVISED)
        self.val = tabulate_patches(self.store, self.splits.val, training_patch_starts, SUPERVISED)
        self.standardise = standardise_bands(self.store, self.train, PATCH_FRAMES[SUPERVISED]).to(self.device)


class SupervisedStage(Stage):
    """Supervised training in progress."""

    name = "supervised"
    losses = ("loss", "cross_entropy", "angular_margin")
    scheduler: ReduceLROnPlateau

    def __init__(self, config: SupervisedConfig) -> None:
        super().__init__()
        self.config = config
        setup = SupervisedSetup(config)
        self.store, self.splits, self.device = setup.store, setup.splits, setup.device
        self.train, self.val, self.standardise = setup.train, setup.val, setup.standardise
        self.reader = PatchReader(self.store, PATCH_FRAMES[SUPERVISED], self.device)
        model = BaselineCnn(len(self.store.classes), config.model.dropout, generator=stream(config.seed, "weights"))
        self.model = place_model(model, self.device, config.compute)
        self.loss = MarginCrossEntropy(config.loss.alpha, config.loss.margin, config.loss.angular_scale)
        self.optimiser = adam(self.model.parameters(), config.optim.lr, config.optim.weight_decay)
        self.step = TrainingStep(self.optimiser, self.device)
        self.scheduler = ReduceLROnPlateau(
            self.optimiser, factor=config.optim.plateau_factor, patience=config.optim.plateau_patience
        )
        self.epochs = config.optim.epochs
        self.batch_size = min(config.optim.batch_size, len(self.train))
        self.steps = len(self.train) // self.batch_size  # the last incomplete batch is dropped (recipe)
        self.train_clips = len(self.splits.train)

    def train_steps(self) -> Iterator[tuple[int, Tensor]]:
        """One pass over the training patches; all batches have the same size."""
        order = torch.randperm(len(self.train), generator=stream(self.config.seed, "patch order", self.epoch))
        torch.manual_seed(stream_seed(self.config.seed, "dropout", self.epoch))  # dropout draws from torch's global generators
        self.model.train()
        for patches, labels in self._batches(self.train, self.splits.train, order[: self.steps * self.batch_size], self.batch_size):
            yield 1, self.step(self._losses, patches, labels)

    def _losses(self, patches: Tensor, labels: Tensor) -> Tensor:
        with precision(self.device, self.config.compute):
            logits, embeddings = self.model(self.standardise(patches))
            return torch.stack(self.loss.parts(logits, embeddings, labels))

    @torch.no_grad()
    def evaluate(self, table: PatchTable, clips: np.ndarray) -> tuple[Tensor, dict[str, float]]:
        """Clip probabilities `[C, classes]` and mean losses over the patches of `table`, dropout off.

        The margin term depends on which patches share a batch: a fixed shuffle makes it comparable between epochs and trials.
        """
        self.model.eval()
        order = torch.from_numpy(np.random.default_rng(0).permutation(len(table)))
        probabilities = []
        sums = torch.zeros(3, device=self.device)
        scored = 0  # a last patch that is alone in its batch has no pairs and no losses
        for patches, labels in self._batches(table, clips, order, self.config.optim.batch_size):
            logits, embeddings = self._forward(patches)
            probabilities.append(logits.float().softmax(1))
            if len(patches) > 1:
                sums += len(patches) * torch.stack(self.loss.parts(logits, embeddings, labels))
                scored += len(patches)
        total, cross_entropy, angular_margin = (sums / max(scored, 1)).tolist()
        losses = {names.VAL_LOSS: total, names.VAL_CROSS_ENTROPY: cross_entropy, names.VAL_ANGULAR_MARGIN: angular_margin}
        in_order = torch.cat(probabilities).cpu()[order.argsort()]
        return clip_probabilities(in_order, torch.from_numpy(table.clip)), losses

    def _forward(self, patches: Tensor) -> tuple[Tensor, Tensor]:
        """Logits and embeddings of a batch, in evaluation mode."""
        with precision(self.device, self.config.compute):
            parts = patches.split(_EVALUATED_AT_ONCE.get(self.device.type, len(patches)))
            logits, embeddings = zip(*(self.model(self.standardise(part)) for part in parts), strict=True)
        return torch.cat(logits), torch.cat(embeddings)

    def validate_epoch(self) -> Validation:
        """Losses and accuracies on the validation clips; the recipe selects the epoch with the lowest validation loss."""
        probabilities, metrics = self.evaluate(self.val, self.splits.val)
        self.scheduler.step(metrics[names.VAL_LOSS])
        accuracy = accuracy_metrics("val", EVALUATION_CLASSIFIER, self.store, self.splits.val, probabilities.argmax(1), self.val)
        metrics[names.VAL_EPOCH_ACCURACY] = accuracy[names.VAL_ACCURACY]
        return Validation(metrics, score=-metrics[names.VAL_LOSS], selected_metrics=accuracy)

    def test(self) -> Evaluation:
        """Scores and predictions on validation and test clips."""
        test_patches = tabulate_patches(self.store, self.splits.test, testing_patch_starts, SUPERVISED)
        evaluated = (("val", self.splits.val, self.val), ("test", self.splits.test, test_patches))
        return combined(
            score(split, EVALUATION_CLASSIFIER, self.store, clips, self.evaluate(table, clips)[0], table)
            for split, clips, table in evaluated
        )

    def _batches(self, table: PatchTable, clips: np.ndarray, order: Tensor, batch_size: int) -> Iterator[tuple[Tensor, Tensor]]:
        """Patches and labels of the patches `order` of a table."""
        labels = torch.from_numpy(self.store.class_ids[clips[table.clip]])[order].to(self.device)
        return zip(self.reader.batches(table.starts[order], batch_size), labels.split(batch_size), strict=True)
