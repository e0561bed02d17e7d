"""The straightforward way to do what acl does, for comparison: as much of it as the published code does, in plain PyTorch.

Views are made sample by sample with numpy and PIL in the workers of a DataLoader; a split is evaluated clip by clip, each clip
forwarded twice; a probe trains through its encoder; steps are float32, channels first.
"""

from collections.abc import Callable
from pathlib import Path

import librosa
import numpy as np
import soundfile
import torch
from PIL import Image
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset

from acl.evaluation.accuracy import Accuracies, accuracies, clip_predictions
from acl.features import LogMel
from acl.losses import AngularContrastiveLoss
from acl.models.initialisation import weights_from
from acl.optim import sgd_with_step_decay
from acl.patches.table import PatchTable
from acl.store.feature_store import FeatureStore
from acl.training.pretraining import PretrainingStage
from acl.training.randomness import stream

FRAMES, BANDS = 101, 96


def plain_log_mel(path: Path, front: LogMel) -> np.ndarray:
    """Log-mels by librosa."""
    samples, rate = soundfile.read(path)
    if rate != front.sample_rate:
        samples = librosa.resample(samples, orig_sr=rate, target_sr=front.sample_rate, res_type="kaiser_best")
    samples = samples - samples.mean()
    samples = samples / (np.abs(samples).max() + 0.005)
    power = librosa.feature.melspectrogram(
        y=samples + front.offset,
        sr=front.sample_rate,
        n_fft=front.n_fft,
        hop_length=front.hop_samples,
        win_length=front.window_samples,
        window="hamming",
        pad_mode=front.edge_padding,
        n_mels=front.bands,
        fmin=front.min_hz,
        fmax=front.max_hz,
        norm=None,
    )
    return np.asarray(np.log10(power + front.offset).T)


class PlainViews(Dataset[tuple[Tensor, Tensor]]):
    """Two augmented, normalised patches `[1, 101, 96]` of a clip: mix-back, crop, compander, noise."""

    def __init__(self, store: FeatureStore, clips: np.ndarray, mean: float, std: float) -> None:
        self.store, self.clips, self.mean, self.std = store, clips, mean, std

    def __len__(self) -> int:
        return len(self.clips)

    def __getitem__(self, position: int) -> tuple[Tensor, Tensor]:
        others = np.random.choice(len(self.clips) - 1, 2, replace=False)
        others += others >= position
        weight = np.random.uniform(0, 0.05)
        first, second = (self._view(position, int(other), weight) for other in others)
        return first, second

    def _view(self, position: int, other: int, weight: float) -> Tensor:
        front, back = 10 ** self._patch(position), 10 ** self._patch(other)
        mixed = np.log10((1 - weight) * front + weight * back * (front.sum() / back.sum()))
        patch = crop(mixed) * np.random.uniform(0.75, 1)
        patch = patch + np.random.normal(0, np.random.uniform(0, 0.01), patch.shape)
        return torch.from_numpy(((patch - self.mean) / self.std).astype(np.float32))[None]

    def _patch(self, position: int) -> np.ndarray:
        clip = self.clips[position]
        start = self.store.start_frame[clip] + np.random.randint(self.store.frame_count[clip] - FRAMES + 1)
        return np.array(self.store.frames[start : start + FRAMES])


def crop(patch: np.ndarray) -> np.ndarray:
    """A random box, 0.8 to 1 of the area and 3/4 to 4/3 in its sides, resized by PIL."""
    for _ in range(10):
        area = np.random.uniform(0.8, 1) * FRAMES * BANDS
        aspect = np.exp(np.random.uniform(np.log(3 / 4), np.log(4 / 3)))
        width, height = round(np.sqrt(area * aspect)), round(np.sqrt(area / aspect))
        if 0 < width <= BANDS and 0 < height <= FRAMES:
            top, left = np.random.randint(FRAMES - height + 1), np.random.randint(BANDS - width + 1)
            box = Image.fromarray(patch.astype(np.float32)[top : top + height, left : left + width])
            return np.asarray(box.resize((BANDS, FRAMES), Image.Resampling.BILINEAR))
    return patch


def loader(views: PlainViews, batch_size: int, workers: int) -> DataLoader[tuple[Tensor, Tensor]]:
    """Shuffled batches, as in training."""
    return DataLoader(views, batch_size, shuffle=True, num_workers=workers, pin_memory=torch.cuda.is_available())


