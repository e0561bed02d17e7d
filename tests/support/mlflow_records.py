"""MLflow stores and records of studies: an empty store, records as a launch opens them, and what MLflow alone reads of them."""

import atexit
import os
import shutil
import tempfile
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any
from uuid import uuid4

import mlflow
from mlflow import MlflowClient
from mlflow.entities import Run

from study import names
from study.spec.sweep import Sweep
from study.tracking.writer import StudyRecord

SWEEP = Sweep.model_validate({"name": "sweep", "base": {"mode": "supervised"}, "space": {"loss.alpha": {"grid": [0.5]}}})
SETTINGS = {"mode": "supervised", "loss.alpha": 0.5, "seed": 0}
PREDICTIONS = "split,clip,label,predicted,patches\nval,1.wav,Rain,Wind,3\n"


def with_empty_store(home: Path) -> Path:
    """The folder, made if absent, with an empty store in it."""
    home.mkdir(parents=True, exist_ok=True)
    shutil.copy(_empty_store(), home / "mlflow.db")
    return home


@cache
def _empty_store() -> Path:
    path = Path(tempfile.gettempdir(), f"acl-study-tests-{os.getpid()}.db")
    path.unlink(missing_ok=True)  # of an earlier process of this number
    atexit.register(path.unlink, missing_ok=True)
    MlflowClient(f"sqlite:///{path}").search_experiments()
    return path


def store(home: Path) -> str:
    """Address of the store in a home folder."""
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
    """Epochs of a trial that have a training loss, in order."""
    history = mlflow.MlflowClient(store(home)).get_metric_history(run.info.run_id, names.recorded(names.TRAIN_LOSS))
    return sorted(metric.step for metric in history)


def new_record(store_uri: str, study: str, tags: Mapping[str, str] | None = None, study_file: str = "") -> StudyRecord:
    """The record of a study's first launch."""
    record = StudyRecord(store_uri, study, uuid4().hex, tags or {}, study_file)
    record.open()
    return record


def reopened(record: StudyRecord) -> StudyRecord:
    """The record as another process opens it, with nothing remembered."""
    resumed = StudyRecord(record.store_uri, record.study, record.key, record.tags, record.study_file)
    resumed.open()
    return resumed


def start_trials(record: StudyRecord, *trial_ids: str) -> None:
    """Start trials in the record, all with `SETTINGS`."""
    for trial_id in trial_ids:
        record.start_trial(trial_id, SWEEP, SETTINGS)


def trial_runs(record: StudyRecord) -> dict[str, Run]:
    """Trial runs of a study by trial id, read with MLflow alone."""
    client = mlflow.MlflowClient(record.store_uri)
    experiment = client.get_experiment_by_name(names.EXPERIMENT)
    assert experiment is not None
    found = client.search_runs([experiment.experiment_id], f"tags.`mlflow.parentRunId` = '{record.parent_run_id}'")
    by_id = {run.data.tags[names.TRIAL_ID]: run for run in found}
    assert len(by_id) == len(found)
    return by_id


def logged_losses(record: StudyRecord, trial_id: str) -> list[tuple[int, float]]:
    """(epoch, train.loss) of a trial as logged."""
    run_id = trial_runs(record)[trial_id].info.run_id
    history = mlflow.MlflowClient(record.store_uri).get_metric_history(run_id, names.recorded(names.TRAIN_LOSS))
    return [(metric.step, metric.value) for metric in history]


def artifact_text(record: StudyRecord, run_id: str, name: str) -> str:
    """Content of a text file of a run."""
    path = mlflow.artifacts.download_artifacts(run_id=run_id, artifact_path=name, tracking_uri=record.store_uri)
    return Path(path).read_text()


def records_by_run_name(store_uri: str, study: str) -> dict[str, Any]:
    """Everything of a study by the names of its runs: times, values with theirs, the text of files; nothing may be there twice."""
    client = mlflow.MlflowClient(store_uri)
    kinds = (names.KIND_STUDY, names.KIND_SETTING, names.KIND_TRIAL)
    found = [run for kind in kinds for run in runs(Path(), kind, store_uri, study)]
    name_of = {run.info.run_id: run.info.run_name for run in found}
    assert len(set(name_of.values())) == len(found)
    content = {}
    for run in found:
        tags = {key: value for key, value in run.data.tags.items() if key != names.WINNERS}
        for key in ("mlflow.parentRunId", names.STUDY_RUN):
            if key in tags:
                tags[key] = name_of[tags[key]]
        history = {
            name: sorted((point.step, point.value, point.timestamp) for point in client.get_metric_history(run.info.run_id, name))
            for name in run.data.metrics
        }
        files = {
            file.path: mlflow.artifacts.download_artifacts(run_id=run.info.run_id, artifact_path=file.path, tracking_uri=store_uri)
            for file in client.list_artifacts(run.info.run_id)
            if not file.is_dir
        }
        texts = {name: Path(path).read_text() for name, path in files.items()}
        info = run.info
        began = (
            None if run.data.tags[names.KIND] == names.KIND_STUDY else info.start_time
        )  # at a first launch before its first event
        content[info.run_name] = (info.status, began, info.end_time, tags, run.data.params, history, texts)
    return content
