"""Where a sweep of 10 000 trials over 64 machines of 8 GPUs bends.

    python benchmarks/scale.py                                  # 1000, 3000 and 10 000 trials, random and tpe; 15 minutes at most
    python benchmarks/scale.py --trials 1000 --search random    # one size
    python benchmarks/scale.py --store postgresql://…/mlflow    # MLflow's part with a server in the place of a SQLite file
    python benchmarks/scale.py --real 8                         # trials without work on a real Ray cluster of so many raylets

`run_sweep` runs as in a launch: Ray Tune's controller, ASHA, our callbacks, the journal, Optuna with its storage and the
progress line (as in a log file). Ray's workers are simulated (`simulated_cluster.py`), on a clock that does not wait, so a sweep of
days takes minutes and every second is the driver's. An epoch takes a simulated minute, trials have 10 to 50. Waiting for the disk is
measured before and then left out: on a busy disk it would be most of the benchmark's time, and a shared file system has another.

MLflow's thread is measured by itself, with the journal that the sweep has left, in a process of its own; in a launch both share one
interpreter, so their seconds of the processor add up. A driver that takes `s` seconds for an event is saturated by 512 slots with
epochs of 512 · s; before, an event waits for s · rho / 2(1 - rho) (M/D/1: one server, a fixed time for each).
"""

import argparse
import importlib.metadata as metadata
import itertools
import json
import logging
import os
import platform
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import study.ray_session  # noqa: F401 (before ray: what Ray reads when it is imported)
from study.home import Home
from study.journal import Journal
from study.launched import keep_study
from study.spec import Study

STUDY, SWEEP = "scale", "sweep"
MACHINES, GPUS = 64, 8
WINDOW = 2000  # events over which the driver's time is taken at the beginning and the end
MIRROR_SECONDS = 40.0
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
    import ray
    from driver_parts import Meter
    from ray.tune.execution import tune_controller
    from simulated_cluster import SimulatedActors

    from study.interruption import Interruption
    from study.sweep_run import run_sweep

    ray.init(address="local", num_cpus=1, include_dashboard=False, log_to_driver=False, logging_level=logging.ERROR)
    for name in [name for name in logging.root.manager.loggerDict if name.partition(".")[0] == "ray"]:
        logging.getLogger(name).setLevel(logging.CRITICAL)
    ray.nodes = lambda: [{"Alive": True, "Resources": {"CPU": 64.0, "GPU": float(GPUS)}}] * MACHINES
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
    run_sweep(sweep, folder, journal, interruption, lambda progress, event: None)
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
    from study.schedulers import build_scheduler, replay
    from study.searcher import Search

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
    from study.status import study_status

    began = time.process_time()
    study_status(home, study.name)
    return {"status": time.process_time() - began}


def mirror(home: Home, study: Study, limit: float) -> Figures:
    """What MLflow's thread takes for each kind of record, in `limit` seconds; all events wait, so it is as fast as it can be."""
    from uuid import uuid4

    from driver_parts import Meter

    from study.mirror import Mirror
    from study.records import StudyRecord

    folder, taken, meter = home.study(study.name), [0], Meter()
    journal = Journal(folder / SWEEP)
    write = Mirror._write

    def counted(self: Mirror, events: list[Any]) -> bool:
        taken[0] += len(events)
        return write(self, events) and time.perf_counter() - start < limit

    Mirror._write = meter.timed("mirror", counted)  # type: ignore[method-assign]
    for name in ("start_trial", "log_epochs", "finish_trial"):
        setattr(StudyRecord, name, meter.timed(name, getattr(StudyRecord, name)))
    record = StudyRecord(os.environ.get("SCALE_STORE") or home.store_uri, study.name, uuid4().hex)
    events, journal.events = journal.events, []
    mirror = Mirror(record, folder, {SWEEP: (study.sweeps[0], journal)}, lambda line: print(line, file=sys.stderr))
    start = time.perf_counter()
    for event in events:
        mirror.add(SWEEP, event)
    mirror._queue.put(None)
    mirror._thread.join()
    seconds = time.perf_counter() - start
    each = {part: [1000 * meter.processor[part] / calls, 1000 * meter.clock[part] / calls] for part, calls in meter.calls.items()}
    return {"events": taken[0], "of": len(events), "rate": taken[0] / seconds, "parts": each, "calls": meter.calls}


