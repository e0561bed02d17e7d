"""Launches that do not go the straight way: a store elsewhere with a past, a trial that fails, no machine for the trials."""

import shutil
from pathlib import Path

import pytest
import ray
import yaml

from acl.system.processes import available_cores
from study import names
from study.state.home import Home
from support.command_line import SMOKE, call
from support.mlflow_records import runs, with_empty_store
from support.studies_without_training import end_study, study_of
from support.study_integrity import journals

pytestmark = pytest.mark.slow

HALF = {
    "name": "half",
    "question": "What happens to a trial that diverges?",
    "profile": "mini",
    "base": {"mode": "self-supervised", "model.width": 4, "optim.epochs": 2, "probe.epochs": 2, "knn.k": 5},
    "space": {"optim.lr": {"grid": [0.03, 1.0e30]}},
}


def test_a_failing_trial_is_reported_and_the_others_finish_in_a_store_of_its_own_with_records_of_a_deleted_folder(
    tiny_corpus: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    deleted = Home(with_empty_store(tmp_path / "elsewhere"))
    end_study(deleted, study_of("half", {"space": {"loss.alpha": {"grid": [0.5]}}}), lambda settings: (20, 50))
    (old,) = runs(deleted.root, names.KIND_STUDY)
    shutil.rmtree(deleted.root / "studies")

    home, study = tmp_path / "home", tmp_path / "study.yaml"
    study.write_text(yaml.safe_dump(HALF))
    launch = ("run", str(study), "--data", str(tiny_corpus), "--home", str(home), "--store", deleted.store_uri)
    assert call(monkeypatch, *launch) == 1
    err = capfd.readouterr().err
    assert "lower optim.lr" in err
    assert "Traceback" not in err
    if available_cores() > 1:  # workers start together
        (events,) = journals(home, "half").values()
        assert [event["event"] for event in events[:3]] == ["launch", "trial", "trial"]
    trials = [run for run in runs(deleted.root, names.KIND_TRIAL) if run.data.tags["mlflow.parentRunId"] != old.info.run_id]
    outcomes = {trial.data.tags[names.OUTCOME]: trial for trial in trials}
    assert set(outcomes) == {names.FINISHED, names.FAILED}
    assert "lower optim.lr" in outcomes[names.FAILED].data.tags[names.REASON]
    assert outcomes[names.FAILED].info.status == "FAILED"

    finished = outcomes[names.FINISHED].info
    assert (deleted.root / "artifacts" / finished.run_id / "artifacts" / names.PREDICTIONS_FILE).exists()
    assert not (home / "mlflow.db").exists()
    assert call(monkeypatch, "report", "half", "--home", str(home)) == 0, capfd.readouterr().err
    elsewhere = f"sqlite:///{tmp_path / 'other.db'}"
    assert call(monkeypatch, "resume", "half", "--home", str(home), "--store", elsewhere) == 1
    assert "leave --store out" in capfd.readouterr().err


def test_trials_that_fit_no_machine_are_refused(
    tiny_corpus: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    arguments = ("--data", str(tiny_corpus), "--home", str(tmp_path / "home"), "--cpus", "64")
    assert call(monkeypatch, "run", str(SMOKE), *arguments) == 1
    assert "pass --cpus and --gpus" in capfd.readouterr().err
    assert not (tmp_path / "home" / "studies").exists()
    assert not ray.is_initialized()
