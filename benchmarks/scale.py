"""Where a sweep of 10 000 trials over 64 machines of 8 GPUs bends.

    python benchmarks/scale.py                                  # 1000 and 10 000 trials, random and tpe
    python benchmarks/scale.py --trials 1000 --search random    # one size
    python benchmarks/scale.py --store postgresql://…/mlflow    # MLflow's part with a server in the place of a SQLite file
    python benchmarks/scale.py --real 8                         # trials without work on a real Ray cluster of so many raylets

`run_sweep` runs as in a launch: Ray Tune's controller, ASHA, our callbacks, the journal, Optuna with its storage and the
progress line (as in a log file). Ray's workers are simulated (`simulated_cluster.py`), on a clock that does not wait, so a sweep of
days takes minutes and every second is the driver's. An epoch takes a simulated minute, trials have 10 to 50. Waiting for the disk
is measured before and then left out: on a busy one it would be most of the benchmark's time, and a shared one has another.

MLflow's thread is measured by itself, with the beginning of the journal that the sweep has left, in a process of its own; in a
launch both share one interpreter, so their seconds of the processor add up. A driver that takes `s` seconds for an event is
saturated by 512 slots with epochs of 512 · s; before, an event waits for s · rho / 2(1 - rho) (M/D/1: one server, a fixed time for
each). A sweep that --limit ends is shown as far as it came.
"""

import argparse
import importlib.metadata as metadata
import json
import os
import platform
import subprocess
import sys
import tempfile
from pathlib import Path

from study.execution import ray_session  # noqa: F401 (before ray: what Ray reads when it is imported)

# isort: split
from scale_phases import GPUS, MACHINES, PHASES, Figures, study_of

from study.state.home import Home

SIMULATED = ("sweep", "resume", "status", "mirror", "optuna")


def in_process(phase: str, home: Path, search: str, trials: int, limit: float) -> Figures:
    """A phase in a process of its own, so that memory is that of the phase."""
    home.mkdir(exist_ok=True)
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
    if searched := figures.get("optuna"):
        asked = ", ".join(f"{part} {own:.1f} ms" for part, own in searched.items())
        print(f"  Optuna with all {trials} trials over: {asked}")
    if written := figures.get("mirror"):
        calls, parts = written["calls"], written["parts"].items()
        kinds = ", ".join(f"{calls[part]} × {part} {own:.1f} ({clock:.1f} on the clock)" for part, (own, clock) in parts)
        print(f"  MLflow: {written['events']} events, {written['rate']:.0f} a second; ms a call: {kinds}", flush=True)


def wait(s: float, epoch: float) -> float:
    """Mean wait of an event, M/D/1, with all slots busy and epochs of so many seconds."""
    rho = MACHINES * GPUS * s / epoch
    return s * rho / (2 * (1 - rho))


def show_real(raylets: int, figures: Figures) -> None:
    """The run on a real cluster."""
    parts = sorted(figures["parts"].items(), key=lambda item: -item[1][0])
    print(f"\nreal, {raylets} raylets, {figures['trials']} trials without work: {figures['seconds']:.0f} s")
    print(f"  {figures['ms']:.2f} ms of the processor an event in all threads of the driver, MLflow's too; in its own thread:")
    print("  " + ", ".join(f"{part} {own:.3f} ({clock:.3f} on the clock)" for part, (own, clock) in parts if own > 0.005))
    print(f"  memory {figures['mib']:.0f} MiB, {1024 * figures['mib'] / figures['trials']:.0f} KiB a trial", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--trials", type=int, nargs="+", default=[1000, 10000])
    parser.add_argument("--search", nargs="+", default=["random", "tpe"])
    parser.add_argument("--limit", type=float, default=90.0, help="seconds for a sweep; what is done by then is shown")
    parser.add_argument("--store", default="", help="MLflow store in the place of a new SQLite file")
    parser.add_argument("--without-mlflow", action="store_true")
    parser.add_argument("--real", type=int, metavar="RAYLETS", help="run on a real cluster of so many raylets instead")
    parser.add_argument("--phase", choices=PHASES, help=argparse.SUPPRESS)
    parser.add_argument("--home", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.phase:
        study = study_of(options.search[0], options.trials[0])
        print("\n" + json.dumps(PHASES[options.phase](Home(options.home), study, options.limit)))
        return
    os.environ |= {"SCALE_STORE": options.store, "SCALE_RAYLETS": str(options.real)}
    versions = ", ".join(f"{name} {metadata.version(name)}" for name in ("ray", "optuna", "mlflow"))
    print(f"{platform.machine()}, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}")
    print(f"Python {platform.python_version()}, {versions}")
    for search in options.search:
        for trials in options.trials:
            with tempfile.TemporaryDirectory() as folder:
                if options.real:
                    show_real(options.real, in_process("real", Path(folder), search, trials, options.limit))
                    continue
                left_out = {"mirror" if options.without_mlflow else "", "optuna" if search == "random" else ""}
                phases = [phase for phase in SIMULATED if phase not in left_out]
                homes = {phase: Path(folder, "optuna" if phase == "optuna" else "sweep") for phase in phases}  # it fills its own
                show(search, trials, {phase: in_process(phase, homes[phase], search, trials, options.limit) for phase in phases})


if __name__ == "__main__":
    main()
