"""Writes the runs of settings that several seeds repeat: below the study's run, above their trials."""

import json
from collections.abc import Mapping
from typing import Any

import mlflow
from mlflow.entities import Metric, Param, Run, RunStatus
from mlflow.utils.mlflow_tags import MLFLOW_RUN_NAME

from study import record_names as names
from study.mlflow_store import RecordError, milliseconds
from study.seeds import SEED, setting_text
from study.selection import setting_of_row
from study.sweep import Sweep


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
            name = setting_text(setting_of_row(sweep, settings)) or sweep.name  # a sweep of nothing but seeds is one setting
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
            figures: of `study.seeds.Setting.figures`.
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
