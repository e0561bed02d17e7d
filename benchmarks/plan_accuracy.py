"""How far the plan of a study is from its run: predicted and actual seconds, side by side.

    .venv/bin/python benchmarks/plan_accuracy.py HOME

Plans and then runs a small study of both modes under the mini profile, as a user would, in the folder HOME, which must not hold a study
of that name. "Trials" are the mean seconds of a sweep's trials, as their epochs report them (setting up is not in them); "study" is
the time of the whole command on the wall clock.
"""

import subprocess
import sys
import time
from pathlib import Path

import mlflow
import yaml

from study import record_names as names
from study.commands import choose_study
from study.home import Home
from study.machine import this_machine
from study.plan import StudyPlan, plan_study

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


def mean_trial_seconds(home: Home, sweep: str) -> float:
    """Mean of the sums of `train.epoch_seconds`, over the sweep's trials."""
    client = mlflow.MlflowClient(home.store_uri)
    experiment = client.get_experiment_by_name(names.EXPERIMENT)
    assert experiment is not None
    trials = client.search_runs([experiment.experiment_id], f"tags.`{names.SWEEP}` = '{sweep}' and tags.`{names.KIND}` = 'trial'")
    sums = [sum(metric.value for metric in client.get_metric_history(trial.info.run_id, names.EPOCH_SECONDS)) for trial in trials]
    return sum(sums) / len(sums)


def compare(plan: StudyPlan, home: Home, wall_seconds: float) -> None:
    print(f"{plan.machine.words}\n{'':28}{'predicted':>12}{'actual':>12}{'ratio':>8}")
    for sweep in plan.sweeps:
        (kind,) = sweep.kinds
        row(
            f"{sweep.sweep.name}, seconds a trial",
            kind.cost.seconds - kind.cost.setup_seconds,
            mean_trial_seconds(home, sweep.sweep.name),
        )
    row("study, seconds", plan.hours[1] * 3600, wall_seconds)


def row(what: str, predicted: float, actual: float) -> None:
    print(f"{what:28}{predicted:12.1f}{actual:12.1f}{predicted / actual:8.2f}")


def main() -> None:
    home = Home(Path(sys.argv[1]))
    home.root.mkdir(parents=True, exist_ok=True)
    file = home.root / "plan-accuracy.yaml"
    file.write_text(yaml.safe_dump(STUDY), encoding="utf-8")
    study = choose_study(str(file), home)
    started = time.perf_counter()
    plan = plan_study(study, home.root, this_machine(), progress=print)
    print(f"planned in {time.perf_counter() - started:.0f} s")
    started = time.perf_counter()
    subprocess.run(
        [sys.executable, "-m", "study.cli", "run", str(file), "--home", str(home.root)], check=True, stdout=subprocess.DEVNULL
    )
    compare(plan, home, time.perf_counter() - started)


if __name__ == "__main__":
    main()
