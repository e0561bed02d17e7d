"""Trials as a record starts them, and their runs as MLflow alone reads them."""

from pathlib import Path

import mlflow
from mlflow.entities import Run

from study import names
from study.spec.sweep import Sweep
from study.tracking.writer import StudyRecord

SWEEP = Sweep.model_validate({"name": "sweep", "base": {"mode": "supervised"}, "space": {"loss.alpha": {"grid": [0.5]}}})
SETTINGS = {"mode": "supervised", "loss.alpha": 0.5, "seed": 0}
PREDICTIONS = "split,clip,label,predicted,patches\nval,1.wav,Rain,Wind,3\n"


def start(record: StudyRecord, *trial_ids: str) -> None:
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


def losses(record: StudyRecord, trial_id: str) -> list[tuple[int, float]]:
    """(epoch, train.loss) of a trial as logged."""
    run_id = trial_runs(record)[trial_id].info.run_id
    history = mlflow.MlflowClient(record.store_uri).get_metric_history(run_id, names.TRAIN_LOSS)
    return [(metric.step, metric.value) for metric in history]


def artifact(record: StudyRecord, run_id: str, name: str) -> str:
    path = mlflow.artifacts.download_artifacts(run_id=run_id, artifact_path=name, tracking_uri=record.store_uri)
    return Path(path).read_text()
