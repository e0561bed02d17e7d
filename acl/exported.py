"""An exported model: a folder from which a waveform becomes an embedding, without the corpus that the model was trained on.

encoder.safetensors      selected weights: supervised, the CNN with its classifier; self-supervised, the ResNet-18
classifier.safetensors   self-supervised, where there is one: linear layer of the linear evaluation
config.json              settings, front end, patches, normalisation, digests of the weights
labels.json              class names in the order of the classifier's outputs
"""

import dataclasses
import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save
from torch import Tensor, nn

from acl.config import Config, SupervisedConfig, build_config, flatten
from acl.evaluation.accuracy import clip_probabilities
from acl.exported_files import CLASSIFIER_FILE, CONFIG_FILE, ENCODER_FILE, LABELS_FILE, check_there
from acl.features import PATCH_FRAMES, testing_patch_starts
from acl.front_ends import BANDS
from acl.models import BaselineCnn, encoder_of
from acl.patches.standardise import Standardisation
from acl.store.pieces import log_mel
from acl.system.errors import ExportedError
from acl.system.text import parse_json

_FORMAT = 1
_PATCHES_AT_ONCE = 32
_NO_CORPUS = "(none)"  # stands for data.root, which only training needs
SUPERVISED_DIMENSIONS = 48


class Analysis(NamedTuple):
    """What a model says about a waveform: embedding `[D]` float32, and probabilities `[classes]` float64 if it classifies."""

    embedding: Tensor
    probabilities: Tensor | None


@dataclasses.dataclass(frozen=True)
class Exported:
    """A trained model with all that stands between it and a waveform; on the CPU, in evaluation mode, float32.

    The log-mel spectrogram of the model's front end is cut into the patches on which test clips are evaluated (self-supervised:
    1 s every 0.5 s; supervised: 2 s side by side), and the clip's embedding is the mean over its P patches,

        embedding = 1/P Σ_p encoder((patch_p − mean) / std),

    the ResNet's h of a self-supervised model, before the projection head, and the CNN's 48 maxima, on which the angular margin
    acts, of a supervised one. The probabilities are the means over the patches' softmax, as in all clip accuracies.

    Attributes:
        config: settings of the training; `data.root` names no corpus.
        classes: class names in the order of the probabilities.
        encoder: network.
        classifier: self-supervised, linear layer on h, if the model has one.
        standardise: normalisation of the patches, with the statistics of the training clips.
        about: content of config.json.
    """

    config: Config
    classes: tuple[str, ...]
    encoder: nn.Module
    classifier: nn.Linear | None
    standardise: Standardisation
    about: dict[str, Any]

    @property
    def embedding_dim(self) -> int:
        """D."""
        return int(self.about["embedding_dim"])

    @property
    def classifies(self) -> bool:
        """Whether it gives probabilities of classes."""
        return isinstance(self.config, SupervisedConfig) or self.classifier is not None

    def embed(self, waveform: Tensor | np.ndarray, sample_rate: int) -> Tensor:
        """Embedding `[D]`, float32, of a waveform `[samples]` at `sample_rate` Hz. Raises as `analyse`."""
        return self.analyse(waveform, sample_rate).embedding

    @torch.inference_mode()
    def analyse(self, waveform: Tensor | np.ndarray, sample_rate: int) -> Analysis:
        """Embedding and, if the model classifies, class probabilities.

        Args:
            waveform: `[samples]`, floating point, one channel, any length and level: the front end resamples, scales, and
                repeats what is shorter than a patch.
            sample_rate: of `waveform`, Hz.

        Raises:
            ValueError: the waveform is empty, not finite, not floating point or not one channel, or the rate is not positive.
        """
        mode = self.config.mode
        frames = log_mel(mode)(waveform, sample_rate)
        starts = testing_patch_starts(len(frames), mode)
        embeddings, shares = [], []
        for first in range(0, len(starts), _PATCHES_AT_ONCE):
            part = starts[first : first + _PATCHES_AT_ONCE]
            patches = torch.stack([frames[start : start + PATCH_FRAMES[mode]] for start in part])
            h, logits = self._forward(self.standardise(patches))
            embeddings.append(h)
            if logits is not None:
                shares.append(logits.softmax(1))
        embedding = torch.cat(embeddings).mean(0)
        one_clip = torch.zeros(len(starts), dtype=torch.int64)
        return Analysis(embedding, clip_probabilities(torch.cat(shares), one_clip)[0] if shares else None)

    def _forward(self, inputs: Tensor) -> tuple[Tensor, Tensor | None]:
        if isinstance(self.config, SupervisedConfig):
            logits, h = self.encoder(inputs)
            return h, logits
        h = self.encoder(inputs)
        return h, None if self.classifier is None else self.classifier(h)


