"""Runs in every state and of other tools; the database and MLflow's client read the same."""

import contextlib
import math
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pandas as pd
import pytest
import sqlalchemy as sa
from mlflow.entities import Metric, Param

from analysis.errors import AnalysisError
from analysis.records import sql as database
from analysis.records.runs import load_history, load_predictions, load_trials, parameter_names
from analysis.records.store import Store
from study import names
from support.fabricated_trials import FakeRecords
from support.mlflow_records import with_empty_store
from support.tracking_server import free_port, server


@contextlib.contextmanager
def opened(records) -> Iterator[sqlite3.Connection]:
    """The store's database."""
    with contextlib.closing(sqlite3.connect(records.uri.removeprefix("sqlite:///"))) as connection, connection:
        yield connection


def begin(records, study: str, epochs: int) -> str:
    """A trial that is running."""
    tags = {names.KIND: names.KIND_TRIAL, names.STUDY_RUN: study, names.SWEEP: "grid", names.TRIAL_ID: "running"}
    run_id = records._run(tags)
    losses = [Metric(names.TRAIN_LOSS, 1 / epoch, 1000 * epoch, epoch) for epoch in range(1, epochs + 1)]
    records.client.log_batch(run_id, losses, [Param("mode", "supervised"), Param("loss.alpha", "0.5")])
    return run_id


def log(records, run_id: str, epoch: int) -> None:
    records.client.log_metric(run_id, names.TRAIN_LOSS, 1 / epoch, timestamp=1000 * epoch, step=epoch)


def epochs_of(records, run_id: str) -> list[int]:
    return load_history(records.uri, [run_id], [names.TRAIN_LOSS])["epoch"].tolist()


@pytest.fixture
def every_state(records):
    """A study with a trial of every outcome, and runs that are none of its trials. By what they are."""
    study = records.study("mine")
    runs = {outcome: records.trial(study, alpha=0.5, outcome=outcome) for outcome in (names.FINISHED, names.STOPPED, names.FAILED)}
    runs["running"] = begin(records, study, 2)
    runs["not a number"] = begin(records, study, 1)
    records.client.log_batch(
        runs["not a number"],
        [
            Metric(names.TRAIN_LOSS, math.nan, 5000, 2),
            Metric("system/cpu_utilization_percentage", 50.0, 5000, 2),
            Metric("seed", 1.0, 5000, 2),
        ],
        [Param("outcome", "strange"), Param("test.accuracy", "1"), Param("ünïcode name", "naïve"), Param("empty", "")],
    )
    deleted = records.trial(study, alpha=0.1)
    records.client.delete_run(deleted)
    records._run({})
    records._run({names.KIND: names.KIND_TRIAL})  # without its study
    records._run({names.KIND: names.KIND_SETTING, names.STUDY_RUN: study})
    other = records._run({"mlflow.source.name": "train.py"})
    records.client.log_batch(other, [Metric("loss", math.nan, 1, 0)], [Param("lr", "nan"), Param("study", "mine")])
    return runs | {"deleted": deleted}


def test_trials_in_every_state_and_no_other_runs(records, every_state):
    trials = load_trials(records.uri, ["mine"]).set_index("run_id")
    deleted = every_state.pop("deleted")
    assert set(trials.index) == set(every_state.values())
    assert deleted not in trials.index
    outcomes = {what: trials.loc[run_id, "outcome"] for what, run_id in every_state.items()}
    assert outcomes == {
        **{outcome: outcome for outcome in (names.FINISHED, names.STOPPED, names.FAILED)},
        **dict.fromkeys(("running", "not a number"), "unfinished"),
    }
    assert trials.loc[every_state["running"], names.TRAIN_LOSS] == 0.5
    assert math.isnan(trials.loc[every_state["not a number"], names.TRAIN_LOSS])


def test_runs_of_other_tools_add_no_parameter_or_metric(records, every_state):
    trials = load_trials(records.uri, ["mine"])
    assert trials.columns.is_unique
    assert {"ünïcode name", "empty", "loss.alpha"} < set(parameter_names(trials))
    assert not {"system/cpu_utilization_percentage", "outcome"} & set(parameter_names(trials))
    assert trials["seed"].dropna().tolist() == [0, 0, 0]  # the parameter, of those that have it
    assert trials[names.TEST_ACCURACY].dropna().tolist() == [0.5]


