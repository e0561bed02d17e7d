"""Records in a real SQLite store: complete, never doubled, also after retries, kills and damage."""

import getpass
import json
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import mlflow
import pytest
import torch
from mlflow.entities import Metric

from acl.config import build_config
from acl.provenance import describe_run
from acl.store.feature_store import FeatureStore
from study import names
from study.errors import RecordError, StoreUnavailableError
from study.results.publish import log_winners
from study.state.home import Home
from study.tracking.writer import StudyRecord
from support.mlflow_records import (
    PREDICTIONS,
    SETTINGS,
    artifact_text,
    logged_losses,
    new_record,
    reopened,
    start_trials,
    trial_runs,
)
from support.studies_without_training import study_of


def test_a_study_run_holds_its_tags_and_its_file(record: StudyRecord, record_home: Path) -> None:
    run = mlflow.MlflowClient(record.store_uri).get_run(record.parent_run_id)
    assert run.info.status == "RUNNING"
    assert run.info.run_name == record.study
    tags = {names.KIND: names.KIND_STUDY, names.STUDY: record.study, names.QUESTION: "Does it help?"}
    assert tags.items() <= run.data.tags.items()
    assert artifact_text(record, record.parent_run_id, names.STUDY_FILE) == "name: help\n"
    assert list((record_home / "artifacts").rglob(names.STUDY_FILE))  # beside the database


def test_a_trial_run_has_settings_epochs_outcome_predictions(record: StudyRecord) -> None:
    start_trials(record, "a")
    assert trial_runs(record)["a"].info.status == "RUNNING"
    record.log_epochs("a", {1: {names.TRAIN_LOSS: 2.0, names.VAL_ACCURACY: 0.25}})
    record.log_epochs("a", {2: {names.TRAIN_LOSS: 1.0, names.VAL_ACCURACY: 0.5}})
    record.finish_trial("a", names.FINISHED, predictions=PREDICTIONS)
    run = trial_runs(record)["a"]
    assert run.info.status == "FINISHED"
    assert run.info.run_name == "a · α 0.5"  # which trial it is, and what varies
    assert run.data.tags["mlflow.source.name"] == f"acl-study run {record.study}"
    assert run.data.tags["mlflow.user"] == getpass.getuser()
    assert run.data.params == {"mode": "supervised", "loss.alpha": "0.5", "seed": "0"}
    assert run.data.metrics == {"by_epoch/train.loss": 1.0, names.VAL_ACCURACY: 0.5}
    tags = {
        names.KIND: names.KIND_TRIAL,
        names.STUDY: record.study,
        names.SWEEP: "sweep",
        names.OBJECTIVE: names.VAL_ACCURACY,
        names.OUTCOME: names.FINISHED,
    }
    assert tags.items() <= run.data.tags.items()
    assert names.REASON not in run.data.tags
    assert logged_losses(record, "a") == [(1, 2.0), (2, 1.0)]
    assert artifact_text(record, run.info.run_id, names.PREDICTIONS_FILE) == PREDICTIONS
    assert json.loads(artifact_text(record, run.info.run_id, names.CONFIG_FILE)) == SETTINGS


@pytest.mark.parametrize(
    ("outcome", "reason", "status"),
    [
        (names.FINISHED, None, "FINISHED"),
        (names.STOPPED, None, "FINISHED"),
        (names.FAILED, "DivergedError: train.loss is nan in epoch 2; lower optim.lr", "FAILED"),
    ],
)
def test_every_outcome_has_its_status_and_a_failure_its_reason(
    record: StudyRecord, outcome: str, reason: str | None, status: str
) -> None:
    start_trials(record, "a")
    record.finish_trial("a", outcome, reason=reason)
    run = trial_runs(record)["a"]
    assert run.info.status == status
    assert (run.data.tags[names.OUTCOME], run.data.tags.get(names.REASON)) == (outcome, reason)


def test_a_resumed_trial_continues_its_run_and_repeats_no_epoch(record: StudyRecord) -> None:
    start_trials(record, "a", "b")
    for epoch in (1, 2, 2):
        record.log_epochs("a", {epoch: {names.TRAIN_LOSS: float(epoch), names.EPOCH_SECONDS: 1.0}})
    run_id = trial_runs(record)["a"].info.run_id

    resumed = reopened(record)
    start_trials(resumed, "a")
    resumed.log_epochs("a", {epoch: {names.TRAIN_LOSS: 10.0 * epoch, names.EPOCH_SECONDS: 1.0} for epoch in (3, 1, 2)})
    assert logged_losses(record, "a") == [(1, 1.0), (2, 2.0), (3, 30.0)]
    runs = trial_runs(record)
    assert runs.keys() == {"a", "b"}
    assert runs["a"].info.run_id == run_id