def write_exported(
    folder: Path,
    config: Config,
    weights: Mapping[str, Mapping[str, Tensor]],
    standardise: Standardisation,
    classes: tuple[str, ...],
    about: Mapping[str, Any],
) -> dict[str, Any]:
    """Write the files of a model into an existing folder; returns the content of config.json.

    Args:
        folder: where they go.
        config: of the training.
        weights: file name -> tensors; `ENCODER_FILE`, and `CLASSIFIER_FILE` if there is a classifier.
        standardise: normalisation of the patches.
        classes: class names in the order of the outputs.
        about: what else config.json says, e.g. the corpus.
    """
    for file, tensors in weights.items():
        (folder / file).write_bytes(save({name: tensor.contiguous() for name, tensor in tensors.items()}))
    settings = {name: value for name, value in flatten(config).items() if name != "data.root"}  # a path of one machine
    content = {
        "format": _FORMAT,
        "mode": config.mode,
        "embedding_dim": _embedding_dim(config),
        "patch_frames": PATCH_FRAMES[config.mode],
        "front_end": log_mel(config.mode).parameters,
        "normalisation": {"mean": standardise.mean.tolist(), "std": standardise.std.tolist()},
        "settings": settings,
        **about,
        "sha256": {file: _sha256(folder / file) for file in weights},
    }
    (folder / LABELS_FILE).write_text(json.dumps(classes, indent=2) + "\n", encoding="utf-8")
    (folder / CONFIG_FILE).write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
    return content


def load_exported(folder: str | Path) -> Exported:
    """The model in a folder that `acl-study export` wrote.

    Raises:
        ExportedError: a file is missing, damaged or changed, or the front end is not this version's.
    """
    folder = Path(folder)
    remedy = "export the run again with `acl-study export`"
    check_there(folder)
    try:
        about = parse_json((folder / CONFIG_FILE).read_bytes())
        classes = parse_json((folder / LABELS_FILE).read_bytes())
        if about["format"] != _FORMAT:
            raise ExportedError(f"{folder} has format {about['format']!r}, this version reads {_FORMAT}; {remedy}")
        if not classes or not isinstance(classes, list) or not all(isinstance(name, str) for name in classes):
            raise TypeError(f"{LABELS_FILE} is no list of names")
        files = [ENCODER_FILE, CLASSIFIER_FILE] if CLASSIFIER_FILE in about["sha256"] else [ENCODER_FILE]
        check_there(folder, *files)
        for file in files:
            if _sha256(folder / file) != about["sha256"][file]:
                raise ExportedError(f"{folder / file} is not the file that was exported (its sha256 differs); {remedy}")
        config = build_config({"data.root": _NO_CORPUS, **about["settings"]})
        if about["front_end"] != json.loads(json.dumps(log_mel(config.mode).parameters)):
            raise ExportedError(f"{folder} was exported with another front end than this version's; install the version it names")
        weights = [load_file(folder / file) for file in files]
        encoder, classifier = _networks(config, len(classes), sum(tensor.numel() for tensor in weights[0].values()))
        encoder.load_state_dict(weights[0])
        if len(files) > 1:
            classifier.load_state_dict(weights[1])
        statistics = {name: _statistic(about["normalisation"][name]) for name in ("mean", "std")}
        if about["embedding_dim"] != _embedding_dim(config):
            raise ValueError(f"embedding_dim is {about['embedding_dim']}, of these settings it is {_embedding_dim(config)}")
    except ExportedError:
        raise
    except (ArithmeticError, AttributeError, LookupError, OSError, RuntimeError, SafetensorError, TypeError, ValueError) as error:
        raise ExportedError(f"{folder} is damaged ({type(error).__name__}: {str(error).partition(chr(10))[0]}); {remedy}") from None
    encoder.eval().requires_grad_(False)
    return Exported(config, tuple(classes), encoder, classifier if len(files) > 1 else None, Standardisation(**statistics), about)


def _embedding_dim(config: Config) -> int:
    return SUPERVISED_DIMENSIONS if isinstance(config, SupervisedConfig) else 8 * config.model.width


def _statistic(values: Any) -> Tensor:
    """Mean or standard deviation, one or one a band."""
    statistic = torch.tensor(values, dtype=torch.float32)
    if statistic.shape not in ((), (BANDS,)) or not statistic.isfinite().all():
        raise ValueError(f"normalisation of shape {list(statistic.shape)}, or not finite")
    return statistic


def _networks(config: Config, classes: int, numbers: int) -> tuple[nn.Module, nn.Linear]:
    """Networks of a model's shape, and its linear classifier; their initial weights give way to the exported ones.

    Raises:
        ValueError: the encoder would be far larger than its file, which has so many `numbers`.
    """
    generator = torch.Generator().manual_seed(0)
    if not isinstance(config, SupervisedConfig) and 9 * (8 * config.model.width) ** 2 > numbers:  # one of its convolutions
        raise ValueError(f"model.width is {config.model.width}, which {numbers} numbers are too few for")
    if isinstance(config, SupervisedConfig):
        return BaselineCnn(classes, config.model.dropout, generator), nn.Linear(SUPERVISED_DIMENSIONS, classes)
    encoder = encoder_of(config.model, generator)
    return encoder, nn.Linear(encoder.embedding_dim, classes).requires_grad_(False)


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
