"""The run of one sweep with Ray Tune, from wherever its journal is."""

import math
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from ray import tune
from ray.tune import Stopper, TuneError

from acl.provenance import PROVENANCE_FILE
from acl.training.checkpoint import drop_copies
from study import names
from study.execution.callbacks import JournalKeeper
from study.execution.cluster import Cluster
from study.execution.code_place import CodePlace
from study.execution.interruption import Interruption
from study.execution.progress import ProgressLine
from study.execution.ray_session import ray_is_gone
from study.execution.trial import run_trial
from study.execution.trial_queue import NextPoint, TrialQueue, listed_points, ray_folder
from study.search.optuna import Search
from study.search.population import copy_each
from study.search.schedulers import build_scheduler, takes_all_trials
from study.spec.sweep import Resources, Sweep, longest_epochs
from study.state import journal as events
from study.state.completion import SweepOutcome, is_complete, outcome_of
from study.state.home import state_folder
from study.state.journal import Event, Journal, TrialState
from study.state.storage import Storage


@dataclass(frozen=True)
class SweepContext:
    """Where the trials of a sweep run, and where they keep their state.

    Attributes:
        folder: of the sweep.
        cluster: the machines.
        storage: of the sweep, where the machines share no folder.
        features: SHA-256 of the bytes of the features that its trials learn from; None is not compared.
    """

    folder: Path
    cluster: Cluster = field(default_factory=Cluster)
    storage: Storage | None = None
    features: str | None = None

    def fetch_results(self, trial: str) -> None:
        """Have in the folder what a trial's records are made of."""
        if self.storage is not None:
            self.storage.below(trial).fetch(state_folder(self.folder, trial), (names.PREDICTIONS_FILE, PROVENANCE_FILE))


def run_sweep(
    sweep: Sweep,
    context: SweepContext,
    journal: Journal,
    interruption: Interruption,
    announce: Callable[[ProgressLine, Event], None],
) -> SweepOutcome:
    """Run what is left of a sweep: first all trials that can go on or are new, then those whose machine went down, and in the end
    once more, each alone, those that lost their worker.

    Args:
        sweep: to run.
        context: where.
        journal: of the sweep.
        interruption: ends it early.
        announce: is called with each new event.
    """
    folder = context.folder
    at_once = context.cluster.room_for(sweep.resources)
    begun = journal.append(events.LAUNCH, resources=sweep.resources.model_dump(), at_once=at_once)
    progress = ProgressLine(sweep, journal, longest_epochs(sweep), at_once)
    announce(progress, begun)
    search = Search(sweep, folder, journal) if sweep.uses_optuna else None
    keeper = _journal_keeper(context, journal, search, interruption, progress, announce)
    next_point = search.next_point if search is not None else listed_points(sweep, journal)
    before = len(journal.events)
    with progress.shown(), interruption.after(sweep.budget.hours, lambda: _has_epochs(journal.events[before:])):
        keeper.end_trained(folder)
        keeper.end_search()  # of a launch that was killed before it noted this
        failed = [state for state in journal.trials.values() if state.outcome == names.FAILED]
        left = sorted(
            [*failed, *(state for state in journal.unfinished() if not state.worker_crashes)], key=lambda state: state.number
        )
        _run_trials(sweep, context, sweep.resources, keeper, interruption, left, next_point)
        # Each of these has a worker crash by the second time it gets no epoch further, so this ends.
        while interruption.reason is None and (left := [state for state in journal.unfinished() if not state.worker_crashes]):
            _run_trials(sweep, context, sweep.resources, keeper, interruption, left, next_point)
        for lost in [state for state in journal.unfinished() if state.worker_crashes]:
            if interruption.reason is None:
                _run_trials(sweep, context, _alone(sweep.resources, context.cluster), keeper, interruption, [lost], None)
    if is_complete(sweep, journal):
        for name in journal.trials:
            drop_copies(state_folder(folder, name))
    return outcome_of(sweep, journal)


def _journal_keeper(
    context: SweepContext,
    journal: Journal,
    search: Search | None,
    interruption: Interruption,
    progress: ProgressLine,
    announce: Callable[[ProgressLine, Event], None],
) -> JournalKeeper:
    def show(event: Event) -> None:
        progress.take(event)
        announce(progress, event)

    return JournalKeeper(
        journal,
        search,
        show,
        ray_is_gone=partial(ray_is_gone, interruption),
        leave_out=context.cluster.leave_out,
        fetch_results=context.fetch_results,
    )


def _has_epochs(added: Sequence[Event]) -> bool:
    return any(event["event"] == events.EPOCH for event in added)


def _run_trials(
    sweep: Sweep,
    context: SweepContext,
    resources: Resources,
    keeper: JournalKeeper,
    interruption: Interruption,
    left: list[TrialState],
    next_point: NextPoint | None,
) -> None:
    if interruption.reason is not None:
        return
    threads = {"compute.threads": sweep.common.get("compute.threads") or max(1, math.floor(sweep.resources.cpus))}
    folder, requirements = context.folder, context.cluster.requirements
    arguments: dict[str, Any] = {
        "common": {**sweep.common, **threads},
        "sweep_folder": str(folder),
        "gpu_share": resources.gpus,
        "copy_each": copy_each(sweep),
        "code": CodePlace.here(),
        "features": context.features,
        **({} if requirements is None else {"make_ready": partial(requirements.make_ready, sweep.name)}),
        "storage": context.storage,
    }

    # A closure, and not Tune's own `with_parameters`, which puts each argument into Ray's object store: to recover an object there
    # without its raylet, Ray ends this process at once, before the launch can say a word.
    def trainable(ray_config: dict[str, Any]) -> None:
        run_trial(ray_config, **arguments)

    scheduler = build_scheduler(sweep, folder, keeper.change)
    at_once = sweep.runs if takes_all_trials(sweep) else context.cluster.room_for(resources)
    if context.storage is None:
        shutil.rmtree(ray_folder(folder), ignore_errors=True)
    else:
        context.storage.below(ray_folder(folder).name).clear()
    try:
        tune.run(
            trainable,
            name=ray_folder(folder).name,
            **_for_ray(context),
            search_alg=TrialQueue(sweep, keeper, resources, left, next_point, scheduler, at_once),
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


def _for_ray(context: SweepContext) -> dict[str, Any]:
    """Where Ray keeps files of its own, of which nothing is needed again; all machines must see it."""
    if context.storage is None:
        return {"storage_path": str(context.folder)}
    filesystem, path = context.storage.opened
    return {"storage_path": path, "storage_filesystem": filesystem}


def _alone(resources: Resources, cluster: Cluster) -> Resources:
    """What keeps others away: a whole GPU, or where trials use none, all CPUs of the largest machine."""
    if resources.gpus:
        return Resources(cpus=resources.cpus, gpus=math.ceil(resources.gpus))
    return Resources(cpus=max([resources.cpus, *(node.cpus for node in cluster.nodes)]), gpus=0)


class _UntilInterrupted(Stopper):
    """Lets Ray stop all trials between two of its steps."""

    def __init__(self, interruption: Interruption) -> None:
        self._interruption = interruption

    def __call__(self, trial_id: str, result: dict[str, Any]) -> bool:
        return False

    def stop_all(self) -> bool:
        return self._interruption.reason is not None