def test_more_epochs_than_one_request_takes_are_logged_whole(record: StudyRecord) -> None:
    start_trials(record, "a")
    values = {f"test.class_accuracy.{number}": 0.5 for number in range(300)} | {names.EPOCH_SECONDS: 1.0}
    sizes: list[int] = []
    log_batch = mlflow.MlflowClient.log_batch

    def counted(client: mlflow.MlflowClient, run_id: str, metrics: Sequence[Metric] = (), **others: Any) -> None:
        sizes.append(len(metrics))
        log_batch(client, run_id, metrics=metrics, **others)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(mlflow.MlflowClient, "log_batch", counted)
        record.log_epochs("a", dict.fromkeys(range(1, 6), values))
    assert sizes == [903, 602]
    run_id, client = trial_runs(record)["a"].info.run_id, mlflow.MlflowClient(record.store_uri)
    for name in (names.EPOCH_SECONDS, "class_accuracy/test.299"):
        assert [metric.step for metric in client.get_metric_history(run_id, name)] == [1, 2, 3, 4, 5]


def test_writes_whose_answer_was_lost_are_not_repeated(record: StudyRecord) -> None:
    def lost_once(call: Any) -> Any:
        def calling(*args: Any, **kwargs: Any) -> Any:
            call(*args, **kwargs)
            patch.undo()
            raise OSError("connection reset")

        return calling

    for name, write in (
        ("create_run", lambda: start_trials(record, "a")),
        ("log_batch", lambda: record.log_epochs("a", {1: {names.TRAIN_LOSS: 1.0, names.EPOCH_SECONDS: 1.0}})),
    ):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(mlflow.MlflowClient, name, lost_once(getattr(mlflow.MlflowClient, name)))
            with pytest.raises(StoreUnavailableError, match="connection reset"):
                write()
        write()
    assert logged_losses(record, "a") == [(1, 1.0)]


def test_names_are_logged_without_refused_characters(record: StudyRecord) -> None:
    start_trials(record, "a")
    shares = {"Coin_(dropping)": 0.5, "Hi-hat": 0.25, "R&B": 0.1, "RB": 0.2, "a//b/../c/": 0.3, "Vögel": 0.4}
    record.log_epochs("a", {1: {f"test.class_accuracy.{name}": share for name, share in shares.items()}})
    logged = {name.removeprefix("class_accuracy/test."): value for name, value in trial_runs(record)["a"].data.metrics.items()}
    assert logged == {"Coin_dropping": 0.5, "Hi-hat": 0.25, "RB": 0.1, "RB 2": 0.2, "ab..c": 0.3, "Vögel": 0.4}


def test_provenance_is_an_artifact_and_the_last_launch_in_tags(record: StudyRecord, tiny_corpus: Path) -> None:
    store = FeatureStore.open(tiny_corpus, "supervised")
    launch = describe_run(build_config({"mode": "supervised", "data.root": str(tiny_corpus)}), store, torch.device("cpu"))
    launch["code"] = {"version": "0.1.0", "git_commit": "a" * 40, "git_dirty": True, "git_diff_sha256": "b" * 64}
    elsewhere = {
        **launch,
        "gpu_share": 0.25,
        "hardware": {**launch["hardware"], "gpu": {"name": "NVIDIA H100", "memory_gib": 79.1, "cuda": "12.8"}},
    }
    start_trials(record, "a")
    record.log_provenance("a", json.dumps([launch]))
    resumed = reopened(record)
    start_trials(resumed, "a")
    resumed.log_provenance("a", json.dumps([{"unreadable": "x"}, launch, elsewhere]))
    run = trial_runs(record)["a"]
    assert json.loads(artifact_text(record, run.info.run_id, names.PROVENANCE_FILE))[1:] == [launch, elsewhere]
    here, there = run.data.tags[names.HARDWARE].split("; ")
    assert here.endswith("no GPU")
    assert there.endswith("NVIDIA H100 (79.1 GiB)")
    assert run.data.tags[names.GPU_SHARE] == "0; 0.25"
    assert run.data.tags["mlflow.source.git.commit"] == run.data.tags[names.GIT_COMMIT] == launch["code"]["git_commit"]


def test_trials_of_another_study_with_the_same_id_are_left_alone(record: StudyRecord) -> None:
    other = new_record(record.store_uri, f"{record.study}-other")
    for each in (record, other):
        start_trials(each, "a")
    record.log_epochs("a", {1: {names.TRAIN_LOSS: 1.0}})
    record.close(complete=False)
    assert logged_losses(other, "a") == []
    assert trial_runs(other)["a"].info.status == "RUNNING"


