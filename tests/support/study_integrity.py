"""Checks of a study that was killed and resumed, made with Optuna and MLflow alone."""

import json
import math
from collections import Counter
from datetime import datetime
from pathlib import Path
from typing import Any

import mlflow
import optuna
from mlflow.entities import Run
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend
from optuna.trial import TrialState

from study import names
from support.mlflow_records import runs, store

_CLOCKS = (names.EPOCH_SECONDS, names.CLIPS_PER_SECOND, names.MEMORY_GB)
_STATES = {names.FINISHED: TrialState.COMPLETE, names.STOPPED: TrialState.PRUNED, names.FAILED: TrialState.FAIL}

Events = list[dict[str, Any]]
Results = dict[str, tuple[dict[str, Any], str, dict[str, float]]]  # trial -> settings, outcome, last metrics that repeat


def journals(home: Path, study: str) -> dict[str, Events]:
    """The journals of a study's sweeps, but for half a line that a crash may have left at their ends."""
    paths = sorted((home / "studies" / study).glob("*/journal.jsonl"))
    return {path.parent.name: [json.loads(line) for line in path.read_text().split("\n")[:-1]] for path in paths}


def results(home: Path, study: str) -> Results:
    """What came out of a study, as its journals have it."""
    found: Results = {}
    for events in journals(home, study).values():
        points: dict[str, Any] = {}
        metrics: dict[str, dict[str, float]] = {}
        for event in events:
            if event["event"] == "trial":
                points[event["trial"]] = event["point"]
            elif event["event"] == "epoch":
                metrics.setdefault(event["trial"], {}).update(event["metrics"])
            elif event["event"] == "end":
                kept = {name: value for name, value in metrics.get(event["trial"], {}).items() if not name.endswith(_CLOCKS)}
                found[event["trial"]] = (points[event["trial"]], event["outcome"], kept)
    return found


def assert_intact(home: Path, study: str, reference: Results | None = None, store_uri: str | None = None) -> None:
    """Nothing of a complete study is lost, doubled or different from `reference`, what came out of it uninterrupted.

    No epoch that the journal has was trained again, but the last before a death; MLflow has each trial and each of its epochs
    once; no trial of Optuna waits.
    """
    outcomes = results(home, study)
    for sweep, events in journals(home, study).items():
        folder = home / "studies" / study / sweep
        _assert_epochs_once(folder, events)
        if (folder / "optuna.journal").exists():
            _assert_told(folder, sweep, outcomes)
    _assert_recorded(home, study, outcomes, store_uri)
    if reference is not None:
        assert outcomes.keys() == reference.keys()
        for trial, expected in reference.items():
            assert outcomes[trial] == expected, trial


def _assert_epochs_once(folder: Path, events: Events) -> None:
    for trial in {event["trial"] for event in events if event["event"] == "trial"}:
        own = [event for event in events if event.get("trial") == trial]
        epochs = [event for event in own if event["event"] == "epoch"]
        assert [event["epoch"] for event in epochs] == list(range(1, len(epochs) + 1)), trial
        assert own[-1]["event"] == "end", trial
        assert [event["event"] for event in own].count("end") == 1, trial
        for launch in json.loads((folder / trial / "state" / "provenance.json").read_text()):
            started = datetime.fromisoformat(launch["started"]).timestamp()  # whole seconds
            before = sum(event["time"] < started for event in epochs)
            # The state of the last one may still have been being written.
            assert launch["from_epoch"] >= before, f"{trial} trained epoch {launch['from_epoch']} again, {before} were noted"


def _assert_told(folder: Path, sweep: str, outcomes: Results) -> None:
    storage = JournalStorage(JournalFileBackend(str(folder / "optuna.journal")))
    (told,) = [optuna.load_study(study_name=name, storage=storage) for name in optuna.get_all_study_names(storage)]
    assert told.study_name == f"{folder.parent.name}/{sweep}"
    trials = {trial.user_attrs.get("trial", f"{sweep}-{trial.number:04d}"): trial for trial in told.get_trials()}
    assert len(trials) == len(told.trials)
    assert trials.keys() == {trial for trial in outcomes if trial.startswith(f"{sweep}-")}
    for name, trial in trials.items():
        point, outcome, _ = outcomes[name]
        assert trial.state == _STATES[outcome]
        assert trial.params == point


def _assert_recorded(home: Path, study: str, outcomes: Results, store_uri: str | None) -> None:
    client = mlflow.MlflowClient(store_uri or store(home))
    parents = [run for run in runs(home, names.KIND_STUDY, store_uri) if run.data.tags[names.STUDY] == study]
    assert [run.info.status for run in parents] == ["FINISHED"]
    recorded = [run for run in runs(home, names.KIND_TRIAL, store_uri) if run.data.tags[names.STUDY] == study]
    assert Counter(run.data.tags[names.TRIAL_ID] for run in recorded) == Counter(list(outcomes))
    for run in recorded:
        point, outcome, metrics = outcomes[run.data.tags[names.TRIAL_ID]]
        assert run.info.status == ("FAILED" if outcome == names.FAILED else "FINISHED")
        assert run.data.tags[names.OUTCOME] == outcome
        assert run.data.tags["mlflow.parentRunId"] == parents[0].info.run_id
        assert {name: run.data.params[name] for name in point} == {name: str(value) for name, value in point.items()}
        for name, value in metrics.items():
            logged = run.data.metrics.get(names.recorded(name))
            if logged is not None:  # of other names, MLflow takes no parentheses
                assert logged == value or (math.isnan(logged) and math.isnan(value)), name
        steps = [metric.step for metric in client.get_metric_history(run.info.run_id, names.recorded(names.TRAIN_LOSS))]
        assert sorted(steps) == list(range(1, len(steps) + 1))
        assert len(steps) == _epochs(home, study, run)
        artifacts = {artifact.path for artifact in client.list_artifacts(run.info.run_id)}
        assert names.CONFIG_FILE in artifacts
        if outcome == names.FINISHED:
            assert {names.PROVENANCE_FILE, names.PREDICTIONS_FILE} <= artifacts


def _epochs(home: Path, study: str, run: Run) -> int:
    """Epochs of a trial with a training loss of its first stage."""
    events = journals(home, study)[run.data.tags[names.SWEEP]]
    return sum(
        event["event"] == "epoch" and event["trial"] == run.data.tags[names.TRIAL_ID] and names.TRAIN_LOSS in event["metrics"]
        for event in events
    )
