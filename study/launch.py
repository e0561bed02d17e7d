"""Runs a study's sweeps with Ray Tune, from the beginning or from where they stopped."""

import logging
import math
import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

# Ray reads these when it is imported.
os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "1")  # a trial that asks for no GPU sees none
os.environ.setdefault("RAY_CHDIR_TO_TRIAL_DIR", "0")
# The banner of Ray's newer output cannot be turned off; progress is shown by our own callback.
os.environ.setdefault("RAY_AIR_NEW_OUTPUT", "0")
# Records go to MLflow; Ray's CSV and JSON copies of them cost a second a trial.
os.environ.setdefault("TUNE_DISABLE_AUTO_CALLBACK_LOGGERS", "1")
os.environ.setdefault("TUNE_DISABLE_STRICT_METRIC_CHECKING", "1")  # probe accuracies come with the last epoch only
os.environ.setdefault("TUNE_GLOBAL_CHECKPOINT_S", "1")  # a killed driver loses a second of its own state, not ten

import ray
from ray import tune
from ray.tune.schedulers import ASHAScheduler, FIFOScheduler, TrialScheduler

from acl.config import Config, build_config
from acl.store import FeatureStore
from study import record_names as names
from study.callbacks import ProgressLine, TrialRecorder
from study.home import Home
from study.launched import check_unchanged, keep_records, keep_study, only_launch, records_of, study_text
from study.records import StudyRecord
from study.scheduling import Asha
from study.searcher import POINT, build_searcher
from study.spaces import edge_points
from study.spec import Study, StudyError, Sweep
from study.trial import IS_LAST, RUNG_EPOCH, run_trial

COMPLETE = "complete"  # marker file of a sweep that has nothing left to run


@dataclass(frozen=True)
class SweepOutcome:
    """How many trials of a sweep ended in which way; `left` were not finished when it was interrupted."""

    name: str
    finished: int
    stopped: int
    failed: int
    left: int


def launch(study: Study, home: Home, *, store_uri: str | None = None, address: str | None = None) -> list[SweepOutcome]:
    """Run what is left of `study`; a study that was launched before under this name continues.

    Args:
        store_uri: MLflow tracking store; None takes the one that the study was launched with, at first the home's own.
        address: of a Ray cluster; None starts Ray on this machine.

    Raises:
        StudyError: another study was launched under this name, it is running already, it keeps its records elsewhere, or no
            machine fits its trials.
        StoreError: the corpus is not prepared.
    """
    tags = _study_tags(study)
    check_unchanged(home, study)
    folder = home.study(study.name)
    kept = records_of(home, study.name)
    if kept is not None and store_uri not in (None, kept[0]):
        raise StudyError(f"study {study.name!r} keeps its records in {kept[0]}, not {store_uri}; leave --store out")
    pending = [sweep for sweep in study.sweeps if not (folder / sweep.name / COMPLETE).exists()]
    if not pending:
        return []
    with only_launch(home, study.name), _ray(address), _sigterm_is_ctrl_c():
        _check_resources(pending)
        keep_study(home, study)
        record = _open_record(study, home, store_uri, tags)
        TrialRecorder.record = record
        outcomes: list[SweepOutcome] = []
        try:
            for sweep in pending:
                outcomes.append(_run_sweep(sweep, folder, record))
                if outcomes[-1].left:
                    break
        finally:
            record.close(complete=len(outcomes) == len(pending) and not outcomes[-1].left)
    return outcomes


def _open_record(study: Study, home: Home, store_uri: str | None, tags: dict[str, str]) -> StudyRecord:
    """The study's record: the one it was launched with, or a new one."""
    kept = records_of(home, study.name)
    if kept is None:
        record = StudyRecord.create(store_uri or home.store_uri, study.name, tags, study_text(study))
        keep_records(home, study.name, store_uri, record.parent_run_id)
        return record
    record = StudyRecord(kept[0], study.name, kept[1])
    record.reopen()
    return record


def _run_sweep(sweep: Sweep, folder: Path, record: StudyRecord) -> SweepOutcome:
    path = folder / sweep.name
    trainable = tune.with_resources(
        tune.with_parameters(run_trial, common=sweep.common, sweep_folder=str(path)),
        {"cpu": sweep.resources.cpus, "gpu": sweep.resources.gpus},
    )
    if tune.Tuner.can_restore(str(path)):
        tuner = tune.Tuner.restore(str(path), trainable, resume_unfinished=True, resume_errored=True)
    else:
        tuner = _new_tuner(sweep, path, trainable)
    with _time_limit(sweep.budget.hours):
        tuner.fit()
    # Ray calls interrupted trials terminated too; the record knows which ones really ended.
    ended = [outcome for outcome in record.outcomes(sweep.name) if outcome is not None]
    finished, stopped, failed = (ended.count(outcome) for outcome in (names.FINISHED, names.STOPPED, names.FAILED))
    if finished + stopped >= sweep.runs:
        (path / COMPLETE).touch()
    return SweepOutcome(sweep.name, finished, stopped, failed, left=max(0, sweep.runs - len(ended)))


