"""Self-supervised run: ACL pre-training of a ResNet-18, then a linear probe on its frozen embeddings."""

from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from acl.config import SELF_SUPERVISED, SelfSupervisedConfig
from acl.embedding_quality import tolerance, uniformity
from acl.evaluation import accuracies, clip_predictions, knn_predict
from acl.features import PATCH_FRAMES, training_patch_starts
from acl.losses import AngularContrastiveLoss
from acl.models import ProjectionHead, ResNet18
from acl.patches import PatchTable, chunks, read_patches, standardise_globally, tabulate_patches
from acl.probe import probe_probabilities, train_linear_probe
from acl.store import FeatureStore
from acl.training.device import choose_device, place_model, precision
from acl.training.epoch_result import ClipPrediction
from acl.training.randomness import stream
from acl.training.run import TrainingRun, Validation
from acl.training.scores import accuracy_metrics, clip_prediction_rows
from acl.training.splits import SplitError, split_clips
from acl.views import ViewMaker

EVALUATION_BATCH = 512  # patches per forward pass without gradients


class SelfSupervisedRun(TrainingRun):
    """A self-supervised run in progress."""

    def __init__(self, config: SelfSupervisedConfig) -> None:
        super().__init__()
        self.config = config
        self.device = choose_device(config.compute)
        self.store = FeatureStore.open(Path(config.data.root), config.mode)
        self.splits = split_clips(self.store, config.data)
        self.val_patches = tabulate_patches(self.store, self.splits.val, training_patch_starts, SELF_SUPERVISED)
        self.test_patches = tabulate_patches(self.store, self.splits.test, training_patch_starts, SELF_SUPERVISED)
        self._check_size()
        self.standardise = standardise_globally(self.store, self.splits.train)
        self.views = ViewMaker(self.store, self.splits.train, config.views, self.device)
        generator = stream(config.seed, "weights")
        encoder = ResNet18(config.model.width, generator=generator)
        head = ProjectionHead(encoder.embedding_dim, generator=generator)
        self.encoder = place_model(encoder, self.device, config.compute)
        self.head = place_model(head, self.device, config.compute)
        self.model = nn.ModuleDict({"encoder": self.encoder, "head": self.head})
        self.loss = AngularContrastiveLoss(
            config.loss.alpha, config.loss.margin, config.loss.temperature, angular_scale=config.loss.angular_scale
        )
        optim = config.optim
        self.optimiser = torch.optim.SGD(
            self.model.parameters(), lr=optim.lr, momentum=optim.momentum, weight_decay=optim.weight_decay
        )
        milestones = [max(1, round(share * optim.epochs)) for share in optim.milestones]
        self.scheduler = torch.optim.lr_scheduler.MultiStepLR(self.optimiser, milestones, gamma=optim.decay)
        self.epochs = optim.epochs
        self.train_clips = len(self.splits.train)

    def train_epoch(self) -> dict[str, float]:
        """One pass over the training clips, two views each; mean losses over the clips."""
        config, clips = self.config, len(self.splits.train)
        order = torch.randperm(clips, generator=stream(config.seed, "clip order", self.epoch)).numpy()
        patch_generator = stream(config.seed, "patches", self.epoch)
        augmentation_generator = stream(config.seed, "augmentations", self.epoch, self.device)
        self.model.train()
        sums = torch.zeros(3, device=self.device)
        seen = 0
        for part in chunks(clips, config.optim.batch_size):
            batch = order[part]
            if len(batch) < 2:  # a clip alone has no negatives
                continue
            first, second = self.views.pair(batch, patch_generator, augmentation_generator)
            with precision(self.device, config.compute):
                # Two passes: BatchNorm sees each view by itself, as the recipe does.
                h_first, z_first = self._embed(first)
                h_second, z_second = self._embed(second)
                parts = self.loss.parts(h_first, h_second, z_first, z_second)
            self.optimiser.zero_grad(set_to_none=True)
            parts.total.backward()
            self.optimiser.step()
            sums += len(batch) * torch.stack([parts.total, parts.contrastive, parts.angular_margin]).detach()
            seen += len(batch)
        total, contrastive, angular_margin = (sums / seen).tolist()
        return {"train.loss": total, "train.nt_xent": contrastive, "train.angular_margin": angular_margin}

    @torch.no_grad()
    def embed(self, table: PatchTable) -> tuple[Tensor, Tensor]:
        """`(h, z)` of all patches of `table`, float32, evaluation mode."""
        self.model.eval()
        h, z = [], []
        for part in chunks(len(table), EVALUATION_BATCH):
            with precision(self.device, self.config.compute):
                patches = read_patches(self.store, table.first_frame[part], PATCH_FRAMES[SELF_SUPERVISED], self.device)
                of_part = self._embed(patches)
            h.append(of_part[0].float())
            z.append(of_part[1].float())
        return torch.cat(h), torch.cat(z)

    def validate_epoch(self) -> Validation:
        """kNN accuracies; the recipe selects the epoch with the best macro one."""
        self.scheduler.step()
        plain, macro = self.knn_accuracies(self.splits.val, self.val_patches)
        metrics = {"val.epoch_knn_accuracy": plain, "val.epoch_knn_macro_accuracy": macro}
        return Validation(metrics, macro, {"val.knn_accuracy": plain, "val.knn_macro_accuracy": macro})

    def knn_accuracies(self, clips: np.ndarray, table: PatchTable) -> tuple[float, float]:
        """Plain and macro clip accuracy of the kNN vote among the split's own patches (own clip excluded)."""
        _, z = self.embed(table)
        labels = torch.from_numpy(self.store.class_ids[clips])
        clip_of_patch = torch.from_numpy(table.clip)
        patch_labels = labels[clip_of_patch].to(self.device)
        predicted = knn_predict(z, patch_labels, clip_of_patch.to(self.device), self.config.knn.k).cpu()
        score = accuracies(predicted, labels, torch.from_numpy(table.patches_per_clip))
        return score.clip, score.macro

    def test(self) -> tuple[dict[str, float], list[ClipPrediction]]:
        """Linear probe with its validation and test accuracies, and the quality of the embeddings."""
        config, splits, store = self.config, self.splits, self.store
        train = tabulate_patches(store, splits.train, training_patch_starts, SELF_SUPERVISED)
        h_train, _ = self.embed(train)
        probe = train_linear_probe(
            h_train.cpu(),
            torch.from_numpy(train.clip),
            torch.from_numpy(store.class_ids[splits.train]),
            len(store.classes),
            config.probe,
            stream(config.seed, "probe"),
        )
        metrics: dict[str, float] = {}
        rows: list[ClipPrediction] = []
        for split, clips, table in (("val", splits.val, self.val_patches), ("test", splits.test, self.test_patches)):
            probabilities = probe_probabilities(probe, self.embed(table)[0].cpu())
            predicted = clip_predictions(probabilities, torch.from_numpy(table.clip)).numpy()
            metrics |= accuracy_metrics(split, store, clips, predicted, table)
            rows += clip_prediction_rows(split, store, clips, predicted, table)
        metrics["test.knn_accuracy"] = self.knn_accuracies(splits.test, self.test_patches)[0]
        metrics |= self.embedding_quality()
        return metrics, rows

    @torch.no_grad()
    def embedding_quality(self) -> dict[str, float]:
        """Uniformity (first view) and tolerance (both views) of z over one augmented pair per test clip, as in Fig. 3."""
        self.model.eval()
        views = ViewMaker(self.store, self.splits.test, self.config.views, self.device)
        patch_generator = stream(self.config.seed, "quality patches")
        augmentation_generator = stream(self.config.seed, "quality augmentations", device=self.device)
        pairs: list[tuple[Tensor, Tensor]] = []
        for part in chunks(len(self.splits.test), EVALUATION_BATCH):
            views_of_part = views.pair(np.arange(len(self.splits.test))[part], patch_generator, augmentation_generator)
            with precision(self.device, self.config.compute):
                first, second = (self._embed(view)[1].float().cpu() for view in views_of_part)
            pairs.append((first, second))
        first, second = (torch.cat(side) for side in zip(*pairs, strict=True))
        labels = torch.from_numpy(self.store.class_ids[self.splits.test])
        return {
            "test.uniformity": float(uniformity(first)),
            "test.tolerance": float(tolerance(torch.cat([first, second]), torch.cat([labels, labels]))),
        }

    def _check_size(self) -> None:
        """Refuse before the first epoch what would fail after it."""
        if len(self.splits.train) < 3:
            raise SplitError(
                f"{len(self.splits.train)} training clips are too few to mix each with two others; use a larger corpus"
            )
        for split, table in (("validation", self.val_patches), ("test", self.test_patches)):
            others = len(table) - int(table.patches_per_clip.max())
            if self.config.knn.k > others:
                raise SplitError(
                    f"knn.k is {self.config.knn.k}, but a {split} clip has {others} patches of other clips; lower knn.k"
                )

    def _embed(self, patches: Tensor) -> tuple[Tensor, Tensor]:
        h = self.encoder(self.standardise(patches))
        return h, self.head(h)
