"""What `scale.py` measures, each in a process of its own."""

import itertools
import logging
import os
import random
import resource
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any
from uuid import uuid4

import ray
import sweep_overhead
from driver_parts import Meter
from ray.cluster_utils import Cluster
from ray.tune.execution import tune_controller
from simulated_cluster import SimulatedActors

from acl.data.synthetic.corpus import write_synthetic_corpus
from acl.store.prepare import prepare
from study import names
from study.execution import launch as launch_module
from study.execution import sweep as sweep_run
from study.execution.interruption import Interruption
from study.execution.launch import launch
from study.execution.preflight import preflight
from study.execution.sweep import SweepContext, run_sweep
from study.results.status import study_status
from study.search.optuna import Search
from study.search.schedulers import build_scheduler, replay
from study.spec.resolve import resolve_study
from study.spec.study import Study
from study.state import journal as events
from study.state.home import Home
from study.state.journal import Journal
from study.state.study_folder import keep_study
from study.tracking.mirror import _MOST_EVENTS, Mirror
from study.tracking.writer import StudyRecord

STUDY, SWEEP = "scale", "sweep"
MACHINES, GPUS = 64, 8
WINDOW = 2000  # events over which the driver's time is taken at the beginning and the end
ASKED = 20  # trials
Figures = dict[str, Any]


def study_of(search: str, trials: int) -> Study:
    """A study with one sweep."""
    space = {"loss.alpha": {"uniform": [0.1, 0.9]}, "loss.margin": {"uniform": [0.1, 1.0]}}
    sweep = {
        "name": SWEEP,
        "base": {"mode": "supervised", "data.root": "/corpus"},
        "space": {**space, "optim.epochs": {"choice": [10, 20, 30, 40, 50]}},
        "search": search,
        "scheduler": {"name": "asha", "grace": 0.2},
        "budget": {"trials": trials},
        "resources": {"cpus": 2, "gpus": 1},
    }
    return Study.model_validate({"name": STUDY, "question": "Where does it bend?", "sweeps": [sweep]})


def resident_mib() -> float:
    """Resident memory of this process."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize() / 2**20


def flush_ms(folder: Path) -> float:
    """Median milliseconds until a line is on the disk."""
    taken = []
    with (folder / "flushed").open("ab", buffering=0) as file:
        for _ in range(200):
            file.write(b"x" * 500)
            began = time.perf_counter()
            os.fsync(file.fileno())
            taken.append(1000 * (time.perf_counter() - began))
    return statistics.median(taken)


def simulate(home: Home, study: Study, limit: float) -> Figures:
    """Run the sweep on the simulated cluster, `limit` seconds at most."""
    ray.init(address="local", num_cpus=1, include_dashboard=False, log_to_driver=False, logging_level=logging.ERROR)
    for name in [name for name in logging.root.manager.loggerDict if name.partition(".")[0] == "ray"]:
        logging.getLogger(name).setLevel(logging.CRITICAL)
    names = {"NodeID": "", "NodeManagerHostname": "", "NodeManagerAddress": ""}
    ray.nodes = lambda: [{**names, "Alive": True, "Resources": {"CPU": 64.0, "GPU": float(GPUS)}}] * MACHINES
    tune_controller.RayActorManager = SimulatedActors
    keep_study(home, study)
    flush = flush_ms(home.root)
    os.fsync = lambda file: None
    sweep, folder = study.sweeps[0], home.study(study.name) / SWEEP
    journal, interruption, meter = Journal(folder), Interruption("resume"), Meter()
    meter.watch()
    marks: list[tuple[int, float]] = [(0, time.thread_time())]
    began, before = time.perf_counter(), resident_mib()
    began_processor, last = time.thread_time(), [None]

    def mark(actors: Any) -> None:
        last[0] = actors
        if actors.events % WINDOW == 0:
            marks.append((actors.events, time.thread_time() - actors.own_seconds))
            if time.perf_counter() - began > limit:
                interruption.request("time is up")

    SimulatedActors.on_event = staticmethod(mark)
    run_sweep(sweep, SweepContext(folder), journal, interruption, lambda progress, event: None)
    actors: Any = last[0]
    processor = time.thread_time() - began_processor - actors.own_seconds
    speeds = [1000 * (late[1] - early[1]) / WINDOW for early, late in itertools.pairwise(marks)] or [0.0]
    parts = {part: [1000 * meter.processor[part] / actors.events, 1000 * meter.clock[part] / actors.events] for part in meter.clock}
    others = 1000 * processor / actors.events - sum(own for own, _ in parts.values())
    return {
        "trials": len(journal.trials),
        "events": actors.events,
        "hours": actors.clock / 3600,
        "seconds": time.perf_counter() - began,
        "ms": 1000 * processor / actors.events,
        "first_ms": speeds[1 if len(speeds) > 2 else 0],
        "last_ms": speeds[-2 if len(speeds) > 2 else -1],
        "parts": {**parts, "Ray's controller": [others, others]},
        "flush_ms": flush,
        "mib": resident_mib() - before,
        "peak_mib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
        "journal_mib": journal.path.stat().st_size / 2**20,
    }


def resume(home: Home, study: Study, limit: float) -> Figures:
    """What a new launch does before its first trial goes on: seconds for the journal, Optuna and the scheduler."""
    sweep, folder, before = study.sweeps[0], home.study(study.name) / SWEEP, resident_mib()
    begun = [time.process_time()]
    journal = Journal(folder)
    begun.append(time.process_time())
    mib = resident_mib() - before
    if sweep.uses_optuna:
        Search(sweep, folder, journal)
    begun.append(time.process_time())
    replay(build_scheduler(sweep, folder, lambda *change: None), journal, {})
    begun.append(time.process_time())
    read, opened, replayed = (late - early for early, late in itertools.pairwise(begun))
    return {"journal": read, "Optuna": opened, "scheduler": replayed, "mib": mib}


def status(home: Home, study: Study, limit: float) -> Figures:
    """What `acl-study status` takes."""
    began = time.process_time()
    study_status(home, study.name)
    return {"status": time.process_time() - began}


def mirror(home: Home, study: Study, limit: float) -> Figures:
    """What MLflow's thread takes for each kind of record. All events wait, as many as it takes together: its greatest speed."""
    folder, meter = home.study(study.name), Meter()
    for name in ("start_trial", "log_epochs", "finish_trial"):
        setattr(StudyRecord, name, meter.timed(name, getattr(StudyRecord, name)))
    journal = Journal(folder / SWEEP)
    waiting, journal.events = journal.events[:_MOST_EVENTS], []
    record = StudyRecord(os.environ.get("SCALE_STORE") or home.store_uri, study.name, uuid4().hex)
    mirror = Mirror(record, folder, {SWEEP: (study.sweeps[0], journal)}, lambda line: print(line, file=sys.stderr))
    start = time.perf_counter()
    for event in waiting:
        mirror.add(SWEEP, event)
    mirror._queue.put(None)
    mirror._thread.join()
    seconds = time.perf_counter() - start
    each = {part: [1000 * meter.processor[part] / calls, 1000 * meter.clock[part] / calls] for part, calls in meter.calls.items()}
    return {"events": len(waiting), "rate": len(waiting) / seconds, "parts": each, "calls": meter.calls}


