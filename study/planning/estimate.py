"""Estimate of what a study costs on this machine, from a few measured steps of each kind of trial, and of what it can find out."""

import heapq
import math
import os
import shutil
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from acl.config import build_config
from acl.training.cost import RunCost, settings_that_cost
from acl.training.timing import measure_run
from analysis.question import CLIP_SETTINGS, FOLD
from analysis.stats.power import Power
from study.errors import StudyError
from study.machine import ClusterMachine, Machine, Span
from study.spec.space import edge_points
from study.spec.study import Study
from study.spec.sweep import Sweep, brackets

SECONDS_OF_ALL_KINDS = 40.0  # measuring, shared by the kinds of trials; processes that start come on top


SECONDS_OF_A_KIND = (2.0, 8.0)


# What trains nothing takes as long as the machine makes it: measured in starts of a process that imports what a run needs, as
# benchmarks/plan_accuracy.py --run has seen them, see LOG.md.
LAUNCH_STARTS = 4.0  # each launch: Ray and MLflow start and end, the winners' models are logged
WORKER_STARTS = 1.6  # each sweep: its workers start together, and import Ray Tune besides
TRIAL_SECONDS = 0.3  # each trial of a worker that has run one before
PREDICTION_BYTES = (60, 11)  # of a row of predictions.csv, and of each class in it
RECORD_BYTES = (150_000, 4_000)  # of a trial in MLflow, and of each of its epochs


@dataclass(frozen=True)
class Kind:
    """Trials of a sweep that cost the same.

    Attributes:
        label: the settings that distinguish it from other kinds of the sweep; empty where there is one kind.
        trials: how many are left to run (of a search that draws its settings: on average).
        cost: of one.
    """

    label: str
    trials: float
    cost: RunCost


@dataclass(frozen=True)
class Hours:
    """Hours that something takes.

    Attributes:
        shortest: all trials stopped as early as can be, at full gain of shared GPUs.
        expected: trials stopped as the scheduler is expected to, without such a gain.
        longest: no trial stopped, without such a gain.
    """

    shortest: float
    expected: float
    longest: float


