"""Writes a study's records to MLflow: one parent run per study, one child run per trial. The only module that writes there.

Trial runs are found again by their tag, and steps already logged are skipped, so a resumed study continues its own runs.
"""

import json
import logging
import os
import re
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
os.environ.setdefault("GIT_PYTHON_REFRESH", "quiet")

import mlflow
from mlflow.entities import Metric, Param, Run, RunStatus, RunTag
from mlflow.utils.mlflow_tags import MLFLOW_GIT_COMMIT, MLFLOW_PARENT_RUN_ID, MLFLOW_RUN_NAME, MLFLOW_RUN_NOTE, MLFLOW_USER

from study import record_names as names

for _noisy in ("alembic", "mlflow.store.db.utils", "mlflow.tracking.fluent"):
    logging.getLogger(_noisy).setLevel(logging.ERROR)

SQLITE = "sqlite:///"
_EXPERIMENT_KIND = "mlflow.experimentKind"  # without it MLflow's page opens on its views of language models
_STATUS_OF_OUTCOME = {names.FINISHED: RunStatus.FINISHED, names.STOPPED: RunStatus.FINISHED, names.FAILED: RunStatus.FAILED}


@dataclass
class StudyRecord:
    """Records of one study.

    Attributes:
        store_uri: MLflow tracking store, e.g. `sqlite:////data/acl-runs/mlflow.db`.
        parent_run_id: of the study's run.
    """

    store_uri: str
    study: str
    parent_run_id: str
    _trial_runs: dict[str, str] = field(default_factory=dict, repr=False)
    _last_step: dict[str, int] = field(default_factory=dict, repr=False)
    _described: set[str] = field(default_factory=set, repr=False)  # trials whose provenance this launch has logged

    @classmethod
    def create(cls, store_uri: str, study: str, tags: Mapping[str, str], study_file: str) -> "StudyRecord":
        """New record of `study`, with `tags` and the text of its file as artifact.

        In a SQLite store the artifacts lie beside the database; a tracking server has its own place for them.
        """
        client = mlflow.MlflowClient(store_uri)
        experiment = client.get_experiment_by_name(names.EXPERIMENT)
        if experiment is None:
            database = Path(store_uri.removeprefix(SQLITE)) if store_uri.startswith(SQLITE) else None
            artifacts = (database.resolve().parent / "artifacts").as_uri() if database else None
            kind = {_EXPERIMENT_KIND: "custom_model_development"}
            experiment_id = client.create_experiment(names.EXPERIMENT, artifact_location=artifacts, tags=kind)
        else:
            experiment_id = experiment.experiment_id
        own = {names.KIND: names.KIND_STUDY, names.STUDY: study, MLFLOW_RUN_NAME: study, MLFLOW_USER: _user()}
        own[MLFLOW_RUN_NOTE] = tags.get(names.QUESTION, "")  # MLflow's page shows it as the run's description
        run = client.create_run(experiment_id, run_name=study, tags={**own, **tags})
        client.log_text(run.info.run_id, study_file, names.STUDY_FILE)
        return cls(store_uri, study, run.info.run_id)

    def reopen(self) -> None:
        """Mark the study's run as running again."""
        mlflow.MlflowClient(self.store_uri).update_run(self.parent_run_id, status=RunStatus.to_string(RunStatus.RUNNING))

    def knows(self, trial_id: str) -> bool:
        """Whether the trial has been started."""
        return trial_id in self._trial_runs

    def start_trial(self, trial_id: str, sweep: str, objective: str, settings: Mapping[str, Any]) -> None:
        """Create the trial's run, or find the one that an interrupted launch left."""
        client = mlflow.MlflowClient(self.store_uri)
        for existing in self._trials(client, f"tags.`{names.TRIAL_ID}` = '{trial_id}'"):
            self._continue_trial(client, existing, trial_id)
            return
        name = f"{sweep} {trial_id}"
        tags = {
            MLFLOW_PARENT_RUN_ID: self.parent_run_id,
            MLFLOW_RUN_NAME: name,
            MLFLOW_USER: _user(),
            names.KIND: names.KIND_TRIAL,
            names.STUDY: self.study,
            names.SWEEP: sweep,
            names.OBJECTIVE: objective,
            names.TRIAL_ID: trial_id,
        }
        experiment = client.get_run(self.parent_run_id).info.experiment_id
        run = client.create_run(experiment, run_name=name, tags=tags)
        client.log_batch(run.info.run_id, params=[Param(key, str(value)) for key, value in settings.items()])
        client.log_dict(run.info.run_id, dict(settings), names.CONFIG_FILE)
        self._trial_runs[trial_id] = run.info.run_id
        self._last_step[trial_id] = 0

    def _continue_trial(self, client: mlflow.MlflowClient, run: Run, trial_id: str) -> None:
        self._trial_runs[trial_id] = run.info.run_id
        history = client.get_metric_history(run.info.run_id, names.EPOCH_SECONDS)
        self._last_step[trial_id] = max((metric.step for metric in history), default=0)
        client.update_run(run.info.run_id, status=RunStatus.to_string(RunStatus.RUNNING))
        for tag in (names.OUTCOME, names.REASON):
            if tag in run.data.tags:
                client.delete_tag(run.info.run_id, tag)

    def log_epoch(self, trial_id: str, epoch: int, metrics: Mapping[str, float]) -> None:
        """Log an epoch's metrics as one batch; an epoch that is already there is left as it is."""
        if epoch <= self._last_step[trial_id]:
            return
        mlflow.MlflowClient(self.store_uri).log_batch(self._trial_runs[trial_id], metrics=_metrics(metrics, epoch))
        self._last_step[trial_id] = epoch

    def has_provenance(self, trial_id: str) -> bool:
        """Whether this launch has logged what the trial's numbers come from."""
        return trial_id in self._described

    def log_provenance(self, trial_id: str, launches: str) -> None:
        """Log what a trial's numbers come from, a JSON list of launches, as artifact and as tags."""
        client, run_id = mlflow.MlflowClient(self.store_uri), self._trial_runs[trial_id]
        client.log_text(run_id, launches, names.PROVENANCE_FILE)
        client.log_batch(run_id, tags=[RunTag(name, value) for name, value in provenance_tags(json.loads(launches)).items()])
        self._described.add(trial_id)

    def finish_trial(self, trial_id: str, outcome: str, *, predictions: str | None = None, reason: str | None = None) -> None:
        """Close the trial's run with its outcome, the predictions of its last epoch (CSV text) and the reason of a failure."""
        client = mlflow.MlflowClient(self.store_uri)
        run_id = self._trial_runs[trial_id]
        if predictions is not None:
            with tempfile.TemporaryDirectory() as folder:
                path = Path(folder, names.PREDICTIONS_FILE)
                path.write_text(predictions, encoding="utf-8")
                client.log_artifact(run_id, str(path))
        tags = [RunTag(names.OUTCOME, outcome)] + ([RunTag(names.REASON, reason)] if reason else [])
        client.log_batch(run_id, tags=tags)
        client.set_terminated(run_id, RunStatus.to_string(_STATUS_OF_OUTCOME[outcome]))

    def outcomes(self, sweep: str) -> list[str | None]:
        """Outcome of each trial of a sweep that was started; None for one that has not ended."""
        client = mlflow.MlflowClient(self.store_uri)
        return [run.data.tags.get(names.OUTCOME) for run in self._trials(client, f"tags.`{names.SWEEP}` = '{sweep}'")]

    def close(self, *, complete: bool) -> None:
        """End the study's run; an incomplete study, and its trials that have not ended, are KILLED until it is resumed."""
        client = mlflow.MlflowClient(self.store_uri)
        for run in self._trials(client, "attributes.status = 'RUNNING'"):
            client.set_terminated(run.info.run_id, RunStatus.to_string(RunStatus.KILLED))
        client.set_terminated(self.parent_run_id, RunStatus.to_string(RunStatus.FINISHED if complete else RunStatus.KILLED))

    def _trials(self, client: mlflow.MlflowClient, condition: str) -> list[Run]:
        """The study's trial runs that meet a condition."""
        experiment = client.get_run(self.parent_run_id).info.experiment_id
        condition = f"tags.`{MLFLOW_PARENT_RUN_ID}` = '{self.parent_run_id}' and {condition}"
        page = client.search_runs([experiment], condition, max_results=1000)
        found = list(page)
        while page.token:
            page = client.search_runs([experiment], condition, max_results=1000, page_token=page.token)
            found += page
        return found