def optuna(home: Home, study: Study, limit: float) -> Figures:
    """What Optuna takes once the sweep has so many trials that are over: milliseconds to ask, report and tell."""
    os.fsync = lambda file: None
    sweep, folder, drawn = study.sweeps[0], home.study(study.name) / SWEEP, random.Random(0)
    more = sweep.model_copy(update={"budget": sweep.budget.model_copy(update={"trials": sweep.runs + ASKED})})
    journal = Journal(folder)
    for number in range(sweep.runs):
        trial, epochs = sweep.trial_name(number), drawn.choice([10, 30])
        point = {"loss.alpha": drawn.uniform(0.1, 0.9), "loss.margin": drawn.uniform(0.1, 1.0), "optim.epochs": 30}
        journal.append(events.TRIAL, trial=trial, number=number, point=point)
        for epoch in range(1, epochs + 1):
            metrics = {names.VAL_ACCURACY: drawn.random()}
            journal.append(events.EPOCH, trial=trial, epoch=epoch, is_last=epoch == 30, rung=True, metrics=metrics)
        journal.append(events.END, trial=trial, outcome=names.FINISHED if epochs == 30 else names.STOPPED, reason=None)
    meter = Meter()
    search = meter.timed("open", Search)(more, folder, journal)
    for _ in range(ASKED):
        new = meter.timed("ask", search.next_point)()
        trial = sweep.trial_name(new[0])
        journal.append(events.TRIAL, trial=trial, number=new[0], point=new[1])
        meter.timed("report", search.report)(trial, 1, {names.VAL_ACCURACY: 0.5})
        journal.append(events.END, trial=trial, outcome=names.STOPPED, reason=None)
        meter.timed("tell", search.tell)(trial)
    return {part: 1000 * meter.processor[part] / meter.calls[part] for part in meter.calls}


def real(home: Home, study: Study, limit: float) -> Figures:
    """Trials without work on a Ray cluster of this machine, with one worker on each of `SCALE_RAYLETS` raylets."""
    trials, corpus = study.sweeps[0].runs, home.root / "corpus"
    write_synthetic_corpus(corpus, "tiny", 0)
    prepare(corpus)
    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 1, "include_dashboard": False})
    for _ in range(int(os.environ["SCALE_RAYLETS"]) - 1):
        cluster.add_node(num_cpus=1)
    sweep_run.run_trial = sweep_overhead.trivial
    meter = Meter()
    meter.watch()
    sweep_run.run_sweep = launch_module.run_sweep = meter.timed("Ray's controller", run_sweep)  # what the parts leave of it
    content = sweep_overhead.study_of(study.sweeps[0].search, trials) | {"resources": {"cpus": 1, "gpus": 0}}
    before, began, processor = resident_mib(), time.perf_counter(), time.process_time()
    real_study = resolve_study(content, None, {"data.root": str(corpus)})
    outcome = launch(preflight(real_study, home, address=cluster.address))
    seconds, processor = time.perf_counter() - began, time.process_time() - processor
    assert not outcome.left
    reports = trials * (sweep_overhead.EPOCHS + 1)
    parts = {part: [1000 * meter.processor[part] / reports, 1000 * meter.clock[part] / reports] for part in meter.clock}
    all_threads = 1000 * processor / reports
    return {"trials": trials, "seconds": seconds, "parts": parts, "ms": all_threads, "mib": resident_mib() - before}


PHASES: dict[str, Callable[[Home, Study, float], Figures]] = {
    "sweep": simulate,
    "resume": resume,
    "status": status,
    "mirror": mirror,
    "optuna": optuna,
    "real": real,
}