PHASES: dict[str, Callable[[Home, Study, float], Figures]] = {
    "sweep": simulate,
    "resume": resume,
    "status": status,
    "mirror": mirror,
}


def in_process(phase: str, home: Path, search: str, trials: int, limit: float) -> Figures:
    """A phase in a process of its own, so that memory is that of the phase."""
    command = [sys.executable, __file__, "--phase", phase, "--home", str(home), "--search", search]
    command += ["--trials", str(trials), "--limit", str(limit)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(done.stderr[-2000:])
    return dict(json.loads(done.stdout.splitlines()[-1]))


def show(search: str, trials: int, figures: dict[str, Figures]) -> None:
    """A size, in a few lines."""
    sweep, again = figures["sweep"], figures["resume"]
    s, slots = sweep["last_ms"] / 1000, MACHINES * GPUS
    print(f"\n{search}, {trials} trials: {sweep['trials']} in {sweep['seconds']:.0f} s, {sweep['events']} events")
    speeds = f"{sweep['first_ms']:.2f} at first, {sweep['last_ms']:.2f} at last"
    print(
        f"  driver: {sweep['ms']:.2f} ms of the processor an event; {speeds}; a flush to the disk takes {sweep['flush_ms']:.2f} ms"
    )
    parts = sorted(sweep["parts"].items(), key=lambda item: -item[1][0])
    print("  of it: " + ", ".join(f"{part} {own:.3f} ({clock:.3f} on the clock)" for part, (own, clock) in parts if own > 0.005))
    waits = ", ".join(f"{1000 * wait(s, length):.1f} ms with {length:.0f} s" for length in (10, 60, 300) if slots * s < length)
    print(f"  {1 / s:.0f} events a second at most: {slots} slots saturate it with epochs of {slots * s:.2f} s; waiting: {waits}")
    kib = 1024 * sweep["mib"] / sweep["trials"]
    print(f"  memory {sweep['mib']:.0f} MiB, {kib:.0f} KiB a trial (peak {sweep['peak_mib']:.0f} MiB in all)")
    print(
        f"  journal {sweep['journal_mib']:.0f} MiB; resume: {again['journal']:.1f} s to read it ({again['mib']:.0f} MiB), "
        f"Optuna {again['Optuna']:.1f} s, scheduler {again['scheduler']:.1f} s; status {figures['status']['status']:.1f} s"
    )
    if written := figures.get("mirror"):
        kinds = ", ".join(f"{part} {own:.1f} ({clock:.1f} on the clock)" for part, (own, clock) in written["parts"].items())
        print(
            f"  MLflow: {written['events']} of {written['of']} events, {written['rate']:.0f} a second; ms a call: {kinds}",
            flush=True,
        )


def wait(s: float, epoch: float) -> float:
    """Mean wait of an event, M/D/1, with all slots busy and epochs of so many seconds."""
    rho = MACHINES * GPUS * s / epoch
    return s * rho / (2 * (1 - rho))


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--trials", type=int, nargs="+", default=[1000, 3000, 10000])
    parser.add_argument("--search", nargs="+", default=["random", "tpe"])
    parser.add_argument("--limit", type=float, default=150.0, help="seconds for a sweep; what is done by then is shown")
    parser.add_argument("--store", default="", help="MLflow store in the place of a new SQLite file")
    parser.add_argument("--without-mlflow", action="store_true")
    parser.add_argument("--phase", choices=PHASES, help=argparse.SUPPRESS)
    parser.add_argument("--home", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.phase:
        study = study_of(options.search[0], options.trials[0])
        print("\n" + json.dumps(PHASES[options.phase](Home(options.home), study, options.limit)))
        return
    os.environ["SCALE_STORE"] = options.store
    versions = ", ".join(f"{name} {metadata.version(name)}" for name in ("ray", "optuna", "mlflow"))
    print(f"{platform.machine()}, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}")
    print(f"Python {platform.python_version()}, {versions}")
    for search in options.search:
        for trials in options.trials:
            with tempfile.TemporaryDirectory() as folder:
                phases = [phase for phase in PHASES if phase != "mirror" or not options.without_mlflow]
                limits = {phase: MIRROR_SECONDS if phase == "mirror" else options.limit for phase in phases}
                show(search, trials, {phase: in_process(phase, Path(folder), search, trials, limits[phase]) for phase in phases})


if __name__ == "__main__":
    main()
