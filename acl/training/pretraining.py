"""Pre-training of a ResNet-18 with ACL, selected by kNN, and what is evaluated on its frozen embeddings."""

from collections.abc import Iterator
from itertools import islice

import numpy as np
import torch
from torch import Tensor, nn

from acl import metric_names as names
from acl.config import ProbeConfig
from acl.embedding_quality import alignment, tolerance, uniformity
from acl.evaluation.accuracy import accuracies, clip_probabilities, knn_votes, top_accuracy
from acl.evaluation.probe import probe_probabilities, train_linear_probe
from acl.losses import AngularContrastiveLoss
from acl.metric_names import EVALUATION_CLASSIFIER, EVALUATION_KNN
from acl.models import ProjectionHead, encoder_of
from acl.optim import TrainingStep, sgd_with_step_decay
from acl.patches.table import PatchTable
from acl.training.device import place_model, precision
from acl.training.randomness import stream
from acl.training.scores import Evaluation, accuracy_metrics, combined, score
from acl.training.self_supervised import EVALUATION_BATCH, SelfSupervisedSetup
from acl.training.stage import Stage, Validation
from acl.views import ViewMaker

ENCODER_PREFIX = "encoder."  # of the encoder's weights among those of the stage
PROBE_PREFIX = "probe."  # of the linear probe's, which come with the stage's end


