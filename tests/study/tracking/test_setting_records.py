"""Seeds in MLflow: runs of study, setting and trial, the same after every replay of the journals."""

import statistics
from collections.abc import Mapping
from typing import Any

import mlflow
import pytest
from mlflow.entities import Run

from acl.config import build_config, flatten
from study import names
from study.state.home import Home
from study.state.journal import Journal
from study.state.study_folder import MIRRORED_FILE
from study.tracking.writer import StudyRecord
from support.mlflow_records import new_record, reopened, with_empty_store
from support.studies_without_training import end_study, mirror, study_of

SWEEP = {"space": {"loss.alpha": {"grid": [1.0, 0.5]}, "loss.margin": {"grid": [0.25]}}, "seeds": [0, 1, 2]}
VAL = {(1.0, 0): 10, (1.0, 1): 20, (1.0, 2): 30, (0.5, 0): 12, (0.5, 1): 24}  # of 40; the last one fails


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Home:
    """One store for the file: creating its schema takes seconds."""
    return Home(with_empty_store(tmp_path_factory.mktemp("home")))


def right(settings: Mapping[str, Any]) -> tuple[int, int] | None:
    val = VAL.get((settings["loss.alpha"], settings["seed"]))
    return None if val is None else (val, val)


def runs_of(record: StudyRecord) -> dict[str, Run]:
    """All runs of the study by name, read with MLflow alone."""
    client = mlflow.MlflowClient(record.store_uri)
    experiment = client.get_experiment_by_name(names.EXPERIMENT)
    found = client.search_runs([experiment.experiment_id], f"tags.`{names.STUDY_RUN}` = '{record.parent_run_id}'")
    by_name = {run.info.run_name: run for run in found}
    assert len(by_name) == len(found)
    return by_name


def parent(run: Run) -> str:
    return str(run.data.tags["mlflow.parentRunId"])


def history(record: StudyRecord, run: Run) -> dict[str, list[tuple[int, float]]]:
    client = mlflow.MlflowClient(record.store_uri)
    return {
        name: [(point.step, point.value) for point in client.get_metric_history(run.info.run_id, name)] for name in run.data.metrics
    }


def test_seeds_of_a_setting_share_a_run_with_mean_and_spread(home: Home) -> None:
    record = end_study(home, study_of("tree", SWEEP), right)
    found = runs_of(record)
    settings = {name: run for name, run in found.items() if run.data.tags[names.KIND] == names.KIND_SETTING}
    assert settings.keys() == {"α 1 · m 0.25", "α 0.5 · m 0.25"}
    assert {parent(run) for run in settings.values()} == {record.parent_run_id}
    one = settings["α 1 · m 0.25"]
    assert {name for name, run in found.items() if parent(run) == one.info.run_id} == {
        "0000 · α 1 · m 0.25 · s0",
        "0001 · α 1 · m 0.25 · s1",
        "0002 · α 1 · m 0.25 · s2",
    }
    values = [0.25, 0.5, 0.75]
    assert one.data.metrics["val.accuracy.mean"] == pytest.approx(0.5)
    assert one.data.metrics["val.accuracy.sd"] == pytest.approx(statistics.stdev(values))
    assert one.data.metrics["test.accuracy.mean"] == pytest.approx(0.2)
    assert one.data.metrics["seeds.n"] == 3
    assert not [name for name in one.data.metrics if "class_accuracy" in name or "macro" in name]
    assert one.info.status == "FINISHED"
    assert one.data.params["loss.alpha"] == "1.0"
    trial = found["0000 · α 1 · m 0.25 · s0"]
    assert one.data.params == {name: value for name, value in trial.data.params.items() if name != "seed"}
    two = settings["α 0.5 · m 0.25"]  # one seed has failed, all are over
    assert (two.data.metrics["seeds.n"], two.info.status) == (2, "FINISHED")
    assert two.data.metrics["val.accuracy.mean"] == pytest.approx(0.45)


def test_a_replay_after_a_crash_changes_nothing(home: Home) -> None:
    study = study_of("replay", SWEEP)
    record = end_study(home, study, right)
    before = runs_of(record)
    logged = {name: history(record, run) for name, run in before.items()}
    (home.study("replay") / MIRRORED_FILE).unlink()  # the driver was killed before it noted what the store has
    mirror(home, study, reopened(record), {"sweep": Journal(home.study("replay") / "sweep")}, complete=True)
    after = runs_of(record)
    assert {name: run.info.run_id for name, run in after.items()} == {name: run.info.run_id for name, run in before.items()}
    assert {name: run.info.status for name, run in after.items()} == {name: run.info.status for name, run in before.items()}
    assert {name: history(record, run) for name, run in after.items()} == logged


def test_a_setting_run_left_without_parameters_gets_them(home: Home) -> None:
    study = study_of("bare", SWEEP)
    (sweep,) = study.sweeps
    record = new_record(home.store_uri, "bare")
    settings = flatten(build_config({**sweep.common, **sweep.points[0]}))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(mlflow.MlflowClient, "log_batch", lambda *arguments, **others: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            record.start_trial("sweep-0000", sweep, settings)
    reopened(record).start_trial("sweep-0000", sweep, settings)
    assert len(runs_of(record)) == 2
    for run in runs_of(record).values():
        seed = {"seed"} if run.data.tags[names.KIND] == names.KIND_SETTING else set()
        assert run.data.params == {name: str(value) for name, value in settings.items() if name not in seed}


def test_a_setting_with_unfinished_seeds_ends_with_its_launch(home: Home) -> None:
    record = end_study(home, study_of("early", SWEEP), right, trials=4)
    found = runs_of(record)
    assert found["α 1 · m 0.25"].info.status == "FINISHED"
    half = found["α 0.5 · m 0.25"]
    assert (half.info.status, half.data.metrics["seeds.n"]) == ("KILLED", 1)
    assert "val.accuracy.sd" not in half.data.metrics  # one value has no spread


def test_one_seed_needs_no_setting_run(home: Home) -> None:
    record = end_study(home, study_of("single", {"space": {"loss.alpha": {"grid": [1.0, 0.5]}}}), lambda settings: (20, 50))
    found = runs_of(record)
    assert found.keys() == {"0000 · α 1", "0001 · α 0.5"}
    assert {parent(run) for run in found.values()} == {record.parent_run_id}


def test_a_sweep_of_nothing_but_seeds_is_one_setting(home: Home) -> None:
    record = end_study(home, study_of("control", {"seeds": [0, 1]}), lambda settings: (20, 50))
    (setting,) = [run for run in runs_of(record).values() if run.data.tags[names.KIND] == names.KIND_SETTING]
    assert (setting.info.run_name, setting.data.metrics["seeds.n"]) == ("sweep", 2)
