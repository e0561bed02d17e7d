"""The command `sync` from one SQLite store to another: the same study, with the times of its journals."""

from collections.abc import Callable
from pathlib import Path

import mlflow
import pytest

from study import names
from study.results.publish import log_figures
from study.state.home import Home
from study.state.study_folder import MIRRORED_FILE, study_lock
from support.command_line import call
from support.mlflow_records import records_by_run_name, runs, with_empty_store
from support.studies_without_training import end_study, study_of
from support.study_integrity import journals

STUDY = study_of("offline", {"space": {"loss.alpha": {"grid": [1.0, 0.5]}}, "seeds": [0, 1]})


@pytest.fixture(scope="module")
def offline(tmp_path_factory: pytest.TempPathFactory) -> Home:
    home = Home(with_empty_store(tmp_path_factory.mktemp("offline")))
    end_study(home, STUDY, lambda settings: None if settings["loss.alpha"] == settings["seed"] == 1 else (30, 70))
    assert log_figures(STUDY, home, home.store_uri) == []
    return home


@pytest.fixture
def target(tmp_path: Path) -> str:
    return f"sqlite:///{with_empty_store(tmp_path / 'target') / 'mlflow.db'}"


@pytest.fixture
def sync(offline: Home, monkeypatch: pytest.MonkeyPatch) -> Callable[..., int]:
    """The command, which returns its exit status."""
    return lambda store, name="offline": call(monkeypatch, "sync", name, "--home", str(offline.root), "--store", store)


def test_another_store_gets_the_same_study_with_its_times(
    offline: Home, target: str, sync: Callable[..., int], capfd: pytest.CaptureFixture[str]
) -> None:
    own = records_by_run_name(offline.store_uri, "offline")
    notes = (offline.study("offline") / MIRRORED_FILE).read_bytes()
    for _ in range(2):
        assert sync(target) == 0
        assert records_by_run_name(target, "offline") == own
    said = capfd.readouterr().out
    assert f"offline is in {target}: 4 trials\n" in said
    assert f"report offline --home {offline.root} --store {target}" in said
    assert (offline.study("offline") / MIRRORED_FILE).read_bytes() == notes
    assert records_by_run_name(offline.store_uri, "offline") == own
    (events,) = journals(offline.root, "offline").values()
    (study,) = runs(offline.root, names.KIND_STUDY, target)
    assert [study.info.start_time, study.info.end_time] == [round(events[at]["time"] * 1000) for at in (0, -1)]
    times = {(event["event"], event["trial"]): round(event["time"] * 1000) for event in events}
    for run in runs(offline.root, names.KIND_TRIAL, target):
        trial = run.data.tags[names.TRIAL_ID]
        assert [run.info.start_time, run.info.end_time] == [times["trial", trial], times["end", trial]]
        points = mlflow.MlflowClient(target).get_metric_history(run.info.run_id, names.VAL_ACCURACY)
        assert [point.timestamp for point in points] == [times[key] for key in [("epoch", trial)] if key in times]


def test_a_store_that_lost_the_study_gets_it_anew(
    offline: Home, target: str, sync: Callable[..., int], capfd: pytest.CaptureFixture[str]
) -> None:
    assert sync(target) == 0
    (study,) = runs(offline.root, names.KIND_STUDY, target)
    mlflow.MlflowClient(target).delete_run(study.info.run_id)
    for run in runs(offline.root, names.KIND_TRIAL, target) + runs(offline.root, names.KIND_SETTING, target):
        mlflow.MlflowClient(target).delete_run(run.info.run_id)
    assert sync(target) == 0
    assert "written anew from the journals" in capfd.readouterr().err
    assert records_by_run_name(target, "offline") == records_by_run_name(offline.store_uri, "offline")


def test_what_cannot_be_pushed_is_refused_with_the_reason(
    offline: Home, target: str, sync: Callable[..., int], tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    mlflow.MlflowClient(target).create_run(
        mlflow.MlflowClient(target).create_experiment(names.EXPERIMENT),
        tags={names.KIND: names.KIND_STUDY, names.STUDY: "offline", names.RECORD: "theirs", "mlflow.user": "alice"},
    )
    refusals = {
        offline.store_uri: "study 'offline' keeps its records in",
        target: f"{target} has a study 'offline' already (alice, since ",
        "http://127.0.0.1:9": "no MLflow server answers at http://127.0.0.1:9",
        "http://me:secret@127.0.0.1:9": "no password in an address",
    }
    for store, says in refusals.items():
        assert sync(store) == 1
        (line,) = capfd.readouterr().err.splitlines()
        assert line.startswith(f"error: {says}")
        assert "secret" not in line
    assert sync(target, "unknown") == 1
    assert capfd.readouterr().err.startswith("error: no study 'unknown' in")
    with study_lock(offline, "offline"):
        assert sync(f"sqlite:///{tmp_path / 'new.db'}") == 1
    assert capfd.readouterr().err.startswith("error: study 'offline' is running already")
