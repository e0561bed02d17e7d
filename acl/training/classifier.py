"""A classifier trained through the pre-trained encoder: fine-tuning, and linear evaluation by the published protocol."""

import math
from collections.abc import Iterator

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from acl import metric_names as names
from acl.config import SELF_SUPERVISED, ClassifierOptim
from acl.evaluation.accuracy import clip_probabilities
from acl.features import PATCH_FRAMES
from acl.metric_names import EVALUATION_CLASSIFIER
from acl.models import encoder_of
from acl.models.initialisation import weights_from
from acl.optim import TrainingStep, sgd_with_step_decay
from acl.patches.table import PatchTable, RandomStarts
from acl.training.device import place_model, precision
from acl.training.pretraining import ENCODER_PREFIX
from acl.training.randomness import stream
from acl.training.scores import Evaluation, accuracy_metrics, combined, score
from acl.training.self_supervised import SelfSupervisedSetup, splits_of_stage
from acl.training.stage import Stage, Validation, Weights, weights_of


class ClassifierStage(Stage):
    """Training in progress of a linear layer on the encoder's h, on one random patch of each clip per epoch, not augmented.

    Stage "linear" leaves the encoder's weights as they are, but has it in training mode, as the published code does: BatchNorm
    normalises with the batch's statistics and its running ones drift. Fine-tuning stages train all weights.

    Args:
        setup: of the run.
        name: "linear", "finetune_noisy" or "finetune_clean".
        pretrained: weights that pre-training selected.
    """

    def __init__(self, setup: SelfSupervisedSetup, name: str, pretrained: Weights) -> None:
        super().__init__()
        self.setup, self.store, self.device, self.name = setup, setup.store, setup.device, name
        self.splits = splits_of_stage(setup, name)
        self.is_frozen = name == "linear"
        self.evaluation = EVALUATION_CLASSIFIER if self.is_frozen else name
        section = "probe" if self.is_frozen else "finetune"
        self.prefix, self.rate_setting = f"{name}_", f"{section}.lr"
        self.optim: ClassifierOptim = getattr(setup.config, section)
        self.starts = RandomStarts(self.store, self.splits.train, PATCH_FRAMES[SELF_SUPERVISED])
        self.val_patches = setup.patches_of(self.splits.val)
        generator = stream(setup.config.seed, f"{name} weights")
        encoder = encoder_of(setup.config.model, generator)
        encoder.load_state_dict(weights_of(pretrained, ENCODER_PREFIX))
        with weights_from(generator):
            self.classifier = nn.Linear(encoder.embedding_dim, len(self.store.classes)).to(self.device)
        self.encoder = place_model(encoder, self.device, setup.config.compute)
        self.model = nn.Sequential(self.encoder, self.classifier)
        trained = self.classifier if self.is_frozen else self.model
        self.optimiser, self.scheduler = sgd_with_step_decay(trained.parameters(), self.optim)
        self.step = TrainingStep(self.optimiser, self.device)
        self.epochs = self.optim.epochs
        self.train_clips = len(self.splits.train)
        self.steps = math.ceil(self.train_clips / self.optim.batch_size)

    def train_steps(self) -> Iterator[tuple[int, Tensor]]:
        """One pass over the training clips; cross-entropy."""
        config = self.setup.config
        order = torch.randperm(self.train_clips, generator=stream(config.seed, f"{self.name} clip order", self.epoch))
        generator = stream(config.seed, f"{self.name} patches", self.epoch)
        labels = self.setup.labels_of(self.splits.train)[order].to(self.device).split(self.optim.batch_size)
        patches = self.setup.reader.batches(self.starts.draw(order, generator), self.optim.batch_size)
        self.model.train()
        for inputs, targets in zip(patches, labels, strict=True):
            yield len(inputs), self.step(self._losses, inputs, targets)

    def _losses(self, patches: Tensor, labels: Tensor) -> Tensor:
        with precision(self.device, self.setup.config.compute):
            with torch.set_grad_enabled(not self.is_frozen):
                h = self.encoder(self.setup.standardise(patches))
            logits = self.classifier(h)
        return F.cross_entropy(logits.float(), labels)[None]

    def validate_epoch(self) -> Validation:
        """Accuracies on the validation clips; the recipe selects the epoch with the best macro one."""
        self.scheduler.step()
        predicted = self._probabilities(self.val_patches).argmax(1)
        selected = accuracy_metrics("val", self.evaluation, self.store, self.splits.val, predicted, self.val_patches)
        plain, macro = (
            selected[names.of_split("val", self.evaluation, figure)] for figure in (names.ACCURACY, names.MACRO_ACCURACY)
        )
        metrics = {names.of_epoch(self.name, names.ACCURACY): plain, names.of_epoch(self.name, names.MACRO_ACCURACY): macro}
        return Validation(metrics, macro, selected)

    def test(self) -> Evaluation:
        """Scores and predictions on validation and test clips."""
        evaluated = (("val", self.splits.val, self.val_patches), ("test", self.splits.test, self.setup.test_patches))
        return combined(
            score(split, self.evaluation, self.store, clips, self._probabilities(table), table) for split, clips, table in evaluated
        )

    def _probabilities(self, table: PatchTable) -> Tensor:
        """Clip probabilities `[C, classes]`: means over the patches' softmax."""
        logits = self.setup.forward(self.model, table)
        return clip_probabilities(logits.softmax(1).cpu(), torch.from_numpy(table.clip))
