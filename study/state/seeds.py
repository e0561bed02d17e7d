"""The settings of a sweep, and what the seeds that repeat them amount to."""

import math
import statistics
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from acl.metric_names import CLASS_ACCURACY
from study import names
from study.spec.space import Point, conditional_point
from study.spec.sweep import Sweep
from study.state.journal import TrialState

SEED = "seed"


@dataclass(frozen=True)
class Setting:
    """A setting and the trials that repeat it.

    Attributes:
        point: the values of what the sweep varies, without the seed.
        trials: by seed; of several with the same seed, which are the same run, the last.
    """

    point: Point
    trials: Mapping[int, TrialState]

    @property
    def finished(self) -> list[TrialState]:
        """Trials that have finished."""
        return [trial for trial in self.trials.values() if trial.outcome == names.FINISHED]

    def is_over(self, seeds: Sequence[int]) -> bool:
        """Whether the trials of all `seeds` are over."""
        return all(seed in self.trials and self.trials[seed].outcome is not None for seed in seeds)

    def figures(self, objectives: Sequence[str]) -> dict[str, float]:
        """Mean and sample standard deviation of the objectives and the test figures over the finished seeds, and their number.

        Class-wise accuracies are left to the trials. One seed has no standard deviation, and what is not finite counts nowhere.
        """
        figures: dict[str, float] = {names.SEEDS: len(self.finished)}
        for metric in dict.fromkeys(name for trial in self.finished for name in trial.metrics):
            if metric not in objectives and (not metric.startswith("test.") or CLASS_ACCURACY in metric):
                continue
            values = [trial.metrics[metric] for trial in self.finished if math.isfinite(trial.metrics.get(metric, math.nan))]
            if values:
                figures[names.mean_of(metric)] = statistics.fmean(values)
            if len(values) > 1:
                figures[names.spread_of(metric)] = statistics.stdev(values)
        return figures


def setting_of(point: Point, trials: Iterable[TrialState]) -> Setting:
    """The setting of a point, with those of `trials` that repeat it."""
    own = without_seed(point)
    return Setting(own, {trial.point[SEED]: trial for trial in trials if without_seed(trial.point) == own})


def setting_of_row(sweep: Sweep, row: Mapping[str, Any]) -> dict[str, Any]:
    """The values of a trial's active dimensions."""
    return conditional_point(sweep.space, lambda name, _: row[name])


def without_seed(point: Point) -> Point:
    """What repeats of a setting have in common.

    >>> without_seed({"loss.alpha": 0.5, "seed": 1})
    {'loss.alpha': 0.5}
    """
    return {name: value for name, value in point.items() if name != SEED}


def setting_text(values: Mapping[str, Any]) -> str:
    """A setting in words.

    >>> setting_text({"loss.alpha": 0.52847, "data.subset": "clean"})
    'loss.alpha 0.528, data.subset clean'
    """
    return ", ".join(f"{name} {value:.3g}" if isinstance(value, float) else f"{name} {value}" for name, value in values.items())
