"""Records of what is tried again, killed, gone or damaged."""

import shutil
from pathlib import Path

import mlflow
import pytest

from study import names
from study.results.publish import log_winners
from study.state.home import Home
from study.tracking.store import RecordError, StoreUnavailableError
from study.tracking.writer import StudyRecord
from support.mlflow_records import artifact, losses, new_record, reopened, start, trial_runs
from support.studies_without_training import study_of


def test_a_failed_trial_that_is_resumed_is_running_without_outcome(record: StudyRecord) -> None:
    start(record, "a")
    record.finish_trial("a", names.FAILED, reason="OSError: disk full")
    start(reopened(record), "a")
    run = trial_runs(record)["a"]
    assert run.info.status == "RUNNING"
    assert not {names.OUTCOME, names.REASON} & run.data.tags.keys()


def test_a_trial_that_finishes_at_a_later_try_does_not_keep_the_reason_of_the_first(record: StudyRecord) -> None:
    epochs = {1: {names.TRAIN_LOSS: 1.0, names.EPOCH_SECONDS: 1.0}}
    for outcome, reason in ((names.FAILED, "OSError: disk full"), (names.FINISHED, None)):  # replayed by one launch
        start(record, "a")
        record.log_epochs("a", epochs)
        record.finish_trial("a", outcome, reason=reason)
    run = trial_runs(record)["a"]
    assert (run.info.status, run.data.tags[names.OUTCOME]) == ("FINISHED", names.FINISHED)
    assert names.REASON not in run.data.tags
    assert losses(record, "a") == [(1, 1.0)]


def test_a_damaged_database_is_no_refusal_of_the_record(record: StudyRecord, record_home: Path, tmp_path: Path) -> None:
    path = tmp_path / "mlflow.db"
    shutil.copy(record_home / "mlflow.db", path)
    damaged = new_record(f"sqlite:///{path}", "damaged")
    with path.open("r+b") as database:
        size = path.stat().st_size
        database.seek(size // 8)
        database.write(b"\xff" * (size - size // 8))
    with pytest.raises(StoreUnavailableError, match="malformed"):
        start(damaged, "a")


def test_a_study_whose_run_is_gone_gets_a_new_one(record: StudyRecord) -> None:
    start(record, "a")
    mlflow.MlflowClient(record.store_uri).delete_run(record.parent_run_id)
    resumed = reopened(record)
    assert resumed.parent_run_id != record.parent_run_id
    assert artifact(resumed, resumed.parent_run_id, names.STUDY_FILE) == "name: help\n"
    assert trial_runs(resumed) == {}
    with pytest.raises(RecordError, match="a has no run in the store any more"):
        resumed.log_epochs("a", {1: {names.TRAIN_LOSS: 1.0}})


def test_a_launch_that_was_killed_when_it_had_made_the_study_run_goes_on_with_it(record: StudyRecord) -> None:
    killed = StudyRecord(record.store_uri, f"{record.study}-killed", "the key that was noted before")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(mlflow.MlflowClient, "log_text", lambda *arguments: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            killed.open()
    assert reopened(killed).parent_run_id == killed.parent_run_id != record.parent_run_id


@pytest.mark.parametrize(("complete", "status"), [(True, "FINISHED"), (False, "KILLED")])
def test_closing_kills_what_still_runs_until_it_is_resumed(record: StudyRecord, complete: bool, status: str) -> None:
    client = mlflow.MlflowClient(record.store_uri)
    start(record, "ended", "failed", "running")
    record.finish_trial("ended", names.FINISHED)
    record.finish_trial("failed", names.FAILED, reason="x")
    record.close(complete=complete)
    statuses = {trial_id: run.info.status for trial_id, run in trial_runs(record).items()}
    assert statuses == {"ended": "FINISHED", "failed": "FAILED", "running": "KILLED"}
    assert client.get_run(record.parent_run_id).info.status == status

    resumed = reopened(record)
    resumed.go_on()
    start(resumed, "running")
    assert client.get_run(record.parent_run_id).info.status == "RUNNING"
    assert trial_runs(record)["running"].info.status == "RUNNING"


def test_a_store_that_does_not_answer_costs_the_models_in_words(tmp_path: Path) -> None:
    (tmp_path / "mlflow.db").write_text("no database at all, longer than the header that SQLite looks for " * 9)
    (line,) = log_winners(
        study_of("toy", {"space": {"loss.alpha": {"grid": [1.0, 0.5]}}}), Home(tmp_path), Home(tmp_path).store_uri
    )
    assert line.startswith("the winners are not logged as models: ")
    assert "\n" not in line