def test_a_value_that_is_no_number_stays_none_in_the_history(records, every_state):
    history = load_history(records.uri, [every_state["not a number"]], [names.TRAIN_LOSS])
    assert history["epoch"].tolist() == [1, 2]
    assert history["value"].isna().tolist() == [False, True]


@pytest.mark.parametrize("is_one", [True, False])
def test_a_metric_that_two_versions_have_logged_is_one(records, is_one, monkeypatch):
    study = records.study("mine")
    run_id = begin(records, study, 2)  # as earlier versions did, without groups
    new = {"by_epoch/train.loss": 0.25, "class_accuracy/knn/test.Rain": 0.5}
    records.client.log_batch(run_id, [Metric(name, value, 3000, 3) for name, value in new.items()])
    monkeypatch.setattr(database.Database, "is_one", lambda _: is_one)
    assert epochs_of(records, run_id) == [1, 2, 3]
    assert load_history(records.uri, [run_id])["metric"].tolist() == ["test.knn_class_accuracy.Rain", *[names.TRAIN_LOSS] * 3]
    (trial,) = load_trials(records.uri, ["mine"]).to_dict("records")
    assert (trial[names.TRAIN_LOSS], trial["test.knn_class_accuracy.Rain"]) == (0.25, 0.5)


@pytest.mark.parametrize("warm", [False, True])
def test_database_and_client_read_the_same(records, every_state, warm, monkeypatch, tmp_path):
    run_ids = [*every_state.values()][::-1]
    deleted = every_state["deleted"]
    begun = [records.trial(records.study("other"), alpha=1.0, mode="self-supervised"), every_state["running"]]
    found = []
    for is_one in (True, False):
        monkeypatch.setattr(database.Database, "is_one", lambda _, answer=is_one: answer)
        monkeypatch.setenv("ACL_STUDY_CACHE", str(tmp_path / f"cache-{is_one}"))
        assert (Store(records.uri)._database is not None) == is_one
        for _ in range(1 + warm):
            frames = [
                load_trials(records.uri, ["mine", "other"]),
                load_history(records.uri, run_ids),
                load_history(records.uri, begun, [names.TRAIN_LOSS, names.VAL_EPOCH_KNN_ACCURACY, "absent"]),
                load_predictions(records.uri, [every_state[names.FINISHED], begun[0]]),
            ]
        found.append(frames)
    for of_database, of_client in zip(*found, strict=True):
        assert len(of_database)
        pd.testing.assert_frame_equal(of_database, of_client, check_like=True)
    ordered = found[0][1]["run_id"].drop_duplicates().tolist()
    assert ordered == [run_id for run_id in run_ids if run_id != deleted]


def test_another_schema_is_left_to_the_client(records, every_state, monkeypatch):
    expected = load_history(records.uri, [every_state["running"]])
    monkeypatch.setattr(database, "_METRICS", database._table("metrics_of_tomorrow", *database._METRICS.c.keys()[1:]))
    with pytest.raises(sa.exc.SQLAlchemyError):
        database.Database(records.uri).points([every_state["running"]], None)
    pd.testing.assert_frame_equal(load_history(records.uri, [every_state["running"]]), expected)


def test_no_runs_no_rows(records):
    records.study("mine")
    assert load_history(records.uri, []).columns.tolist() == ["run_id", "epoch", "metric", "value"]
    assert load_predictions(records.uri, []).empty


def test_a_running_trial_is_never_remembered(records):
    run_id = begin(records, records.study("mine"), 2)
    assert epochs_of(records, run_id) == [1, 2]
    log(records, run_id, 3)
    assert epochs_of(records, run_id) == [1, 2, 3]


def test_a_resumed_trial_is_read_anew(records):
    run_id = begin(records, records.study("mine"), 2)
    records.client.set_terminated(run_id, "KILLED", end_time=10_000)
    assert epochs_of(records, run_id) == [1, 2]
    records.client.update_run(run_id, status="RUNNING")
    log(records, run_id, 3)
    assert epochs_of(records, run_id) == [1, 2, 3]
    log(records, run_id, 4)
    records.client.set_terminated(run_id, "FINISHED", end_time=20_000)
    assert epochs_of(records, run_id) == [1, 2, 3, 4]