def _new_tuner(sweep: Sweep, path: Path, trainable: Any) -> tune.Tuner:
    epochs = sweep_epochs(sweep)
    searching = sweep.uses_optuna
    return tune.Tuner(
        trainable,
        param_space={} if searching else {POINT: tune.grid_search(sweep.points)},
        tune_config=tune.TuneConfig(
            search_alg=build_searcher(sweep, IS_LAST) if searching else None,
            scheduler=_scheduler(sweep),
            num_samples=sweep.runs if searching else 1,
            reuse_actors=True,
            trial_dirname_creator=lambda trial: trial.trial_id,
        ),
        run_config=tune.RunConfig(
            name=path.name,
            storage_path=str(path.parent),
            callbacks=[TrialRecorder(sweep, path), ProgressLine(sweep, epochs)],
            verbose=0,
        ),
    )


def _scheduler(sweep: Sweep) -> TrialScheduler:
    if not isinstance(sweep.scheduler, Asha):
        return FIFOScheduler()
    epochs = max(config.optim.epochs for config in _edge_configs(sweep))
    return ASHAScheduler(
        time_attr=RUNG_EPOCH,
        metric=sweep.objectives[0],
        mode="max",
        max_t=epochs,
        grace_period=max(1, math.floor(sweep.scheduler.grace * epochs)),
        reduction_factor=sweep.scheduler.reduction_factor,
    )


def sweep_epochs(sweep: Sweep) -> int:
    """Epochs of the sweep's longest trials."""
    return max(config.total_epochs for config in _edge_configs(sweep))


def _edge_configs(sweep: Sweep) -> list[Config]:
    return [build_config({**sweep.common, **point}) for point in edge_points(sweep.space)]


def _study_tags(study: Study) -> dict[str, str]:
    """What heads the study's record; opens every sweep's features, so that a missing corpus is refused before anything runs."""
    stores = [FeatureStore.open(Path(str(sweep.base.get("data.root", ""))), sweep.base["mode"]) for sweep in study.sweeps]
    return {
        names.QUESTION: study.question.strip(),
        names.PAPER_FOUND: study.paper_found.strip(),
        names.PROFILE: study.profile,
        names.DEPARTURES: study.departures,
        names.CORPUS: ", ".join(dict.fromkeys(store.metadata["corpus"] for store in stores)),
        names.CORPUS_IS_SYNTHETIC: str(any(store.metadata["is_synthetic"] for store in stores)).lower(),
    }


@contextmanager
def _ray(address: str | None) -> Iterator[None]:
    """A Ray session: of this process alone, or on the cluster at `address`."""
    if address is None:
        ray.init(address="local", include_dashboard=False, log_to_driver=False, logging_level=logging.ERROR)
    else:
        ray.init(address=address, log_to_driver=False, logging_level=logging.ERROR)
    # Failures of trials are shown in one line each; Ray's own loggers have their levels set by init.
    for name in ("ray", *(name for name in logging.root.manager.loggerDict if name.startswith("ray."))):
        logging.getLogger(name).setLevel(logging.CRITICAL)
    try:
        yield
    finally:
        ray.shutdown()


@contextmanager
def _sigterm_is_ctrl_c() -> Iterator[None]:
    """Ray takes a snapshot on SIGINT but not on SIGTERM, which batch systems send: treat both the same."""
    previous = signal.signal(signal.SIGTERM, lambda *_: os.kill(os.getpid(), signal.SIGINT))
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, previous)


def _check_resources(sweeps: list[Sweep]) -> None:
    """Ray would wait for ever for a machine that fits a trial.

    Raises:
        StudyError: no node has enough CPUs or GPUs.
    """
    nodes = [node["Resources"] for node in ray.nodes() if node["Alive"]]
    for sweep in sweeps:
        cpus, gpus = sweep.resources.cpus, sweep.resources.gpus
        if any(node.get("CPU", 0) >= cpus and node.get("GPU", 0) >= gpus for node in nodes):
            continue
        largest = max(nodes, key=lambda node: (node.get("GPU", 0), node.get("CPU", 0)))
        raise StudyError(
            f"a trial of {sweep.name} takes {cpus:g} CPUs and {gpus:g} GPUs, the largest machine has {largest.get('CPU', 0):g} "
            f"and {largest.get('GPU', 0):g}; pass --cpus and --gpus to `run`, or --profile mini for a small study on CPUs"
        )


@contextmanager
def _time_limit(hours: float | None) -> Iterator[None]:
    """Interrupt after `hours` as Ctrl-C does: what Ray stops by its own time budget, it never resumes."""
    if hours is None:
        yield
        return
    timer = threading.Timer(hours * 3600, os.kill, (os.getpid(), signal.SIGINT))
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()