def test_a_resumed_failed_trial_is_running_without_outcome(record: StudyRecord) -> None:
    start_trials(record, "a")
    record.finish_trial("a", names.FAILED, reason="OSError: disk full")
    start_trials(reopened(record), "a")
    run = trial_runs(record)["a"]
    assert run.info.status == "RUNNING"
    assert not {names.OUTCOME, names.REASON} & run.data.tags.keys()


def test_a_trial_that_finishes_later_has_no_failure_reason(record: StudyRecord) -> None:
    epochs = {1: {names.TRAIN_LOSS: 1.0, names.EPOCH_SECONDS: 1.0}}
    for outcome, reason in ((names.FAILED, "OSError: disk full"), (names.FINISHED, None)):  # replayed by one launch
        start_trials(record, "a")
        record.log_epochs("a", epochs)
        record.finish_trial("a", outcome, reason=reason)
    run = trial_runs(record)["a"]
    assert (run.info.status, run.data.tags[names.OUTCOME]) == ("FINISHED", names.FINISHED)
    assert names.REASON not in run.data.tags
    assert logged_losses(record, "a") == [(1, 1.0)]


def test_a_damaged_database_is_no_refusal_of_the_record(record: StudyRecord, record_home: Path, tmp_path: Path) -> None:
    path = tmp_path / "mlflow.db"
    shutil.copy(record_home / "mlflow.db", path)
    damaged = new_record(f"sqlite:///{path}", "damaged")
    with path.open("r+b") as database:
        size = path.stat().st_size
        database.seek(size // 8)
        database.write(b"\xff" * (size - size // 8))
    with pytest.raises(StoreUnavailableError, match="the database file is damaged"):
        start_trials(damaged, "a")


def test_a_study_whose_run_is_gone_gets_a_new_one(record: StudyRecord) -> None:
    start_trials(record, "a")
    mlflow.MlflowClient(record.store_uri).delete_run(record.parent_run_id)
    resumed = reopened(record)
    assert resumed.parent_run_id != record.parent_run_id
    assert artifact_text(resumed, resumed.parent_run_id, names.STUDY_FILE) == "name: help\n"
    assert trial_runs(resumed) == {}
    with pytest.raises(RecordError, match="a has no run in the store any more"):
        resumed.log_epochs("a", {1: {names.TRAIN_LOSS: 1.0}})


def test_a_killed_launch_continues_with_its_study_run(record: StudyRecord) -> None:
    killed = StudyRecord(record.store_uri, f"{record.study}-killed", "the key that was noted before")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(mlflow.MlflowClient, "log_text", lambda *arguments: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            killed.open()
    assert reopened(killed).parent_run_id == killed.parent_run_id != record.parent_run_id


@pytest.mark.parametrize(("complete", "status"), [(True, "FINISHED"), (False, "KILLED")])
def test_closing_kills_what_still_runs_until_it_is_resumed(record: StudyRecord, complete: bool, status: str) -> None:
    client = mlflow.MlflowClient(record.store_uri)
    start_trials(record, "ended", "failed", "running")
    record.finish_trial("ended", names.FINISHED)
    record.finish_trial("failed", names.FAILED, reason="x")
    record.close(complete=complete)
    statuses = {trial_id: run.info.status for trial_id, run in trial_runs(record).items()}
    assert statuses == {"ended": "FINISHED", "failed": "FAILED", "running": "KILLED"}
    assert client.get_run(record.parent_run_id).info.status == status

    resumed = reopened(record)
    resumed.go_on()
    start_trials(resumed, "running")
    assert client.get_run(record.parent_run_id).info.status == "RUNNING"
    assert trial_runs(record)["running"].info.status == "RUNNING"


def test_a_store_that_does_not_answer_costs_the_models_in_words(tmp_path: Path) -> None:
    (tmp_path / "mlflow.db").write_text("no database at all, longer than the header that SQLite looks for " * 9)
    (line,) = log_winners(
        study_of("toy", {"space": {"loss.alpha": {"grid": [1.0, 0.5]}}}), Home(tmp_path), Home(tmp_path).store_uri
    )
    assert line.startswith("the winners are not logged as models: ")
    assert "\n" not in line


def test_labels_longer_than_a_metrics_name_are_recorded_apart(record: StudyRecord) -> None:
    start_trials(record, "sweep-0000")
    labels = [f"test.class_accuracy.{'a' * 300}{end}" for end in "xy"]
    record.log_epochs("sweep-0000", {1: {labels[0]: 0.25, labels[1]: 0.5, names.EPOCH_SECONDS: 1.0}})
    (run,) = trial_runs(record).values()
    found = {key: value for key, value in run.data.metrics.items() if "aaa" in key}
    assert sorted(found.values()) == [0.25, 0.5]
    assert all(len(key) == 250 for key in found)
