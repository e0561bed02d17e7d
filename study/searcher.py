"""Optuna behind Ray Tune: samplers, search spaces, and an OptunaSearch that survives stopped, failed and resumed trials."""

import math
from typing import Any

import optuna
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution
from optuna.samplers import BaseSampler, CmaEsSampler, GPSampler, QMCSampler, TPESampler
from optuna.trial import TrialState
from ray.tune.search.optuna import OptunaSearch

from study.spaces import Dimension
from study.spec import Sweep

POINT = "point"  # key of a trial's Ray configuration under which its point lies

optuna.logging.set_verbosity(optuna.logging.WARNING)


def build_searcher(sweep: Sweep, last_epoch_key: str) -> "SweepSearch":
    """Searcher of a sweep that uses Optuna; a sweep is reproducible with one trial at a time only."""
    space = {f"{POINT}/{name}": _distribution(dimension) for name, dimension in sweep.space.items()}
    return SweepSearch(space, metric=sweep.objectives[0], mode="max", sampler=_sampler(sweep), last_epoch_key=last_epoch_key)


class SweepSearch(OptunaSearch):
    """OptunaSearch with the states that Optuna's samplers expect.

    A trial that the scheduler stopped is PRUNED (Ray tells COMPLETE), one without a finite objective FAILs (Ray leaves it
    RUNNING), and a trial that is told again after a crash is not an error.

    Args:
        last_epoch_key: key of a trial's result that is True with its last epoch.
    """

    def __init__(self, *args: Any, last_epoch_key: str = "", **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._last_epoch_key = last_epoch_key

    def on_trial_result(self, trial_id: str, result: dict[str, Any]) -> None:
        """Report an intermediate objective, where the epoch has one."""
        if trial_id in self._completed_trials or not math.isfinite(result.get(self.metric, math.nan)):
            return
        if self._state_of(trial_id) == TrialState.RUNNING:
            super().on_trial_result(trial_id, result)

    def on_trial_complete(self, trial_id: str, result: dict[str, Any] | None = None, error: bool = False) -> None:
        """Tell Optuna how the trial ended."""
        if trial_id in self._completed_trials or trial_id not in self._ot_trials:
            return
        if self._state_of(trial_id) == TrialState.RUNNING:
            value = (result or {}).get(self.metric, math.nan)
            if error or not math.isfinite(value):
                self._ot_study.tell(self._ot_trials[trial_id], state=TrialState.FAIL)
            elif not (result or {}).get(self._last_epoch_key):
                self._ot_study.tell(self._ot_trials[trial_id], state=TrialState.PRUNED)
            else:
                self._ot_study.tell(self._ot_trials[trial_id], value)
        self._completed_trials.add(trial_id)

    def _state_of(self, trial_id: str) -> TrialState:
        number = self._ot_trials[trial_id].number
        return self._ot_study.get_trials(deepcopy=False)[number].state


def _sampler(sweep: Sweep) -> BaseSampler:
    seed = sweep.seeds[0]
    if sweep.search == "tpe":
        return TPESampler(seed=seed)
    if sweep.search == "gp":
        return GPSampler(seed=seed)
    if sweep.search == "cmaes":
        return CmaEsSampler(seed=seed)
    return QMCSampler(seed=seed)


def _distribution(dimension: Dimension) -> BaseDistribution:
    if dimension.interval is not None:
        low, high = dimension.interval
        return FloatDistribution(low, high, log=dimension.loguniform is not None)
    return CategoricalDistribution(dimension.values or [])