class PretrainingStage(Stage):
    """Pre-training in progress."""

    name = "pretraining"
    losses = ("loss", "nt_xent", "angular_margin")

    def __init__(self, setup: SelfSupervisedSetup) -> None:
        super().__init__()
        self.setup, self.store, self.splits, self.device = setup, setup.store, setup.splits, setup.device
        self.config = config = setup.config
        self.views = ViewMaker(self.store, setup.pretraining_clips, config.views, self.device)
        generator = stream(config.seed, "weights")
        encoder = encoder_of(config.model, generator)
        head = ProjectionHead(encoder.embedding_dim, generator=generator)
        self.encoder = place_model(encoder, self.device, config.compute)
        self.head = place_model(head, self.device, config.compute)
        self.model = nn.ModuleDict({"encoder": self.encoder, "head": self.head})
        self.loss = AngularContrastiveLoss(
            config.loss.alpha, config.loss.margin, config.loss.temperature, angular_scale=config.loss.angular_scale
        )
        self.optimiser, self.scheduler = sgd_with_step_decay(self.model.parameters(), config.optim)
        self.step = TrainingStep(self.optimiser, self.device)
        self.epochs = config.optim.epochs
        self.train_clips = len(setup.pretraining_clips)
        full, rest = divmod(self.train_clips, config.optim.batch_size)
        self.steps = full + (rest > 1)  # a clip alone has no negatives

    def train_steps(self) -> Iterator[tuple[int, Tensor]]:
        """One pass over the training clips, two views each."""
        config = self.config
        order = torch.randperm(self.train_clips, generator=stream(config.seed, "clip order", self.epoch))
        patch_generator = stream(config.seed, "patches", self.epoch)
        augmentation_generator = stream(config.seed, "augmentations", self.epoch, self.device)
        self.model.train()
        views = self.views.pairs(order, config.optim.batch_size, patch_generator, augmentation_generator)
        for first, second in islice(views, self.steps):
            yield len(first), self.step(self._losses, first, second)

    def _losses(self, first: Tensor, second: Tensor) -> Tensor:
        with precision(self.device, self.config.compute):
            # Two passes: BatchNorm sees each view by itself, as the recipe does.
            h_first, z_first = self._embed(first)
            h_second, z_second = self._embed(second)
            return torch.stack(self.loss.parts(h_first, h_second, z_first, z_second))

    def validate_epoch(self) -> Validation:
        """kNN accuracies; the recipe selects the epoch with the best macro one."""
        self.scheduler.step()
        predicted = self.knn_votes(self.embed(self.setup.val_patches), self.splits.val, self.setup.val_patches).argmax(1)
        selected = accuracy_metrics("val", EVALUATION_KNN, self.store, self.splits.val, predicted, self.setup.val_patches)
        plain, macro = selected[names.VAL_KNN_ACCURACY], selected[names.VAL_KNN_MACRO_ACCURACY]
        return Validation({names.VAL_EPOCH_KNN_ACCURACY: plain, names.VAL_EPOCH_KNN_MACRO_ACCURACY: macro}, macro, selected)

    def test(self) -> Evaluation:
        """kNN, linear evaluation by the cached protocol, and the quality of the embeddings, on validation and test clips."""
        evaluations = []
        for split, clips, table in self._evaluated():
            votes = self.knn_votes(self.embed(table), clips, table)
            evaluations.append(score(split, EVALUATION_KNN, self.store, clips, votes / votes.sum(1, keepdim=True), table))
            top3 = {names.of_split(split, EVALUATION_KNN, names.TOP3_ACCURACY): top_accuracy(votes, self.setup.labels_of(clips))}
            evaluations.append(Evaluation(self.embedding_quality(split, clips) | top3, []))
        if self.config.probe.protocol == "cached":
            evaluations += self._linear_evaluation()
        return combined(evaluations)

    def _linear_evaluation(self) -> list[Evaluation]:
        """Validation and test scores of a linear probe on embeddings that are computed once, in evaluation mode."""
        train = self.setup.patches_of(self.splits.train)
        h_train = self.setup.forward(self.encoder, train)
        embedded = [(split, clips, table, self.setup.forward(self.encoder, table)) for split, clips, table in self._evaluated()]
        probe = self.train_probe(h_train, train, embedded[0][-1], self.config.probe)
        # Kept with the encoder that it reads; nothing trains it further.
        self.best_weights |= {f"{PROBE_PREFIX}{name}": weight for name, weight in probe.state_dict().items()}
        return [
            score(
                split,
                EVALUATION_CLASSIFIER,
                self.store,
                clips,
                clip_probabilities(probe_probabilities(probe, h).cpu(), torch.from_numpy(table.clip)),
                table,
            )
            for split, clips, table, h in embedded
        ]

    def train_probe(self, h_train: Tensor, train: PatchTable, h_val: Tensor, config: ProbeConfig) -> nn.Linear:
        """Linear probe on embeddings `[P, D]` of the patches of `train`, selected on those of the validation patches."""
        val_patches = self.setup.val_patches
        val_clip_of_patch, val_labels = torch.from_numpy(val_patches.clip).to(h_val.device), self.setup.labels_of(self.splits.val)
        val_patches_per_clip = torch.from_numpy(val_patches.patches_per_clip)

        def macro_accuracy(probe: nn.Linear) -> float:
            predicted = clip_probabilities(probe_probabilities(probe, h_val), val_clip_of_patch).argmax(1).cpu()
            return accuracies(predicted, val_labels, val_patches_per_clip).macro

        return train_linear_probe(
            h_train,
            torch.from_numpy(train.clip).to(h_train.device),
            self.setup.labels_of(self.splits.train).to(h_train.device),
            len(self.store.classes),
            config,
            stream(self.config.seed, "probe"),
            validate=macro_accuracy,
        )

    def _evaluated(self) -> list[tuple[str, np.ndarray, PatchTable]]:
        return [("val", self.splits.val, self.setup.val_patches), ("test", self.splits.test, self.setup.test_patches)]

    def embed(self, table: PatchTable) -> Tensor:
        """z `[P, D]` of patches, in evaluation mode."""
        return self.setup.forward(nn.Sequential(self.encoder, self.head), table)

    def knn_votes(self, z: Tensor, clips: np.ndarray, table: PatchTable) -> Tensor:
        """Patch votes `[C, classes]` among the patches of `table`, of `clips` (own clip excluded), by their z."""
        clip_of_patch = torch.from_numpy(table.clip)
        patch_labels = self.setup.labels_of(clips)[clip_of_patch].to(self.device)
        return knn_votes(z, patch_labels, clip_of_patch.to(self.device), self.config.knn.k, len(self.store.classes)).cpu()

    @torch.no_grad()
    def embedding_quality(self, split: str, clips: np.ndarray) -> dict[str, float]:
        """Uniformity (first view), tolerance (both views) and alignment of z over one augmented pair per clip, as in Fig. 3."""
        self.model.eval()
        views = ViewMaker(self.store, clips, self.config.views, self.device)
        purpose = "quality" if split == "test" else f"{split} quality"
        patch_generator = stream(self.config.seed, f"{purpose} patches")
        augmentation_generator = stream(self.config.seed, f"{purpose} augmentations", device=self.device)
        batch_size = EVALUATION_BATCH[self.device.type]
        pairs: list[tuple[Tensor, Tensor]] = []
        for both in views.pairs(torch.arange(len(clips)), batch_size, patch_generator, augmentation_generator):
            with precision(self.device, self.config.compute):
                first, second = (self._embed(view)[1].float() for view in both)
            pairs.append((first, second))
        first, second = (torch.cat(side).cpu() for side in zip(*pairs, strict=True))
        labels = self.setup.labels_of(clips)
        return {
            f"{split}.{names.UNIFORMITY}": float(uniformity(first)),
            f"{split}.{names.TOLERANCE}": float(tolerance(torch.cat([first, second]), torch.cat([labels, labels]))),
            f"{split}.{names.ALIGNMENT}": float(alignment(first, second)),
        }

    def _embed(self, patches: Tensor) -> tuple[Tensor, Tensor]:
        h = self.encoder(self.setup.standardise(patches))
        return h, self.head(h)
