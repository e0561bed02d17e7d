"""Records of a study in MLflow: a run of the study, its trials below it, and between them a run of each setting with seeds.

Trial runs are found again by their tag, and steps already logged are skipped, so a resumed study continues its own runs, and
whatever is written twice is there once.
"""

import hashlib
import json
import re
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import mlflow
from mlflow.entities import Metric, Param, Run, RunStatus, RunTag, SourceType
from mlflow.utils.mlflow_tags import (
    MLFLOW_PARENT_RUN_ID,
    MLFLOW_RUN_NAME,
    MLFLOW_RUN_NOTE,
    MLFLOW_SOURCE_NAME,
    MLFLOW_SOURCE_TYPE,
    MLFLOW_USER,
)

from acl.system.text import parse_json
from study import names
from study.errors import RecordError
from study.spec.space import Point
from study.spec.sweep import Sweep
from study.state.seeds import SEED, setting_of_row
from study.tracking.run_names import setting_name, trial_name
from study.tracking.store import experiment_of, milliseconds, runs_of_study, translate_mlflow_errors, user


class SettingRecords:
    """The setting runs of one study, found again by sweep and setting; whatever is written twice is there once."""

    def __init__(self) -> None:
        self._runs: dict[tuple[str, str], str] = {}  # sweep and setting -> run
        self._whole: set[str] = set()  # runs that have their parameters

    def remember(self, run: Run) -> None:
        """Take up a run that an earlier launch has made."""
        self._runs[run.data.tags[names.SWEEP], run.data.tags[names.SETTING]] = run.info.run_id

    def start(
        self,
        client: mlflow.MlflowClient,
        experiment: str,
        tags: Mapping[str, str],
        sweep: Sweep,
        settings: Mapping[str, Any],
        at: float | None,
    ) -> str:
        """Have the setting's run say that it runs, and make it where there is none; returns its id.

        Args:
            client: of the store.
            experiment: that a new run belongs to.
            tags: of a new run, beside its own.
            sweep: that the setting belongs to.
            settings: all settings of a trial that repeats it, by dotted name.
            at: when the trial began, Unix seconds; None: now.
        """
        key = _key(sweep, settings)
        if key in self._runs:
            client.update_run(self._runs[key], status=RunStatus.to_string(RunStatus.RUNNING))
        else:
            name = setting_name(sweep, settings)
            own = {MLFLOW_RUN_NAME: name, names.KIND: names.KIND_SETTING, names.SETTING: key[1]}
            self._runs[key] = client.create_run(experiment, milliseconds(at), {**tags, **own}, name).info.run_id
        run_id = self._runs[key]
        if run_id not in self._whole:  # a launch that was killed may have made the run only
            known = client.get_run(run_id).data.params
            missing = {name: value for name, value in settings.items() if name != SEED and name not in known}
            client.log_batch(run_id, params=[Param(name, str(value)) for name, value in missing.items()])
            self._whole.add(run_id)
        return run_id

    def update(
        self,
        client: mlflow.MlflowClient,
        sweep: Sweep,
        settings: Mapping[str, Any],
        figures: Mapping[str, float],
        *,
        is_over: bool,
        at: float | None,
    ) -> None:
        """Log the figures that have changed, at the number of finished seeds as step, and whether all seeds are over.

        Args:
            client: of the store.
            sweep: that the setting belongs to.
            settings: all settings of a trial that repeats it, by dotted name.
            figures: of `study.state.seeds.Setting.figures`.
            is_over: whether no seed is left; the run has failed if none of them has finished.
            at: when the last of them ended, Unix seconds; None: now.
        """
        key = _key(sweep, settings)
        if key not in self._runs:
            raise RecordError(f"the setting {key[1]} has no run in the store any more")
        run_id = self._runs[key]
        logged = client.get_run(run_id).data.metrics
        ended, seeds = milliseconds(at), int(figures[names.SEEDS])
        changed = [Metric(name, value, ended, seeds) for name, value in figures.items() if logged.get(name) != value]
        client.log_batch(run_id, metrics=changed)
        if is_over:
            client.set_terminated(run_id, RunStatus.to_string(RunStatus.FINISHED if seeds else RunStatus.FAILED), ended)


