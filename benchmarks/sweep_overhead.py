"""What the engine costs: trials that train nothing, through Ray, the journal, Optuna and MLflow.

    python benchmarks/sweep_overhead.py --trials 200 --search random
    python benchmarks/sweep_overhead.py --trials 200 --search tpe

Prints the seconds a trial takes above its work (which is none), the driver's memory growth per trial, and how long MLflow's thread
was busy. `--real` also runs a study of real trials (mini profile on its synthetic corpus) and prints MLflow's share of their time.
"""

import argparse
import os
import platform
import resource
import tempfile
import time
from pathlib import Path
from typing import Any

from acl.data.synthetic.corpus import write_synthetic_corpus
from acl.store.prepare import prepare
from study.execution import sweep as sweep_run
from study.execution.launch import launch
from study.execution.preflight import preflight
from study.spec.resolve import resolve_study
from study.state.home import Home
from study.state.journal import Journal
from study.tracking.mirror import Mirror

EPOCHS = 3
BUSY = [0.0]


def trivial(ray_config: dict[str, Any], **_: Any) -> None:
    """A trial without work: as many reports, with as many metrics, as a short supervised run."""
    from ray import tune

    for epoch in range(1, EPOCHS + 1):
        metrics = {f"train.metric_{number}": 0.1 * epoch for number in range(12)}
        accuracy = 1 - (ray_config["point"]["loss.alpha"] - 0.4) ** 2
        tune.report({**metrics, "val.accuracy": accuracy, "train.epoch_seconds": 0.0, "epoch": epoch, "is_last": epoch == EPOCHS})


def timed(write: Any) -> Any:
    """`write` of a mirror, with its time added up."""

    def writing(self: Mirror, *args: Any) -> Any:
        begin = time.perf_counter()
        try:
            return write(self, *args)
        finally:
            BUSY[0] += time.perf_counter() - begin

    return writing


def resident_mib() -> float:
    """Resident memory of this process."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * resource.getpagesize() / 2**20


def run(content: dict[str, Any], corpus: Path, home: Path) -> tuple[float, float, float]:
    """Seconds of a launch, MiB that the driver grew, seconds that MLflow's thread was busy."""
    BUSY[0] = 0.0
    before, begin = resident_mib(), time.perf_counter()
    outcome = launch(preflight(resolve_study(content, None, {"data.root": str(corpus)}), Home(home)))
    assert not outcome.left
    assert not outcome.failed
    assert outcome.recorded
    return time.perf_counter() - begin, resident_mib() - before, BUSY[0]


def study_of(search: str, trials: int) -> dict[str, Any]:
    """A study with one sweep over alpha and margin."""
    return {
        "name": f"{search}-{trials}",
        "question": "What does the engine cost?",
        "base": {"mode": "supervised", "data.subset": "clean", "optim.epochs": EPOCHS},
        "space": {"loss.alpha": {"uniform": [0.1, 0.9]}, "loss.margin": {"uniform": [0.1, 1.0]}},
        "search": search,
        "budget": {"trials": trials},
    }


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--trials", type=int, default=200)
    parser.add_argument("--search", default="random")
    parser.add_argument("--real", action="store_true")
    options = parser.parse_args()
    Mirror._write = timed(Mirror._write)  # type: ignore[method-assign]
    print(f"{platform.processor() or platform.machine()}, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}")
    with tempfile.TemporaryDirectory() as folder:
        corpus = Path(folder, "corpus")
        write_synthetic_corpus(corpus, "tiny", 0)
        prepare(corpus)
        if options.real:
            content = {**study_of("random", 4), "profile": "mini"}
            content["base"] = {"mode": "supervised", "data.subset": "clean"}
            write_synthetic_corpus(Path(folder, "small"), "small", 0)
            prepare(Path(folder, "small"))
            seconds, _, busy = run(content, Path(folder, "small"), Path(folder, "real"))
            journal = Journal(Path(folder, "real", "studies", content["name"], "sweep"))
            trained = sum(event["metrics"]["train.epoch_seconds"] for event in journal.events if event["event"] == "epoch")
            print(
                f"4 real trials: {seconds:.1f} s, {trained:.1f} s of training; MLflow busy {busy:.2f} s, "
                f"{100 * busy / trained:.1f} % of the training"
            )
        real, sweep_run.run_trial = sweep_run.run_trial, trivial
        start, _, _ = run(study_of(options.search, 2), corpus, Path(folder, "start"))
        seconds, grown, busy = run(study_of(options.search, options.trials), corpus, Path(folder, "home"))
        sweep_run.run_trial = real
    each = (seconds - start) / (options.trials - 2)
    print(f"{options.search}, {options.trials} trials of {EPOCHS} epochs: {seconds:.1f} s, a launch of 2 trials {start:.1f} s")
    print(f"per further trial {each:.3f} s; driver {grown:.0f} MiB = {1024 * grown / options.trials:.0f} KiB a trial")
    print(f"MLflow's thread busy {busy:.1f} s = {1000 * busy / options.trials:.0f} ms a trial")


if __name__ == "__main__":
    main()
