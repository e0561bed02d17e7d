"""Optuna's samplers, and a dimension of ours as Optuna has it."""

import warnings
from typing import Any

import numpy as np
import optuna
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution
from optuna.samplers import BaseSampler, CmaEsSampler, GPSampler, QMCSampler, RandomSampler, TPESampler

from study.spaces import Dimension, Scalar
from study.sweep import Sweep


def sampler_of(sweep: Sweep, number: int, place: int = 0) -> BaseSampler:
    """Sampler of the trial with this number, for the value at `place` of those that are drawn one by one."""
    seed = int(np.random.SeedSequence([sweep.seeds[0], number, place]).generate_state(1)[0])
    if sweep.search == "tpe":
        return TPESampler(seed=seed)
    if sweep.search == "gp":
        return GPSampler(seed=seed)
    if sweep.search == "cmaes":
        return CmaEsSampler(seed=seed)
    return _Sequence(number, seed=sweep.seeds[0], independent_sampler=RandomSampler(seed), warn_independent_sampling=False)


def knowing(sampler: BaseSampler, other: BaseSampler) -> BaseSampler:
    """The sampler with what `other`, one of the same search, knows of its trials: which values all of them have in common.

    Optuna looks at new trials only, where a sampler has looked at the others; each new sampler would look at all of them.
    """
    for attribute in ("_search_space", "_intersection_search_space"):
        if hasattr(other, attribute):
            setattr(sampler, attribute, getattr(other, attribute))
    return sampler


class _Sequence(QMCSampler):
    """One quasi-random sequence, of which a trial's number is the place: Optuna's own counter skips a point at a crash."""

    def __init__(self, number: int, **options: Any) -> None:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
            super().__init__(**options)
        self._number = number

    def _find_sample_id(self, study: optuna.Study, search_space: dict[str, BaseDistribution]) -> int:
        return max(0, self._number - 1)  # the first trial's values are drawn independently


def suggested(trial: optuna.Trial, name: str, dimension: Dimension) -> Scalar:
    """The value that the study's sampler draws."""
    if dimension.interval is not None:
        low, high = dimension.interval
        return float(trial.suggest_float(name, low, high, log=dimension.loguniform is not None))
    value: Scalar = trial.suggest_categorical(name, dimension.values or [])
    return value


def distribution_of(dimension: Dimension) -> BaseDistribution:
    """Where a dimension's values lie."""
    if dimension.interval is not None:
        low, high = dimension.interval
        return FloatDistribution(low, high, log=dimension.loguniform is not None)
    return CategoricalDistribution(dimension.values or [])