@dataclass(frozen=True)
class SweepPlan:
    """Cost of what is left of a sweep.

    Attributes:
        sweep: the sweep.
        kinds: of its trials.
        at_once: trials that run together.
        crowding: factor by which they slow each other.
        within: settings of which each value is a comparison, or a part of one, of its own.
    """

    sweep: Sweep
    kinds: tuple[Kind, ...]
    at_once: int
    crowding: Span
    within: tuple[str, ...] = CLIP_SETTINGS

    @property
    def start_seconds(self) -> float:
        """Until a fresh process has imported everything, where as many start as trials run at once."""
        return max((kind.cost.start_seconds for kind in self.kinds), default=0.0)

    @property
    def trials(self) -> int:
        """Trials that are left."""
        return round(sum(kind.trials for kind in self.kinds))

    @property
    def grace_epochs(self) -> int | None:
        """Epochs after which a trial can be stopped; None where none is."""
        epochs = max(kind.cost.stages[0].epochs for kind in self.kinds)
        rungs = [bracket.first_rung for bracket in brackets(self.sweep.scheduler, epochs) if bracket.first_rung < epochs]
        return min(rungs, default=None)

    @property
    def hours(self) -> Hours:
        """Until its last trial has ended."""
        shortest, expected, longest = (self._makespan(seconds) for seconds in (_stopped, _expected, _full))
        return Hours(shortest * self.crowding.least, expected * self.crowding.most, longest * self.crowding.most)

    @property
    def gpu_hours(self) -> Span:
        """Hours of all trials, added up and multiplied by the GPUs of a trial."""
        return self._hours_of_trials(self.sweep.resources.gpus)

    @property
    def core_hours(self) -> Span:
        """Hours of all trials, added up and multiplied by the CPUs of a trial."""
        return self._hours_of_trials(self.sweep.resources.cpus)

    @property
    def kept_bytes(self) -> int:
        """What the sweep leaves on the disk: weights or states, predictions twice (with the trial, and in MLflow), records."""
        total = 0.0
        for kind in self.kinds:
            cost = kind.cost
            state = cost.kept_bytes if self.grace_epochs is None else max(cost.kept_bytes, cost.checkpoint_bytes)
            predictions = cost.prediction_rows * (PREDICTION_BYTES[0] + PREDICTION_BYTES[1] * cost.classes)
            total += kind.trials * (state + 2 * predictions + RECORD_BYTES[0] + RECORD_BYTES[1] * cost.epochs)
        return round(total)

    @property
    def working_bytes(self) -> int:
        """States of the running trials; one is written beside the last before it replaces it."""
        return 2 * self.at_once * max(kind.cost.checkpoint_bytes for kind in self.kinds)

    @property
    def power(self) -> list[Power]:
        """One for all kinds with the same clips."""
        groups = dict.fromkeys((kind.cost.test_clips, kind.cost.val_clips, kind.cost.test_recordings) for kind in self.kinds)
        groups_of_settings = math.prod(
            len(self.sweep.space[name].values or [0]) for name in self.within if name in self.sweep.space
        )
        candidates = max(1, self.sweep.trials // groups_of_settings)
        seeds, folds = len(self.sweep.seeds), len(self.sweep.space[FOLD].values or [0]) if FOLD in self.sweep.space else 1
        if folds > 1:  # which a report pools
            clips, recordings = (
                round(folds * sum(sizes) / len(self.kinds))
                for sizes in zip(*((kind.cost.test_clips, kind.cost.test_recordings) for kind in self.kinds), strict=True)
            )
            groups = {(clips, self.kinds[0].cost.val_clips, recordings): None}
        return [Power(test, val, seeds, candidates, recordings, folds) for test, val, recordings in groups]

    def _hours_of_trials(self, share: float) -> Span:
        fewest, most = (sum(kind.trials * seconds(self, kind) for kind in self.kinds) / 3600 for seconds in (_stopped, _full))
        return Span(fewest * share, most * share)

    def _makespan(self, seconds: Callable[["SweepPlan", Kind], float]) -> float:
        """Hours until the last trial ends, each started as soon as one ends, in their order."""
        ends = [WORKER_STARTS * self.start_seconds] * self.at_once
        for kind in self.kinds:
            for _ in range(round(kind.trials)):
                heapq.heapreplace(ends, ends[0] + seconds(self, kind))
        return max(ends) / 3600 if self.trials else 0.0


@dataclass(frozen=True)
class StudyPlan:
    """Cost of what is left of a study; its sweeps run one after the other."""

    study: Study
    machine: Machine
    sweeps: tuple[SweepPlan, ...]
    free_bytes: int
    load: float = 0.0  # of this machine, processes that compute or wait for it, when measuring began
    is_cluster: bool = False  # whether trials run on the machines of a cluster, as many at once as these have room for
    machines: tuple[ClusterMachine, ...] = ()  # of the cluster

    @property
    def place(self) -> str:
        """Where the study runs."""
        return "on the cluster" if self.is_cluster else "on this machine"

    @property
    def hours(self) -> Hours:
        """Of the launch and all sweeps."""
        launch = LAUNCH_STARTS * max((sweep.start_seconds for sweep in self.sweeps), default=0.0) / 3600
        own = [sweep.hours for sweep in self.sweeps]
        return Hours(
            launch + sum(hours.shortest for hours in own),
            launch + sum(hours.expected for hours in own),
            launch + sum(hours.longest for hours in own),
        )

    @property
    def disk_bytes(self) -> int:
        """Most that the study takes."""
        return sum(sweep.kept_bytes for sweep in self.sweeps) + max((sweep.working_bytes for sweep in self.sweeps), default=0)


def plan_study(
    study: Study,
    folder: Path,
    machine: Machine,
    *,
    left: Mapping[str, int] | None = None,
    room: Mapping[str, int] | None = None,
    progress: Callable[[str], None] = lambda line: None,
) -> StudyPlan:
    """Measure each kind of trial on this machine.

    Args:
        study: whose corpora are named and prepared.
        folder: of the results; need not exist.
        machine: this one.
        left: trials that are left, by sweep; None: all.
        room: trials that a cluster has room for at once, by sweep; None where the study runs on this machine alone.
        progress: told what is being measured.

    Raises:
        StudyError: a trial does not fit this machine.
        CostError, StoreError, SplitError: a kind of trial cannot run.
    """
    load = os.getloadavg()[0]
    pending = [sweep for sweep in study.sweeps if left is None or left.get(sweep.name, 0)]
    here = {sweep.name: _at_once(sweep, machine, is_cluster=room is not None) for sweep in pending}
    kinds = {sweep.name: kinds_of(sweep) for sweep in pending}
    disk = next(parent for parent in (folder / "any").resolve().parents if parent.exists())
    costs = measured(pending, kinds, here, disk, progress)
    plans = []
    for sweep in pending:
        share = 1.0 if left is None else left[sweep.name] / sweep.runs
        own = tuple(
            Kind(label_of(sweep, settings, kinds[sweep.name]), share * count, costs[cost_key(sweep, settings)])
            for settings, count in kinds[sweep.name]
        )
        trials = max(1, round(sum(kind.trials for kind in own)))
        crowding = machine.crowding(sweep.resources, min(here[sweep.name], trials))
        within = tuple(dict.fromkeys([*study.question_in(sweep.base["mode"]).within, FOLD]))
        plans.append(SweepPlan(sweep, own, min((room or here)[sweep.name], trials), crowding, within))
    return StudyPlan(study, machine, tuple(plans), shutil.disk_usage(disk).free, load, is_cluster=room is not None)


def _at_once(sweep: Sweep, machine: Machine, *, is_cluster: bool) -> int:
    """Trials that this machine has room for; it may have none for those of a cluster."""
    count = machine.trials_at_once(sweep.resources)
    if count == 0 and not is_cluster:
        raise StudyError(
            f"a trial of {sweep.name} takes {sweep.resources.words}, this machine has {machine.cores} CPUs and {machine.gpus} "
            "GPUs; pass --cpus and --gpus, or --profile mini for a small study on CPUs"
        )
    return max(1, count)


def _full(plan: SweepPlan, kind: Kind) -> float:
    return TRIAL_SECONDS + kind.cost.seconds


def _stopped(plan: SweepPlan, kind: Kind) -> float:
    """Seconds of a trial that is stopped at the first chance."""
    grace = plan.grace_epochs
    return _full(plan, kind) if grace is None else TRIAL_SECONDS + kind.cost.seconds_stopped_after(grace)


def _expected(plan: SweepPlan, kind: Kind) -> float:
    """Mean seconds of a trial if at each rung of its bracket one in `factor` goes on, as successive halving means it."""
    epochs = kind.cost.stages[0].epochs
    parts = brackets(plan.sweep.scheduler, epochs)
    if not parts:
        return _full(plan, kind)
    seconds = 0.0
    for bracket in parts:
        going, rung = bracket.share, float(bracket.first_rung)
        while rung < epochs:
            seconds += going * (1 - 1 / bracket.factor) * kind.cost.seconds_stopped_after(math.ceil(rung))
            going /= bracket.factor
            rung *= bracket.factor
        seconds += going * kind.cost.seconds
    return TRIAL_SECONDS + seconds


def kinds_of(sweep: Sweep) -> list[tuple[dict[str, Any], float]]:
    """Settings of one trial of each kind, and how many trials are of it; a search may draw any edge of its space as often."""
    points = sweep.points or edge_points(sweep.space)
    settings = [{**sweep.common, **point} for point in points]
    counts = Counter(cost_key(sweep, entry) for entry in settings)
    first = {key: entry for entry in reversed(settings) if (key := cost_key(sweep, entry))}
    return [(first[key], sweep.runs * count / len(points)) for key, count in counts.items()]


def cost_key(sweep: Sweep, settings: Mapping[str, Any]) -> str:
    """Equal for trials that cost the same."""
    return repr((settings_that_cost(build_config(settings)), sweep.resources))


def label_of(sweep: Sweep, settings: Mapping[str, Any], kinds: Sequence[tuple[Mapping[str, Any], float]]) -> str:
    """What tells a kind from the others of its sweep, empty for the only one."""
    varied = [name for name in sweep.space if len({repr(of_kind[name]) for of_kind, _ in kinds}) > 1]
    return ", ".join(f"{name} {settings[name]}" for name in varied) if len(kinds) > 1 else ""


def measured(
    sweeps: Sequence[Sweep],
    kinds: Mapping[str, list[tuple[dict[str, Any], float]]],
    at_once: Mapping[str, int],
    disk: Path,
    progress: Callable[[str], None],
) -> dict[str, RunCost]:
    """Cost of each kind of trial by `cost_key`; one that several sweeps have is measured once.

    Args:
        sweeps: to measure.
        kinds: of each sweep by its name, see `kinds_of`.
        at_once: trials of each sweep that run at the same time.
        disk: a folder on the disk that is measured.
        progress: told what is being measured.

    Raises:
        CostError, StoreError, SplitError: a kind of trial cannot run.
    """
    to_measure: dict[str, tuple[Sweep, dict[str, Any]]] = {}
    for sweep in sweeps:
        for settings, _ in kinds[sweep.name]:
            to_measure.setdefault(cost_key(sweep, settings), (sweep, settings))
    fewest, most = SECONDS_OF_A_KIND
    seconds = min(most, max(fewest, SECONDS_OF_ALL_KINDS / max(1, len(to_measure))))
    costs = {}
    for number, (key, (sweep, settings)) in enumerate(to_measure.items(), start=1):
        label = label_of(sweep, settings, kinds[sweep.name])
        progress(f"measuring {number} of {len(to_measure)}: {sweep.name}{label and ', '}{label}")
        cpus, gpus = sweep.resources.cpus, sweep.resources.gpus
        beside = 0 if gpus else min(at_once[sweep.name], sweep.runs) - 1
        costs[key] = measure_run(settings, cores=cpus, sees_gpu=gpus > 0, beside=beside, seconds=seconds, folder=disk)
    return costs
