"""The command line as a user starts it, and the records that it leaves, for tests of whole studies."""

import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import mlflow
import pytest
from mlflow.entities import Run

from preloaded import Command
from study import names
from study.cli import app as cli

SMOKE = Path(__file__).parent / "study" / "smoke.yaml"


def acl_study(*arguments: object, wait: bool = True, env: Mapping[str, str] | None = None, folder: Path | None = None) -> Command:
    """Run the command line in a process group of its own, whose libraries are imported already.

    Args:
        arguments: of the command line.
        wait: until it ends.
        env: on top of this process's variables.
        folder: to run it in, by default the current one.
    """
    process = Command([*map(str, arguments)], os.environ | {"COLUMNS": "150"} | dict(env or {}), folder or Path.cwd())
    if wait:
        process.communicate()
    return process


def fresh_acl_study(*arguments: object, env: Mapping[str, str] | None = None) -> subprocess.Popen[str]:
    """Start the command line as a shell does: for variables that matter while Python starts, and output that is read meanwhile."""
    return subprocess.Popen(
        [sys.executable, "-m", "study.cli.app", *map(str, arguments)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        env=os.environ | {"COLUMNS": "150"} | dict(env or {}),
    )


def call(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> int:
    """The command line in this process; returns its exit status."""
    monkeypatch.setattr(sys, "argv", ["acl-study", *arguments])
    with pytest.raises(SystemExit) as stop:
        cli.main()
    assert isinstance(stop.value.code, int)
    return stop.value.code


def store(home: Path) -> str:
    return f"sqlite:///{home / 'mlflow.db'}"


def runs(home: Path, kind: str, store_uri: str | None = None, study: str | None = None) -> list[Run]:
    """All runs of one kind in the records of `home`, or in another store; of one study, if it is named."""
    client = mlflow.MlflowClient(store_uri or store(home))
    experiment = client.get_experiment_by_name(names.EXPERIMENT)
    if experiment is None:
        return []
    condition = f"tags.`{names.KIND}` = '{kind}'" + ("" if study is None else f" and tags.`{names.STUDY}` = '{study}'")
    return list(client.search_runs([experiment.experiment_id], condition, max_results=200))


def epochs_logged(home: Path, run: Run) -> list[int]:
    history = mlflow.MlflowClient(store(home)).get_metric_history(run.info.run_id, names.TRAIN_LOSS)
    return sorted(metric.step for metric in history)
