"""Optuna: the samplers, and a search whose storage survives crashes.

The storage is Optuna's journal in the sweep's folder, which optuna-dashboard opens too. Ours is the journal beside it: what the two
disagree about after a crash is settled when the search is opened.
"""

import math
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import optuna
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution
from optuna.samplers import BaseSampler, CmaEsSampler, GPSampler, QMCSampler, TPESampler
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend
from optuna.trial import FrozenTrial, TrialState

from study import journal as events
from study import record_names as names
from study.journal import Journal, read_whole_lines
from study.spaces import Dimension, Point, Scalar, conditional_point
from study.spec import StudyError, Sweep

STORAGE_FILE = "optuna.journal"
_OWNER = "trial"  # user attribute of Optuna's trial: the name of ours, where it does not follow from its number
_LOCK_SUFFIX = ".lock"

optuna.logging.set_verbosity(optuna.logging.ERROR)


class Search:
    """An Optuna search over a sweep's space.

    How a trial of ours ended is told once: scheduler-stopped is PRUNED, a failure or an objective that is not finite is FAIL. A
    failed trial that a later launch completes is told as a new trial of Optuna, which keeps its finished ones as they are.

    The sampler's randomness depends on the seed and the trial's number alone, so that a resumed search goes on as the uninterrupted
    one would; with several trials at once, the order in which they end decides what is sampled next.
    """

    def __init__(self, sweep: Sweep, folder: Path, journal: Journal) -> None:
        """Open the search, or begin it, and settle what Optuna does not know.

        Raises:
            StudyError: Optuna's storage is damaged.
        """
        self._sweep = sweep
        self._journal = journal
        path = folder / STORAGE_FILE
        folder.mkdir(parents=True, exist_ok=True)
        _mend(path)
        try:
            self._study = optuna.create_study(
                storage=JournalStorage(JournalFileBackend(str(path))),
                study_name=sweep.name,
                directions=["maximize" if direction == "max" else "minimize" for direction in sweep.directions],
                sampler=_sampler(sweep, 0),
                load_if_exists=True,
            )
            for point in sweep.enqueue:
                self._study.enqueue_trial(point, skip_if_exists=True)
            self._numbers = self._settle()
        except (ValueError, KeyError) as error:  # of Optuna, when it reads a line that it cannot
            raise StudyError(
                f"{path} is damaged ({error}); delete it, and `resume` writes it anew from {journal.path.name}"
            ) from None

    def next_point(self) -> tuple[int, Point] | None:
        """Number and point of a new trial; None when there are as many as the sweep has."""
        number = len(self._journal.trials)
        if number >= self._sweep.trials:
            return None
        self._study.sampler = _sampler(self._sweep, number)
        known = set(self._numbers.values())
        asked = [trial for trial in self._trials() if trial.state == TrialState.RUNNING and trial.number not in known]
        trial = optuna.Trial(self._study, asked[0]._trial_id) if asked else self._study.ask()  # asked when the driver was killed
        point = conditional_point(self._sweep.space, lambda name, dimension: _suggest(trial, name, dimension))
        name = self._sweep.trial_name(number)
        if trial.number != number:
            trial.set_user_attr(_OWNER, name)
        self._numbers[name] = trial.number
        return number, point

    def report(self, name: str, epoch: int, metrics: Mapping[str, float]) -> None:
        """An epoch's objective, where there is one and it is the only one."""
        value = metrics.get(self._sweep.objectives[0], math.nan)
        frozen = self._trials()[self._numbers[name]]
        if len(self._sweep.objectives) > 1 or frozen.state.is_finished() or not math.isfinite(value):
            return
        if epoch not in frozen.intermediate_values:
            optuna.Trial(self._study, frozen._trial_id).report(value, epoch)

    def tell(self, name: str) -> None:
        """How a trial ended, as the journal has it."""
        state, values = self._result(name)
        frozen = self._trials()[self._numbers[name]]
        if not frozen.state.is_finished():
            self._study.tell(frozen.number, values, state=state)
        elif frozen.state == TrialState.FAIL and state != TrialState.FAIL:
            self._add(name, state, values)

    def _result(self, name: str) -> tuple[TrialState, list[float] | None]:
        trial = self._journal.trials[name]
        if trial.outcome == names.STOPPED:
            return TrialState.PRUNED, None
        values = [trial.metrics.get(objective, math.nan) for objective in self._sweep.objectives]
        if trial.outcome != names.FINISHED or not all(map(math.isfinite, values)):
            return TrialState.FAIL, None
        return TrialState.COMPLETE, values

    def _settle(self) -> dict[str, int]:
        """Tell Optuna what it missed; returns the number that each of our trials has there."""
        self._numbers = {self._sweep.trial_name(frozen.number): frozen.number for frozen in self._trials()}
        self._numbers |= {frozen.user_attrs[_OWNER]: frozen.number for frozen in self._trials() if _OWNER in frozen.user_attrs}
        self._numbers = {name: number for name, number in self._numbers.items() if name in self._journal.trials}
        for name, trial in self._journal.trials.items():
            if name not in self._numbers:  # the end of Optuna's file is lost
                self._add(name, *(self._result(name) if trial.outcome else (TrialState.RUNNING, None)))
            elif trial.outcome is not None:
                self.tell(name)
        return self._numbers

    def _add(self, name: str, state: TrialState, values: list[float] | None) -> None:
        point = {key: value for key, value in self._journal.trials[name].point.items() if key in self._sweep.space}
        reported = self._reported(name) if len(self._sweep.objectives) == 1 else {}
        self._study.add_trial(
            optuna.trial.create_trial(
                state=state,
                values=values,
                params=point,
                distributions={key: _distribution(self._sweep.space[key]) for key in point},
                intermediate_values=reported,
                user_attrs={_OWNER: name},
            )
        )
        self._numbers[name] = len(self._trials()) - 1

    def _reported(self, name: str) -> dict[int, float]:
        objective = self._sweep.objectives[0]
        return {
            event["epoch"]: event["metrics"][objective]
            for event in self._journal.events
            if event["event"] == events.EPOCH and event["trial"] == name and objective in event["metrics"]
        }

    def _trials(self) -> list[FrozenTrial]:
        return self._study.get_trials(deepcopy=False)


