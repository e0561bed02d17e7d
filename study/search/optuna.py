"""Optuna: a search whose storage survives crashes, and its samplers.

The storage is Optuna's journal in the sweep's folder, which optuna-dashboard opens too. Ours is the journal beside it: where the
two disagree after a crash, ours decides when the search is opened.
"""

import math
import warnings
from collections import defaultdict
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import optuna
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution
from optuna.samplers import BaseSampler, CmaEsSampler, GPSampler, QMCSampler, RandomSampler, TPESampler
from optuna.storages import BaseStorage, JournalStorage
from optuna.storages.journal import JournalFileBackend
from optuna.trial import FrozenTrial, TrialState

from study import names
from study.errors import StudyError
from study.spec.space import Dimension, Point, Scalar, conditional_point
from study.spec.sweep import Sweep
from study.state import journal as events
from study.state.completion import reason_to_end
from study.state.journal import Journal, read_whole_lines

STORAGE_FILE = "optuna.journal"
_UNREADABLE = (
    *(ValueError, LookupError, TypeError, AttributeError, AssertionError, OverflowError, RecursionError),
    optuna.exceptions.OptunaError,
)
_OWNER = "trial"  # user attribute of Optuna's trial: the name of ours, where it does not follow from its number
_EARLIER = "warm_start"  # user attribute of Optuna's trial: study and trial of an earlier result
_LOCK_SUFFIX = ".lock"
optuna.logging.set_verbosity(optuna.logging.ERROR)