class PlainStep:
    """A step of the recipe's pre-training in plain PyTorch."""

    def __init__(self, encoder: nn.Module, head: nn.Module, device: torch.device) -> None:
        self.encoder, self.head, self.device = encoder.to(device), head.to(device), device
        weights = [*encoder.parameters(), *head.parameters()]
        self.optimiser = torch.optim.SGD(weights, lr=0.03, momentum=0.9, weight_decay=1e-4)
        self.loss = AngularContrastiveLoss(0.3, 0.5, 0.2)

    def __call__(self, first: Tensor, second: Tensor) -> float:
        h_first, h_second = (self.encoder(view.to(self.device)) for view in (first, second))
        loss = self.loss(h_first, h_second, self.head(h_first), self.head(h_second))
        self.optimiser.zero_grad()
        loss.backward()
        self.optimiser.step()
        return float(loss.detach())


def knn_clip_by_clip(
    store: FeatureStore, clips: np.ndarray, table: PatchTable, embed: Callable[[Tensor], Tensor], device: torch.device, k: int
) -> list[int]:
    """kNN answers of the clips: one forward pass a clip for the bank and another one for the query, one vote a clip."""
    own = [
        np.stack([store.frames[start : start + FRAMES] for start in table.first_frame[table.clip == at]])
        for at in range(len(clips))
    ]
    bank = torch.cat([embed(torch.from_numpy(patches).to(device)).detach() for patches in own])
    clip, labels = torch.from_numpy(table.clip).to(device), torch.from_numpy(store.class_ids[clips][table.clip]).to(device)
    answers = []
    for at, patches in enumerate(own):
        with torch.no_grad():
            cosines = embed(torch.from_numpy(patches).to(device)) @ bank[clip != at].T
        neighbours = labels[clip != at][cosines.topk(k, dim=1).indices].cpu().numpy()
        votes = [int(np.bincount(row).argmax()) for row in neighbours]
        answers.append(int(np.bincount(votes).argmax()))
    return answers


def probe_through_encoder(stage: PretrainingStage) -> float:
    """Test accuracy of a linear probe: one random patch of each clip an epoch, embedded by the frozen encoder each time.

    Initial weights, patches and order are drawn as by `train_linear_probe`; validation patches are embedded in every epoch, too.
    """
    store, splits, config, labels_of = stage.store, stage.splits, stage.config.probe, stage.setup.labels_of
    encoder, generator = stage.encoder.eval().requires_grad_(False), stream(stage.config.seed, "probe")
    with weights_from(generator):
        classifier = nn.Linear(stage.encoder.embedding_dim, len(store.classes))
    optimiser, scheduler = sgd_with_step_decay(classifier.parameters(), config)
    train, labels = stage.setup.patches_of(splits.train), labels_of(splits.train)
    counts = torch.from_numpy(train.patches_per_clip)

    def embedded(first_frame: Tensor) -> Tensor:
        patches = np.stack([store.frames[start : start + FRAMES] for start in first_frame.tolist()])
        return encoder(stage.setup.standardise(torch.from_numpy(patches)))  # type: ignore[no-any-return]

    def evaluated(clips: np.ndarray, table: PatchTable) -> Accuracies:
        with torch.no_grad():
            scores = torch.cat([classifier(embedded(part)).softmax(1) for part in table.starts.split(32)])
        predicted = clip_predictions(scores, torch.from_numpy(table.clip))
        return accuracies(predicted, labels_of(clips), torch.from_numpy(table.patches_per_clip))

    best, answer = -1.0, 0.0
    for _ in range(config.epochs):
        draws = torch.rand(len(labels), generator=generator, dtype=torch.float64)
        order = torch.randperm(len(labels), generator=generator)
        chosen = counts.cumsum(0) - counts + (draws * counts).long()
        for clips in order.split(config.batch_size):
            loss = nn.functional.cross_entropy(classifier(embedded(train.starts[chosen[clips]])), labels[clips])
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
        scheduler.step()
        validation = evaluated(splits.val, stage.setup.val_patches).macro
        if validation > best:
            best, answer = validation, evaluated(splits.test, stage.setup.test_patches).clip
    encoder.requires_grad_(True)
    return answer