def _mend(path: Path) -> None:
    """Cut off half a line that a crash left, and the lock of a driver that is gone: only one launch runs at a time."""
    if path.exists():
        _, whole = read_whole_lines(path)
        with path.open("ab") as opened:
            opened.truncate(whole)
    path.with_name(path.name + _LOCK_SUFFIX).unlink(missing_ok=True)


def _sampler(sweep: Sweep, number: int) -> BaseSampler:
    seed = int(np.random.SeedSequence([sweep.seeds[0], number]).generate_state(1)[0])
    if sweep.search == "tpe":
        return TPESampler(seed=seed)
    if sweep.search == "gp":
        return GPSampler(seed=seed)
    if sweep.search == "cmaes":
        return CmaEsSampler(seed=seed)
    return QMCSampler(seed=sweep.seeds[0], warn_independent_sampling=False)  # one sequence, of which the storage counts the points


def _suggest(trial: optuna.Trial, name: str, dimension: Dimension) -> Scalar:
    if dimension.interval is not None:
        low, high = dimension.interval
        return float(trial.suggest_float(name, low, high, log=dimension.loguniform is not None))
    value: Scalar = trial.suggest_categorical(name, dimension.values or [])
    return value


def _distribution(dimension: Dimension) -> BaseDistribution:
    if dimension.interval is not None:
        low, high = dimension.interval
        return FloatDistribution(low, high, log=dimension.loguniform is not None)
    return CategoricalDistribution(dimension.values or [])