def provenance_tags(launches: Sequence[Mapping[str, Any]]) -> dict[str, str]:
    """Tags of a trial; where launches differ, every value once, in their order."""
    values: dict[str, dict[str, None]] = {}
    for launch in launches:
        if "code" not in launch:  # an entry that could not be read
            continue
        code, hardware = launch["code"], launch["hardware"]
        gpu = f"{hardware['gpu']['name']} ({hardware['gpu']['memory_gib']} GiB)" if hardware["gpu"] else "no GPU"
        tags = {
            names.GIT_COMMIT: code["git_commit"] or f"none ({code['no_commit_because']})",
            names.GIT_DIRTY: "unknown" if code["git_dirty"] is None else str(code["git_dirty"]).lower(),
            names.VERSIONS: ", ".join(f"{name} {version}" for name, version in launch["versions"].items()),
            names.HARDWARE: f"{hardware['cpu']}, {hardware['cores']} cores, {hardware['memory_gib']} GiB, {gpu}",
            names.CORPUS_SHA256: launch["corpus_sha256"],
            names.FEATURES_SHA256: launch["features_sha256"],
        }
        if code["git_commit"]:
            tags[MLFLOW_GIT_COMMIT] = code["git_commit"]  # MLflow's own page shows it
        for name, value in tags.items():
            values.setdefault(name, {})[value] = None
    return {name: "; ".join(each) for name, each in values.items()}


def _metrics(values: Mapping[str, float], step: int) -> list[Metric]:
    """Metrics of an epoch under names without what MLflow refuses, e.g. the parentheses of Coin_(dropping)."""
    now = int(time.time() * 1000)
    allowed: dict[str, float] = {}
    for name, value in values.items():
        stem = re.sub(r"[^\w.\- :]+", "", name)
        number = 1
        while (unique := stem if number == 1 else f"{stem} {number}") in allowed:  # two classes that differ in such signs only
            number += 1
        allowed[unique] = float(value)
    return [Metric(name, value, now, step) for name, value in allowed.items()]


def _user() -> str:
    return os.environ.get("USER") or os.environ.get("LOGNAME") or "unknown"
