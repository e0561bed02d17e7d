"""The report of one epoch of a run."""

from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class ClipPrediction:
    """An evaluation's answer for one clip.

    Attributes:
        evaluation: "classifier" (supervised: the CNN; self-supervised: linear evaluation), "knn", "finetune_noisy" or
            "finetune_clean".
        split: "val" or "test".
        clip: file name.
        label: name of the class in the corpus's table.
        predicted: name of the predicted class.
        patches: patches of the clip that were pooled, the clip's weight in the patch-weighted accuracy.
        probabilities: of each class, in the order of the classes; of kNN, the shares of the clip's patches that voted for it.
        recording: name of the first clip of the recording that it was cut from, where the corpus knows several of it; else empty.
    """

    evaluation: str
    split: str
    clip: str
    label: str
    predicted: str
    patches: int
    probabilities: tuple[float, ...]
    recording: str = ""


@dataclass(frozen=True)
class EpochResult:
    """A complete record of one epoch: nothing of it has to be looked up elsewhere.

    Attributes:
        epoch: 1-based number of the epoch.
        epochs: epochs that the run has.
        metrics: dotted name -> value. Each epoch of a run's first stage has the losses with their parts (`train.loss`, …),
            `train.learning_rate`, `train.clips_per_second` and the validation figures (`val.*`), later stages theirs with the
            stage's name; each record has `train.epoch_seconds`, `train.memory_gb` (of its own, after the epoch), on a GPU
            `train.gpu_memory_gb` (most that was taken from it so far), and what validation has selected so far. A stage's last
            epoch adds `best_epoch` and the `test.*` figures of the weights that validation selected; the run's last epoch has
            those of all stages. Accuracies are shares, 0..1.
        predictions: with a stage's last epoch, of every evaluation so far for its validation clips and the test clips; else empty.
        stage: what was trained: "supervised"; "pretraining", "linear", "finetune_noisy", "finetune_clean".
        classes: names of the classes in the order of `ClipPrediction.probabilities`, with the predictions.
    """

    epoch: int
    epochs: int
    metrics: dict[str, float]
    predictions: list[ClipPrediction] = field(default_factory=list)
    stage: str = ""
    classes: tuple[str, ...] = ()

    @property
    def is_last(self) -> bool:
        """Whether the run ends with this epoch."""
        return self.epoch == self.epochs

    @classmethod
    def from_dict(cls, record: dict[str, Any]) -> "EpochResult":
        """Inverse of `dataclasses.asdict`."""
        return cls(**{**record, "predictions": [ClipPrediction(**row) for row in record["predictions"]]})
