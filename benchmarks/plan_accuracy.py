"""How far the plan of a study is from its run: predicted and actual seconds, side by side.

    .venv/bin/python benchmarks/plan_accuracy.py HOME [--run]

For a trial of each sweep of a small study of both modes under the mini profile: the seconds that the plan extrapolates, and those
of `fit`, each in a process of its own with one thread. They are seconds of the processor, so that other work on the machine counts
less. With --run the study is planned and run instead, as a user would, in the folder HOME, which must not hold one of that name,
and compared on the wall clock: this says something on a machine that does nothing else.
"""

import multiprocessing
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any
from unittest import mock

import torch
import yaml

from acl.config import build_config
from acl.training import fit
from acl.training.timing import time_run

# Processes that measure import this file again, whose start counts: what they do not need is imported where it is used.
if TYPE_CHECKING:
    from study.planning.estimate import StudyPlan
    from study.state.home import Home

STUDY = {
    "name": "plan-accuracy",
    "question": "Is the plan of a study right?",
    "profile": "mini",
    "search": "grid",
    "sweeps": [
        {
            "name": "supervised",
            "base": {"mode": "supervised", "data.subset": "clean"},
            "space": {"loss.alpha": {"grid": [1.0, 0.5]}},
            "seeds": [0, 1],
        },
        {
            "name": "ssl",
            "base": {"mode": "self-supervised", "optim.epochs": 6, "finetune.on": ["clean"], "finetune.epochs": 3},
            "space": {"loss.alpha": {"grid": [1.0, 0.3]}},
        },
        {
            "name": "protocols",
            "base": {"mode": "self-supervised", "optim.epochs": 2, "probe.protocol": "published", "probe.epochs": 4},
            "seeds": [0, 1],
        },
    ],
}


def processor_seconds(settings: dict[str, Any]) -> tuple[float, float]:
    """Predicted and actual, of one run; in a fresh process."""
    torch.set_num_threads(1)
    torch.optim.SGD([torch.zeros(1)])  # the first optimiser of a process imports for seconds
    config = build_config(settings)
    with tempfile.TemporaryDirectory() as folder:
        with mock.patch.object(time, "perf_counter", time.process_time):
            predicted = time_run(config, seconds=8.0, folder=Path(folder)).seconds
        started = time.process_time()
        for _ in fit(config, Path(folder) / "fit"):
            pass
        return predicted, time.process_time() - started


def mean_trial_seconds(home: "Home", sweep: str) -> float:
    """Mean of the sums of `train.epoch_seconds`, over the sweep's trials."""
    import mlflow

    from study import names

    client = mlflow.MlflowClient(home.store_uri)
    experiment = client.get_experiment_by_name(names.EXPERIMENT)
    assert experiment is not None
    trials = client.search_runs([experiment.experiment_id], f"tags.`{names.SWEEP}` = '{sweep}' and tags.`{names.KIND}` = 'trial'")
    sums = [sum(metric.value for metric in client.get_metric_history(trial.info.run_id, names.EPOCH_SECONDS)) for trial in trials]
    return sum(sums) / len(sums)


def main() -> None:
    from study.cli.resolve import choose_study
    from study.machine import this_machine
    from study.planning.estimate import plan_study
    from study.state.home import Home

    home = Home(Path(sys.argv[1]))
    home.root.mkdir(parents=True, exist_ok=True)
    file = home.root / "plan-accuracy.yaml"
    file.write_text(yaml.safe_dump(STUDY), encoding="utf-8")
    study = choose_study(str(file), home)
    print(f"{'':28}{'predicted':>12}{'actual':>12}{'ratio':>8}")
    if sys.argv[2:] != ["--run"]:
        with multiprocessing.get_context("spawn").Pool(1, maxtasksperchild=1) as pool:
            for sweep in study.sweeps:
                row(f"{sweep.name}, processor", *pool.apply(processor_seconds, ({**sweep.common, **sweep.points[0]},)))
    else:
        plan = plan_study(study, home.root, this_machine(), progress=print)
        started = time.perf_counter()
        command = [sys.executable, "-m", "study.cli", "run", str(file), "--home", str(home.root)]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
        compare(plan, home, time.perf_counter() - started)


def compare(plan: "StudyPlan", home: "Home", wall_seconds: float) -> None:
    for sweep in plan.sweeps:
        (kind,) = sweep.kinds
        predicted = kind.cost.seconds - kind.cost.setup_seconds  # epochs are what trials report
        row(f"{sweep.sweep.name}, a trial", predicted, mean_trial_seconds(home, sweep.sweep.name))
    row("study, wall clock", plan.hours.expected * 3600, wall_seconds)
    print(f"a process that imports what a run needs starts in {max(sweep.start_seconds for sweep in plan.sweeps):.1f} s")


def row(what: str, predicted: float, actual: float) -> None:
    print(f"{what:28}{predicted:12.1f}{actual:12.1f}{predicted / actual:8.2f}", flush=True)


if __name__ == "__main__":
    main()
