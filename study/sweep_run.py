"""Runs one sweep with Ray Tune, from wherever its journal is."""

import math
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import ray
from ray import tune
from ray.tune import Stopper, TuneError

from acl.training.checkpoint import drop_copies
from study import journal as events
from study import record_names as names
from study.callbacks import JournalKeeper
from study.home import state_folder
from study.interruption import Interruption
from study.journal import Event, Journal, TrialState
from study.lengths import longest_epochs
from study.machine import Machine
from study.population import copy_each
from study.progress import ProgressLine
from study.ray_session import ray_is_gone
from study.resources import Resources
from study.schedulers import build_scheduler, takes_all_trials
from study.searcher import Search
from study.sweep import Sweep
from study.trial import run_trial
from study.trials import NextPoint, SweepTrials, listed_points, ray_folder


@dataclass(frozen=True)
class SweepOutcome:
    """How many trials of a sweep ended in which way; `left` were not finished when it was interrupted."""

    name: str
    finished: int
    stopped: int
    failed: int
    left: int


def outcome_of(sweep: Sweep, journal: Journal) -> SweepOutcome:
    """How far a sweep is."""
    ended = journal.outcomes()
    finished, stopped, failed = (ended.count(outcome) for outcome in (names.FINISHED, names.STOPPED, names.FAILED))
    return SweepOutcome(sweep.name, finished, stopped, failed, left=max(0, sweep.runs - len(ended)))


def is_complete(sweep: Sweep, journal: Journal) -> bool:
    """Whether nothing is left to run or to try again."""
    outcome = outcome_of(sweep, journal)
    return outcome.left == outcome.failed == 0


def run_sweep(
    sweep: Sweep, folder: Path, journal: Journal, interruption: Interruption, announce: Callable[[ProgressLine, Event], None]
) -> SweepOutcome:
    """Run what is left of a sweep: first all trials that can go on or are new, then once more, each alone, those that lost
    their worker.

    Args:
        sweep: to run.
        folder: where its trials keep their state.
        journal: of the sweep.
        interruption: ends it early.
        announce: is called with each new event.
    """
    begun = journal.append(events.LAUNCH, resources=sweep.resources.model_dump())
    progress = ProgressLine(sweep, journal, longest_epochs(sweep))
    announce(progress, begun)

    def show(event: Event) -> None:
        progress.take(event)
        announce(progress, event)

    search = Search(sweep, folder, journal) if sweep.uses_optuna else None
    keeper = JournalKeeper(journal, search, show, partial(ray_is_gone, interruption))
    next_point = search.next_point if search is not None else listed_points(sweep, journal)
    before = len(journal.events)
    with progress.shown(), interruption.after(sweep.budget.hours, lambda: _has_epochs(journal.events[before:])):
        keeper.end_trained(folder)
        failed = [state for state in journal.trials.values() if state.outcome == names.FAILED]
        left = sorted([*failed, *(state for state in journal.unfinished() if not state.losses)], key=lambda state: state.number)
        _pass(sweep, folder, sweep.resources, keeper, interruption, left, next_point)
        for lost in [state for state in journal.unfinished() if state.losses]:
            if interruption.reason is None:
                _pass(sweep, folder, _alone(sweep.resources), keeper, interruption, [lost], None)
    if is_complete(sweep, journal):
        for name in journal.trials:
            drop_copies(state_folder(folder, name))
    return outcome_of(sweep, journal)


def _has_epochs(added: Sequence[Event]) -> bool:
    return any(event["event"] == events.EPOCH for event in added)


def _pass(
    sweep: Sweep,
    folder: Path,
    resources: Resources,
    keeper: JournalKeeper,
    interruption: Interruption,
    left: list[TrialState],
    next_point: NextPoint | None,
) -> None:
    if interruption.reason is not None:
        return
    threads = {"compute.threads": sweep.common.get("compute.threads") or max(1, math.floor(sweep.resources.cpus))}
    trainable = tune.with_parameters(
        run_trial,
        common={**sweep.common, **threads},
        sweep_folder=str(folder),
        gpu_share=resources.gpus,
        copy_each=copy_each(sweep),
    )
    scheduler = build_scheduler(sweep, folder, keeper.change)
    at_once = sweep.runs if takes_all_trials(sweep) else _at_once(resources)
    shutil.rmtree(ray_folder(folder), ignore_errors=True)
    try:
        tune.run(
            trainable,
            name=ray_folder(folder).name,
            storage_path=str(folder),
            search_alg=SweepTrials(sweep, keeper, resources, left, next_point, scheduler, at_once),
            scheduler=scheduler,
            stop=_UntilInterrupted(interruption),
            callbacks=[keeper],
            reuse_actors=True,
            raise_on_failed_trial=False,
            verbose=0,
        )
    except TuneError:
        if keeper.error is None:
            raise
        raise keeper.error from None


def _alone(resources: Resources) -> Resources:
    """What keeps others away: a whole GPU, or where trials use none, all CPUs of the largest machine."""
    if resources.gpus:
        return Resources(cpus=resources.cpus, gpus=math.ceil(resources.gpus))
    return Resources(cpus=max(node["Resources"].get("CPU", 1) for node in ray.nodes() if node["Alive"]), gpus=0)


def _at_once(resources: Resources) -> int:
    """Trials that the machines of the session have room for."""
    count = 0
    for node in ray.nodes():
        if node["Alive"]:
            cores, gpus = (int(node["Resources"].get(kind, 0)) for kind in ("CPU", "GPU"))
            count += Machine(cores, memory_bytes=0, gpus=gpus, gpu_memory_bytes=0).trials_at_once(resources)
    return count


class _UntilInterrupted(Stopper):
    """Lets Ray stop all trials between two of its steps."""

    def __init__(self, interruption: Interruption) -> None:
        self._interruption = interruption

    def __call__(self, trial_id: str, result: dict[str, Any]) -> bool:
        return False

    def stop_all(self) -> bool:
        return self._interruption.reason is not None