def _key(sweep: Sweep, settings: Mapping[str, Any]) -> tuple[str, str]:
    return sweep.name, json.dumps(setting_of_row(sweep, settings))


_STATUS_OF_OUTCOME = {names.FINISHED: RunStatus.FINISHED, names.STOPPED: RunStatus.FINISHED, names.FAILED: RunStatus.FAILED}
_MOST_METRICS = 1000  # of one batch, MLflow's limit
_LONGEST_KEY = 250  # letters of a metric's name


@dataclass
class StudyRecord:
    """Records of one study.

    What its methods write happened `at` a time, in Unix seconds; without one, now. A record that is written later has the times of
    the journals.

    Attributes:
        store_uri: MLflow tracking store, e.g. `sqlite:////data/acl-runs/mlflow.db`.
        study: its name.
        key: by which every launch finds the study's run.
        tags: of a new run, beside its own.
        study_file: text of the study's file.
        parent_run_id: of the study's run; empty until `open` has found or made it.
    """

    store_uri: str
    study: str
    key: str
    tags: Mapping[str, str] = field(default_factory=dict)
    study_file: str = field(default="", repr=False)
    parent_run_id: str = field(default="", init=False)
    _trial_runs: dict[str, str] = field(default_factory=dict, repr=False)
    _last_step: dict[str, int] = field(default_factory=dict, repr=False)  # of trials that this launch has touched
    _experiment: str = field(default="", repr=False)
    _settings: SettingRecords = field(default_factory=SettingRecords, repr=False)
    _in_doubt: bool = field(default=False, repr=False)  # a server may have created a run although its answer is lost

    @translate_mlflow_errors
    def open(self, at: float | None = None) -> None:
        """Find the runs of the study and of its trials; a study without one, because it is new or somebody deleted it, gets one."""
        client = self._client()
        self._experiment = experiment_of(client, self.store_uri)
        found = client.search_runs([self._experiment], f"tags.`{names.RECORD}` = '{self.key}'")
        if found:
            self.parent_run_id = found[0].info.run_id
            self._find_runs(client)
        else:
            own = {names.KIND: names.KIND_STUDY, names.STUDY: self.study, names.RECORD: self.key}
            own |= {MLFLOW_RUN_NAME: self.study, **self._origin()}
            own[MLFLOW_RUN_NOTE] = self.tags.get(names.QUESTION, "")  # MLflow's page shows it as the run's description
            began, tags = milliseconds(at), {**own, **self.tags}
            run = client.create_run(self._experiment, began, tags, self.study)
            self.parent_run_id = run.info.run_id
        client.log_text(self.parent_run_id, self.study_file, names.STUDY_FILE)

    @translate_mlflow_errors
    def go_on(self) -> None:
        """Have the study's run say that it runs."""
        self._client().update_run(self.parent_run_id, status=RunStatus.to_string(RunStatus.RUNNING))

    @translate_mlflow_errors
    def start_trial(self, trial: str, sweep: Sweep, settings: Mapping[str, Any], at: float | None = None) -> None:
        """Create the trial's run, unless there is one."""
        client = self._client()
        known: Mapping[str, str] = {}
        if self._in_doubt:
            self._find_runs(client)
        parent, name = self.parent_run_id, trial_name(trial, sweep, settings)
        if len(sweep.seeds) > 1:
            self._in_doubt = True
            parent = self._settings.start(client, self._experiment, self._common_tags(sweep), sweep, settings, at)
        if trial in self._trial_runs:
            known = client.get_run(self._trial_runs[trial]).data.params
        else:
            tags = {
                **self._common_tags(sweep),
                MLFLOW_PARENT_RUN_ID: parent,
                MLFLOW_RUN_NAME: name,
                names.KIND: names.KIND_TRIAL,
                names.TRIAL_ID: trial,
            }
            self._in_doubt = True
            self._trial_runs[trial] = client.create_run(self._experiment, milliseconds(at), tags, name).info.run_id
            self._in_doubt = False
            self._last_step[trial] = 0  # a new run says that it runs, and has no epochs: there is nothing to ask for
        self._go_on(client, trial)
        run_id = self._trial_runs[trial]
        client.log_batch(run_id, params=[Param(key, str(value)) for key, value in settings.items() if key not in known])
        client.log_dict(run_id, dict(settings), names.CONFIG_FILE)

    @translate_mlflow_errors
    def log_epochs(self, trial: str, epochs: Mapping[int, Mapping[str, float]], at: Mapping[int, float] | None = None) -> None:
        """Log metrics by epoch, in as few batches as MLflow allows; epochs that are there are left as they are."""
        client = self._client()
        self._go_on(client, trial)
        last_step = self._last_step.pop(trial)  # read anew after an error: a server may have written what it did not answer
        batch: list[Metric] = []
        for epoch in sorted(epochs):
            metrics = _metrics(epochs[epoch], epoch, milliseconds((at or {}).get(epoch))) if epoch > last_step else []
            if len(batch) + len(metrics) > _MOST_METRICS:  # an epoch's metrics come together, of which one tells that it is there
                client.log_batch(self._run_of(trial), metrics=batch)
                batch = []
            batch += metrics
        client.log_batch(self._run_of(trial), metrics=batch)
        self._last_step[trial] = max(last_step, *epochs)

    @translate_mlflow_errors
    def log_settings(self, trial: str, point: Point) -> None:
        """Note settings that a trial has taken over while it runs; its parameters stay those that it began with."""
        tags = [RunTag(names.CHANGED_SETTINGS, json.dumps(point))]
        self._client().log_batch(self._run_of(trial), tags=tags)

    @translate_mlflow_errors
    def log_provenance(self, trial: str, launches: str) -> None:
        """Log what a trial's numbers come from, a JSON list of launches, as artifact and as tags."""
        client, run_id = self._client(), self._run_of(trial)
        client.log_text(run_id, launches, names.PROVENANCE_FILE)
        try:
            tags = provenance_tags(parse_json(launches))
        except (ValueError, KeyError, TypeError, AttributeError):
            raise RecordError(f"{names.PROVENANCE_FILE} is damaged, its run gets no tags of it") from None
        client.log_batch(run_id, tags=[RunTag(name, value) for name, value in tags.items()])

    @translate_mlflow_errors
    def finish_trial(
        self, trial: str, outcome: str, *, predictions: str | None = None, reason: str | None = None, at: float | None = None
    ) -> None:
        """Close the trial's run with its outcome, the predictions of its last epoch (CSV text) and the reason of a failure."""
        client, run_id = self._client(), self._run_of(trial)
        if predictions is not None:
            with tempfile.TemporaryDirectory() as folder:
                path = Path(folder, names.PREDICTIONS_FILE)
                path.write_text(predictions, encoding="utf-8")
                client.log_artifact(run_id, str(path))
        tags = [RunTag(names.OUTCOME, outcome)] + ([RunTag(names.REASON, reason)] if reason else [])
        client.log_batch(run_id, tags=tags)
        client.set_terminated(run_id, RunStatus.to_string(_STATUS_OF_OUTCOME[outcome]), milliseconds(at))
        self._last_step.pop(trial, None)  # should it be tried again, its run is to say so

    @translate_mlflow_errors
    def log_setting(
        self,
        sweep: Sweep,
        settings: Mapping[str, Any],
        figures: Mapping[str, float],
        *,
        is_over: bool,
        at: float | None = None,
    ) -> None:
        """Log what the finished seeds of a setting have given, see `SettingRecords.update`."""
        self._settings.update(self._client(), sweep, settings, figures, is_over=is_over, at=at)

    @translate_mlflow_errors
    def close(self, *, complete: bool, at: float | None = None) -> None:
        """End the study's run; an incomplete study, and its trials that have not ended, are KILLED until it is resumed."""
        client = self._client()
        for run in runs_of_study(client, self._experiment, self.parent_run_id, "attributes.status = 'RUNNING'"):
            client.set_terminated(run.info.run_id, RunStatus.to_string(RunStatus.KILLED), milliseconds(at))
        status = RunStatus.to_string(RunStatus.FINISHED if complete else RunStatus.KILLED)
        if client.get_run(self.parent_run_id).info.status != status:  # what had ended keeps its time
            client.set_terminated(self.parent_run_id, status, milliseconds(at))

    def _go_on(self, client: mlflow.MlflowClient, trial: str) -> None:
        """Have the trial's run say that it runs, once a launch, and learn which epochs it has."""
        if trial in self._last_step:
            return
        run_id = self._run_of(trial)
        history = client.get_metric_history(run_id, names.EPOCH_SECONDS)
        client.update_run(run_id, status=RunStatus.to_string(RunStatus.RUNNING))
        tags = client.get_run(run_id).data.tags
        for tag in (names.OUTCOME, names.REASON):
            if tag in tags:
                client.delete_tag(run_id, tag)
        self._last_step[trial] = max((metric.step for metric in history), default=0)

    def _run_of(self, trial: str) -> str:
        if trial not in self._trial_runs:
            raise RecordError(f"{trial} has no run in the store any more")
        return self._trial_runs[trial]

    def _common_tags(self, sweep: Sweep) -> dict[str, str]:
        """Tags of trials and of the settings that they repeat."""
        return {
            MLFLOW_PARENT_RUN_ID: self.parent_run_id,
            **self._origin(),
            names.STUDY: self.study,
            names.STUDY_RUN: self.parent_run_id,
            names.SWEEP: sweep.name,
            names.OBJECTIVE: ", ".join(sweep.objectives),
        }

    def _origin(self) -> dict[str, str]:
        """Tags that MLflow's page shows as user and source."""
        source = {MLFLOW_SOURCE_NAME: f"acl-study run {self.study}", MLFLOW_SOURCE_TYPE: SourceType.to_string(SourceType.LOCAL)}
        return {MLFLOW_USER: user(), **source}

    def _find_runs(self, client: mlflow.MlflowClient) -> None:
        for run in runs_of_study(client, self._experiment, self.parent_run_id):
            if run.data.tags[names.KIND] == names.KIND_SETTING:
                self._settings.remember(run)
            else:
                self._trial_runs[run.data.tags[names.TRIAL_ID]] = run.info.run_id
        self._in_doubt = False

    def _client(self) -> mlflow.MlflowClient:
        return mlflow.MlflowClient(self.store_uri)


