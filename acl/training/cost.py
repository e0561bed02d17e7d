"""Cost of a run on this machine, and of its stages."""

from dataclasses import dataclass
from typing import Any

from acl.config import Config, flatten

# Last parts of the names of settings that change what is learnt, but not what it costs.
_COSTLESS = {
    *("test_fold", "rate", "kind"),  # folds are about equally large
    *("seed", "alpha", "margin", "temperature", "angular_scale", "mix_back_max", "crop_area_min", "dropout"),
    *("lr", "momentum", "weight_decay", "milestones", "decay", "plateau_factor", "plateau_patience"),
}


PROBE = "probe"  # the cached linear evaluation, which is no stage to `fit`


@dataclass(frozen=True)
class StageCost:
    """A stage of a run; the cached linear evaluation is one here, `PROBE`.

    Attributes:
        name: of the stage.
        epochs: that it has.
        steps: of the optimiser in an epoch.
        step_seconds: mean of the measured steps; of "probe" its share of a whole epoch.
        validation_seconds: of an epoch: validation, and what it waits for the state to be kept.
        final_seconds: once: final figures of the selected weights.
    """

    name: str
    epochs: int
    steps: int
    step_seconds: float
    validation_seconds: float = 0.0
    final_seconds: float = 0.0

    @property
    def epoch_seconds(self) -> float:
        """Training and validation."""
        return self.steps * self.step_seconds + self.validation_seconds

    @property
    def seconds(self) -> float:
        """All epochs and the final figures."""
        return self.epochs * self.epoch_seconds + self.final_seconds


@dataclass(frozen=True)
class RunCost:
    """A run on its own cores or its GPU, beside as many others as it was measured with.

    Attributes:
        stages: in their order.
        start_seconds: of the process, until it has imported everything: what a worker takes before its first run.
        setup_seconds: before the first epoch: opening the features, their moments, models.
        memory_bytes: most that the process had of its own; pages of the feature store, which processes share, are not counted.
        gpu_allocated_bytes: most that tensors took on the GPU; 0 on a CPU.
        gpu_reserved_bytes: most that torch had taken from the GPU, which is what other processes cannot have.
        checkpoint_bytes: the state that is replaced after each epoch, of the stage where it is largest.
        kept_bytes: what a finished run leaves: selected weights and predictions of each stage, and the last record.
        prediction_rows: of the run's predictions, one per evaluation and clip.
        classes: of the corpus.
        val_clips: that select.
        test_clips: of the final figures.
        test_recordings: that these were cut from; as many where each is of its own, 0 where that is not known.
    """

    stages: tuple[StageCost, ...]
    start_seconds: float
    setup_seconds: float
    memory_bytes: int
    gpu_allocated_bytes: int
    gpu_reserved_bytes: int
    checkpoint_bytes: int
    kept_bytes: int
    prediction_rows: int
    classes: int
    val_clips: int
    test_clips: int
    test_recordings: int = 0

    @property
    def seconds(self) -> float:
        """The whole run."""
        return self.setup_seconds + sum(stage.seconds for stage in self.stages)

    @property
    def epochs(self) -> int:
        """Epochs that the run's records have."""
        return sum(stage.epochs for stage in self.stages if stage.name != PROBE)

    def seconds_stopped_after(self, epochs: int) -> float:
        """A run that is stopped after `epochs` of its first stage."""
        return self.setup_seconds + epochs * self.stages[0].epoch_seconds


def settings_that_cost(config: Config) -> dict[str, Any]:
    """The settings, by dotted name, that two runs must share to cost the same."""
    return {name: value for name, value in flatten(config).items() if name.rpartition(".")[2] not in _COSTLESS}