class Search:
    """An Optuna search over a sweep's space.

    How a trial of ours ended is told once: scheduler-stopped is PRUNED, a failure or an objective that is not finite is FAIL. A
    failed trial that a later launch completes is told as a new trial of Optuna, which keeps its finished ones as they are.

    A point that is proposed again is a trial of Optuna's only. It is told the result of the trial that has the point already: at
    once, or when that trial ends. Results of earlier studies are Optuna's first trials, and none of ours.

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
        self._first_sampler = sampler_of(sweep, 0)
        path = folder / STORAGE_FILE
        folder.mkdir(parents=True, exist_ok=True)
        _mend(path)
        try:
            storage = JournalStorage(JournalFileBackend(str(path)))
            self._study = optuna.create_study(
                storage=storage,
                study_name=study_name(storage, sweep, folder.parent.name),
                directions=["maximize" if direction == "max" else "minimize" for direction in sweep.directions],
                sampler=self._first_sampler,
                load_if_exists=True,
            )
            _name_objectives(self._study, sweep)
            self._add_earlier()
            self._numbers = self._settle()
        except _UNREADABLE as error:  # of Optuna, when it reads a line that it cannot
            raise StudyError(
                f"{path} is damaged ({type(error).__name__}); delete it, and `resume` writes it anew from {journal.path.name}"
            ) from None
        known = set(self._numbers.values())
        self._unknown = [
            trial.number for trial in self._own_trials() if trial.number not in known and trial.state != TrialState.WAITING
        ]
        there = [trial.system_attrs.get("fixed_params", trial.params) for trial in self._own_trials()]
        for point in sweep.enqueue:
            if point not in there:  # those that the journal has are there by now
                self._study.enqueue_trial(point)

    def next_point(self) -> tuple[int, Point] | None:
        """Number and point that are proposed next; None when as many were as the sweep has trials, or when the search has ended."""
        number = len(self._journal.trials) + len(self._journal.repeats)
        if number >= self._sweep.trials or self._journal.search_end is not None:
            return None
        name = self._sweep.trial_name(number)
        self._study.sampler = knowing(sampler_of(self._sweep, number), self._first_sampler)
        frozen = self._asked(name)  # when the driver was killed, or before the end of the journal was lost
        if frozen is not None and frozen.state.is_finished():
            self._numbers[name] = frozen.number
            return number, dict(frozen.params)
        trial = self._study.ask() if frozen is None else optuna.Trial(self._study, frozen._trial_id)
        point = self._draw(trial, number)
        if trial.number - self._earlier != number:
            trial.set_user_attr(_OWNER, name)
        self._numbers[name] = trial.number
        return number, point

    def _asked(self, name: str) -> FrozenTrial | None:
        """Optuna's trial of this name, or one that nobody owns: what the journal does not know."""
        self._unknown = [number for number in self._unknown if number not in self._numbers.values()]
        unknown = [self._trial(number) for number in self._unknown]
        own = [trial for trial in unknown if self._owner(trial) == name and self._is_drawn(trial.params)]
        return next(iter([*own, *(trial for trial in unknown if trial.state == TrialState.RUNNING)]), None)

    def _draw(self, trial: optuna.Trial, number: int) -> Point:
        """The trial's values; each has a stream of its own, so that it does not matter which of them a killed driver had drawn."""
        if "fixed_params" not in self._trial(trial.number).system_attrs:  # a known point has nothing to draw
            trial.relative_params  # noqa: B018 (values that are drawn together, before the others change the sampler)

        def draw(name: str, dimension: Dimension) -> Scalar:
            place = list(self._sweep.space).index(name)
            self._study.sampler = knowing(sampler_of(self._sweep, number, place), self._first_sampler)
            return suggested(trial, name, dimension)

        return conditional_point(self._sweep.space, draw)

    def _is_drawn(self, params: Point) -> bool:
        try:
            return conditional_point(self._sweep.space, lambda name, dimension: params[name]) == params
        except KeyError:
            return False

    def _owner(self, frozen: FrozenTrial) -> str:
        return str(frozen.user_attrs.get(_OWNER) or self._sweep.trial_name(frozen.number - self._earlier))

    def original_of(self, point: Point) -> str | None:
        """The trial of the sweep that has this point; it has the same seed, too, as a search takes one."""
        return next((trial.trial for trial in self._journal.trials.values() if trial.point == point), None)

    def reason_to_end(self) -> str | None:
        """Why the search is to end now, see `study.state.completion`."""
        return reason_to_end(self._sweep, self._journal)

    def report(self, name: str, epoch: int, metrics: Mapping[str, float]) -> None:
        """An epoch's objective, where there is one and it is the only one."""
        value = metrics.get(self._sweep.objectives[0], math.nan)
        frozen = self._trial(self._numbers[name])
        if len(self._sweep.objectives) > 1 or frozen.state.is_finished() or not math.isfinite(value):
            return
        if epoch not in frozen.intermediate_values:
            self._storage.set_trial_intermediate_value(frozen._trial_id, epoch, value)

    def tell(self, name: str) -> None:
        """Tell how a trial ended, as the journal has it, also under the numbers under which its point came again."""
        self._tell(name, name)
        for repeat in self._journal.repeats:
            if repeat.of == name:
                self.tell_repeat(repeat.number)

    def tell_repeat(self, number: int) -> None:
        """Tell the result of the point that was proposed again under this number, where it is known."""
        original = next(repeat.of for repeat in self._journal.repeats if repeat.number == number)
        if self._journal.trials[original].outcome is not None:
            self._tell(self._sweep.trial_name(number), original)

    def _tell(self, name: str, original: str) -> None:
        """Tell the end of `original` as that of Optuna's trial `name`."""
        state, values = self._result(original)
        frozen = self._trial(self._numbers[name])
        if not frozen.state.is_finished():
            if name != original:
                self._report_as(frozen, self._trial(self._numbers[original]).intermediate_values)
            self._study.tell(frozen.number, values, state=state)
        elif frozen.state == TrialState.FAIL and state != TrialState.FAIL:
            self._add(name, original, state, values, self._reported().get(original, {}))

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
        self._numbers = {self._owner(frozen): frozen.number for frozen in self._own_trials()}
        originals = self._originals()
        self._numbers = {name: number for name, number in self._numbers.items() if name in originals}
        reported = self._reported()
        for name, original in originals.items():
            is_over = self._journal.trials[original].outcome is not None
            own = reported.get(original, {}) if is_over or name == original else {}
            if name not in self._numbers:  # the end of Optuna's file is lost
                self._add(name, original, *(self._result(original) if is_over else (TrialState.RUNNING, None)), own)
                continue
            self._complete(name, original, own)
            if is_over:
                self._tell(name, original)
        return self._numbers

    def _originals(self) -> dict[str, str]:
        """The trial whose point and result each of Optuna's trials has, by our name for it and in the order of numbers."""
        pairs = [(trial.number, trial.trial) for trial in self._journal.trials.values()]
        pairs += [(repeat.number, repeat.of) for repeat in self._journal.repeats]
        return {self._sweep.trial_name(number): original for number, original in sorted(pairs)}

    def _add_earlier(self) -> None:
        """Add what the journal says that the search begins with; Optuna's first trials, whatever it has lost since."""
        results = self._journal.warm_start or []
        self._earlier = len(results)
        for result in results[len(self._trials()) :]:
            self._study.add_trial(
                optuna.trial.create_trial(
                    values=result.values,
                    params=dict(result.point),
                    distributions={key: distribution_of(self._sweep.space[key]) for key in result.point},
                    user_attrs={_EARLIER: f"{result.study}/{result.trial}"},
                )
            )

    def _point_of(self, name: str) -> Point:
        """The values that were drawn for a trial of ours."""
        return {key: value for key, value in self._journal.trials[name].point.items() if key in self._sweep.space}

    def _complete(self, name: str, original: str, reported: Mapping[int, float]) -> None:
        """Write what is lost of a trial that is not told yet: values, reports."""
        frozen = self._trial(self._numbers[name])
        if frozen.state.is_finished():
            return
        if frozen.state == TrialState.WAITING:  # a known point that the journal says has been asked for
            self._storage.set_trial_state_values(frozen._trial_id, TrialState.RUNNING)
        for key, value in self._point_of(original).items():
            if key not in frozen.params:
                distribution = distribution_of(self._sweep.space[key])
                internal = distribution.to_internal_repr(value)
                self._storage.set_trial_param(frozen._trial_id, key, internal, distribution)
        self._report_as(frozen, reported)

    def _report_as(self, frozen: FrozenTrial, reported: Mapping[int, float]) -> None:
        for epoch, value in reported.items():
            if epoch not in frozen.intermediate_values:
                self._storage.set_trial_intermediate_value(frozen._trial_id, epoch, value)

    def _add(self, name: str, original: str, state: TrialState, values: list[float] | None, reported: Mapping[int, float]) -> None:
        point = self._point_of(original)
        self._study.add_trial(
            optuna.trial.create_trial(
                state=state,
                values=values,
                params=point,
                distributions={key: distribution_of(self._sweep.space[key]) for key in point},
                intermediate_values=dict(reported),
                user_attrs={_OWNER: name},
            )
        )
        self._numbers[name] = len(self._trials()) - 1

    def _reported(self) -> dict[str, dict[int, float]]:
        """The objective that the journal has of each trial, by epoch, where it is the only one."""
        objective = self._sweep.objectives[0]
        found: defaultdict[str, dict[int, float]] = defaultdict(dict)
        for event in self._journal.events if len(self._sweep.objectives) == 1 else ():
            if event["event"] == events.EPOCH:
                found[event["trial"]][event["epoch"]] = event["metrics"].get(objective, math.nan)
        return {name: {epoch: value for epoch, value in own.items() if math.isfinite(value)} for name, own in found.items()}

    def _trial(self, number: int) -> FrozenTrial:
        """Optuna's trial, without a look at all the others."""
        return self._storage.get_trial(self._storage.get_trial_id_from_study_id_trial_number(self._study._study_id, number))

    def _trials(self) -> list[FrozenTrial]:
        return self._study.get_trials(deepcopy=False)

    def _own_trials(self) -> list[FrozenTrial]:
        """All but those of earlier studies."""
        return self._trials()[self._earlier :]

    @property
    def _storage(self) -> BaseStorage:
        return self._study._storage


def study_name(storage: BaseStorage, sweep: Sweep, study: str) -> str:
    """Name of the sweep's study in Optuna, which optuna-dashboard shows; a journal of an earlier version has the sweep's alone."""
    return sweep.name if sweep.name in optuna.get_all_study_names(storage) else f"{study}/{sweep.name}"


def _name_objectives(study: optuna.Study, sweep: Sweep) -> None:
    """Have optuna-dashboard name the values after the objectives, not "Objective 0"."""
    objectives = list(sweep.objectives)
    if study.metric_names != objectives:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
            study.set_metric_names(objectives)


def _mend(path: Path) -> None:
    """Cut off half a line that a crash left, and the lock of a driver that is gone: only one launch runs at a time."""
    if path.exists():
        _, whole = read_whole_lines(path)
        with path.open("ab") as opened:
            opened.truncate(whole)
    path.with_name(path.name + _LOCK_SUFFIX).unlink(missing_ok=True)


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