def _metrics(values: Mapping[str, float], step: int, timestamp: int) -> list[Metric]:
    """Metrics of an epoch under MLflow's names, without what it refuses, e.g. the parentheses of Coin_(dropping)."""
    allowed: dict[str, float] = {}
    for name, value in values.items():
        stem = re.sub(r"[^\w.\- :]+", "", name)
        number = 1
        while (unique := stem if number == 1 else f"{stem} {number}") in allowed:  # two classes that differ in such signs only
            number += 1
        allowed[unique] = float(value)
    return [Metric(_short(names.recorded(name)), value, timestamp, step) for name, value in allowed.items()]


def _short(key: str) -> str:
    """A metric's name as MLflow takes it: of one with a long label the beginning, and a digest that tells it from others."""
    if len(key) <= _LONGEST_KEY:
        return key
    return f"{key[: _LONGEST_KEY - 9]}-{hashlib.sha256(key.encode()).hexdigest()[:8]}"


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
            names.GPU_SHARE: f"{launch.get('gpu_share', 0):g}",
            names.CORPUS_SHA256: launch["corpus_sha256"],
            names.CLIPS_LEFT_OUT: str(launch.get("clips_left_out", 0)),
            names.FEATURES_SHA256: launch["features_sha256"],
        }
        if code["git_commit"]:
            tags[names.MLFLOW_COMMIT] = code["git_commit"]
        for name, value in tags.items():
            values.setdefault(name, {})[value] = None
    return {name: "; ".join(each) for name, each in values.items()}
