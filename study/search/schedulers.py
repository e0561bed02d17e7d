"""Ray's schedulers for a sweep, and how they learn what trials of earlier launches have shown."""

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ray.tune.experiment import Trial
from ray.tune.schedulers import (
    AsyncHyperBandScheduler,
    FIFOScheduler,
    HyperBandScheduler,
    MedianStoppingRule,
    TrialScheduler,
)

from study import names
from study.search.keys import RUNG_EPOCH
from study.search.population import Change, Population
from study.spec.schedulers import Asha, Hyperband, Median, Pbt
from study.spec.sweep import Sweep, first_stage_epochs
from study.state import journal as events
from study.state.journal import Journal

_STATUS = {TrialScheduler.PAUSE: Trial.PAUSED, TrialScheduler.STOP: Trial.TERMINATED}


def build_scheduler(sweep: Sweep, folder: Path, change: Change) -> TrialScheduler:
    """The sweep's scheduler; it sees the epochs of the first stage, before the last one, and the first objective.

    Args:
        sweep: to schedule.
        folder: where its trials keep their state.
        change: notes that a trial gets other settings, and whose weights.
    """
    scheduler, epochs = sweep.scheduler, first_stage_epochs(sweep)
    common: dict[str, Any] = {"time_attr": RUNG_EPOCH, "metric": sweep.objectives[0], "mode": "max"}
    if isinstance(scheduler, Asha):
        grace = max(1, math.floor(scheduler.grace * epochs))
        return _Asha(**common, max_t=epochs, grace_period=grace, reduction_factor=scheduler.reduction_factor)
    if isinstance(scheduler, Hyperband):
        return _Hyperband(**common, max_t=epochs, reduction_factor=scheduler.reduction_factor)
    if isinstance(scheduler, Median):
        return _Median(**common, grace_period=max(1, math.floor(scheduler.grace * epochs)))
    if isinstance(scheduler, Pbt):
        return Population(sweep, scheduler, folder, change, **common)
    return _InOrder()


def takes_all_trials(sweep: Sweep) -> bool:
    """Whether the scheduler needs all trials before any may go on: HyperBand fills its brackets, a population is bred together."""
    return isinstance(sweep.scheduler, Hyperband | Pbt)


def replay(scheduler: TrialScheduler, journal: Journal, live: dict[str, Trial]) -> list[str]:
    """Show a new scheduler everything that earlier launches reported, in the order in which they did.

    What it decides now it decided then, so its decisions are not carried out again. A trial that lost its worker has left the
    scheduler, as one that failed; when it goes on it is a new one to it.

    Args:
        scheduler: as `build_scheduler` made it.
        journal: of the sweep.
        live: by name, trials that go on; the others are represented by stand-ins.

    Returns:
        Names of live trials that the scheduler had stopped when the driver was killed.
    """
    if isinstance(scheduler, Population):
        scheduler.take_up(journal, live)
        return []
    controller = _Controller(scheduler)
    trials: dict[str, Any] = {}
    begins, over = _attempts(journal)
    for place, event in enumerate(journal.events):
        name = event.get("trial", "")
        if place in begins:  # an attempt that failed or lost its worker stays a stand-in; Ray adds a trial that goes on anew
            goes_on = name in live and name not in over and begins[place]
            trials[name] = live[name] if goes_on else _StandIn(name)
            scheduler.on_trial_add(controller, trials[name])
        elif event["event"] == events.EPOCH and event["rung"]:
            trials[name].status = Trial.RUNNING
            result = {**event["metrics"], RUNG_EPOCH: event["epoch"]}
            decision = scheduler.on_trial_result(controller, trials[name], result)
            trials[name].status = _STATUS.get(decision, Trial.RUNNING)
        elif event["event"] in (events.END, events.LOST) and trials[name].status not in (Trial.TERMINATED, Trial.ERROR):
            if event["event"] == events.LOST or event["outcome"] == names.FAILED:
                trials[name].status = Trial.ERROR
                scheduler.on_trial_error(controller, trials[name])
            else:
                trials[name].status = Trial.TERMINATED
                scheduler.on_trial_complete(controller, trials[name], {})
    stopped = [name for name, trial in live.items() if trial.status == Trial.TERMINATED]
    for trial in live.values():
        if trial.status != Trial.PAUSED:  # Ray leaves a paused trial to its scheduler, a pending one it starts
            trial.status = Trial.PENDING
    return stopped


def _attempts(journal: Journal) -> tuple[dict[int, bool], set[str]]:
    """Where in the journal an attempt at a trial begins, and whether it is its last one; and the trials without one under way."""
    over: set[str] = set()
    last: dict[str, int] = {}
    begins: list[tuple[int, str]] = []
    for place, event in enumerate(journal.events):
        name = event.get("trial", "")
        if event["event"] == events.TRIAL or (event["event"] == events.RESUME and name in over):
            begins.append((place, name))
            last[name] = place
            over.discard(name)
        elif event["event"] in (events.END, events.LOST):
            over.add(name)
    return {place: last[name] == place for place, name in begins}, over


@dataclass(eq=False)
class _StandIn:
    """What schedulers look at in a trial that is over."""

    trial_id: str
    status: str = Trial.PENDING
    is_saving: bool = False


@dataclass
class _Controller:
    """What schedulers ask of Ray's controller while they are shown the past."""

    scheduler: TrialScheduler

    def stop_trial(self, trial: Any) -> None:
        trial.status = Trial.TERMINATED
        self.scheduler.on_trial_remove(self, trial)

    def get_live_trials(self) -> list[Any]:
        return []


class _Hyperband(HyperBandScheduler):
    """HyperBand that lets a trial be once it can no longer be compared, and takes up a trial that it has been shown."""

    def on_trial_add(self, tune_controller: Any, trial: Any) -> None:
        if trial not in self._trial_info:
            super().on_trial_add(tune_controller, trial)

    def on_trial_result(self, tune_controller: Any, trial: Any, result: dict[str, Any]) -> str:
        if RUNG_EPOCH not in result or self._metric not in result:
            return str(TrialScheduler.CONTINUE)
        return str(super().on_trial_result(tune_controller, trial, result))


class _InOrder(FIFOScheduler):
    """Looks for the next trial among those that are not over; Ray's own looks at all that there ever were, in each of its steps."""

    def choose_trial_to_run(self, tune_controller: Any) -> Trial | None:
        live = tune_controller.get_live_trials()  # without an order
        for status in (Trial.PENDING, Trial.PAUSED):
            if waiting := [trial for trial in live if trial.status == status]:
                return min(waiting, key=lambda trial: (len(trial.trial_id), trial.trial_id))
        return None


class _Asha(_InOrder, AsyncHyperBandScheduler):
    """ASHA."""


class _Median(_InOrder, MedianStoppingRule):
    """Median rule over epochs that can be compared; Ray's own appends a trial's last record, which cannot."""

    def on_trial_complete(self, tune_controller: Any, trial: Any, result: dict[str, Any]) -> None:
        pass