def test_a_trial_that_is_over_is_not_read_again(records):
    run_ids = [records.trial(records.study("mine"), alpha=1.0) for _ in range(3)]
    first = load_history(records.uri, run_ids)
    with opened(records) as connection:
        connection.execute("DELETE FROM metrics WHERE run_uuid = ?", (run_ids[1],))
    pd.testing.assert_frame_equal(load_history(records.uri, run_ids), first)
    backwards = load_history(records.uri, run_ids[::-1])
    assert backwards["run_id"].drop_duplicates().tolist() == run_ids[::-1]
    assert len(load_history(records.uri, run_ids[:1])) == len(first) / 3


def test_a_deleted_trial_vanishes_and_returns(records):
    run_ids = [records.trial(records.study("mine"), alpha=1.0) for _ in range(2)]
    first = load_history(records.uri, run_ids), load_predictions(records.uri, run_ids)
    records.client.delete_run(run_ids[0])
    assert load_history(records.uri, run_ids)["run_id"].unique().tolist() == run_ids[1:]
    with pytest.raises(AnalysisError, match=f"run {run_ids[0]} has no predictions.csv"):
        load_predictions(records.uri, run_ids)
    records.client.restore_run(run_ids[0])
    pd.testing.assert_frame_equal(load_history(records.uri, run_ids), first[0])
    pd.testing.assert_frame_equal(load_predictions(records.uri, run_ids), first[1])


def test_predictions_that_were_written_anew_or_lost_are_noticed(records):
    run_id = records.trial(records.study("mine"), alpha=1.0, correct=60)
    assert load_predictions(records.uri, [run_id])["predicted"].nunique() == 4
    header = "evaluation,split,clip,label,predicted,patches"
    records.client.log_text(run_id, f'{header}\nclassifier,test,"a, ""b"".wav",NA,None,3\n', names.PREDICTIONS_FILE)
    rows = load_predictions(records.uri, [run_id])
    assert rows.drop(columns="run_id").to_numpy().tolist() == [["test", 'a, "b".wav', "NA", "None", 3, 'a, "b".wav']]
    Path(records.client.get_run(run_id).info.artifact_uri.removeprefix("file://"), names.PREDICTIONS_FILE).unlink()
    with pytest.raises(AnalysisError, match=f"run {run_id} has no predictions.csv"):
        load_predictions(records.uri, [run_id])


@pytest.mark.slow
def test_a_tracking_server_gives_the_same(records, every_state, tmp_path, monkeypatch):
    run_ids = [run_id for what, run_id in every_state.items() if what != "deleted"]
    expected = load_trials(records.uri, ["mine"]), load_history(records.uri, run_ids)
    predictions = load_predictions(records.uri, [every_state[names.FINISHED]])
    monkeypatch.setenv("ACL_STUDY_CACHE", str(tmp_path / "cache"))
    with server(records.uri, tmp_path, free_port()) as uri:
        for _ in range(2):
            found = load_trials(uri, ["mine"]), load_history(uri, run_ids)
            for of_server, of_database in zip(found, expected, strict=True):
                pd.testing.assert_frame_equal(of_server, of_database, check_like=True)
            pd.testing.assert_frame_equal(load_predictions(uri, [every_state[names.FINISHED]]), predictions)
    assert len([*(tmp_path / "cache").iterdir()]) == 2


@pytest.mark.slow
def test_predictions_that_only_a_server_keeps_are_fetched(tmp_path):
    with server(f"sqlite:///{with_empty_store(tmp_path)}/mlflow.db", tmp_path / "kept", free_port()) as uri:
        records = FakeRecords(tmp_path, uri)
        run_ids = [records.trial(records.study("mine"), alpha=1.0, correct=right) for right in (60, 70)]
        assert records.client.get_run(run_ids[0]).info.artifact_uri.startswith("mlflow-artifacts:/")
        rows = load_predictions(uri, run_ids)
        of_test = rows[rows["split"] == "test"]
        right = (of_test["label"] == of_test["predicted"]).groupby(of_test["run_id"]).sum()
        assert right.to_dict() == dict(zip(run_ids, (60, 70), strict=True))
