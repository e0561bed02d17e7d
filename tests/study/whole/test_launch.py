"""Whole studies on wav files through Ray, Optuna and MLflow, started the way a user starts them: by the command line."""

import csv
import importlib.metadata
import io
import json
import shutil
import sqlite3
import threading
from pathlib import Path

import mlflow
import pytest
import ray
import yaml

from acl.store.feature_store import FeatureStore
from acl.system.processes import available_cores
from analysis.records.runs import load_trials
from study import names
from study.state.home import Home
from support.command_line import SMOKE, acl_study, call
from support.mlflow_records import epochs_logged, runs, store, with_empty_store
from support.shared_ray import join_here, variables
from support.studies_without_training import end_study, study_of
from support.study_integrity import journals

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def finished_home(tiny_corpus: Path, tmp_path_factory: pytest.TempPathFactory, shared_ray: str) -> Path:
    """The smoke study, run to its end, one trial at a time: a second worker loads everything once more."""
    home: Path = with_empty_store(tmp_path_factory.mktemp("finished") / "home")
    process = acl_study("run", SMOKE, "--data", tiny_corpus, "--cpus", 2, "--home", home, env=variables(shared_ray))
    assert process.returncode == 0, process.err
    assert "report smoke" in process.out
    assert "finished (2 of 2)" in process.err  # a log file shows how far the study is
    assert process.err.count("trials run at nice 15") == 1
    return home


def test_records_are_one_study_run_with_its_trials(finished_home: Path) -> None:
    (study,) = runs(finished_home, names.KIND_STUDY)
    trials = runs(finished_home, names.KIND_TRIAL)
    assert study.info.status == "FINISHED"
    assert study.data.tags[names.CORPUS_IS_SYNTHETIC] == "true"
    assert study.data.tags[names.QUESTION].startswith("Does the whole way")
    assert len(trials) == 6
    assert {trial.data.tags["mlflow.parentRunId"] for trial in trials} == {study.info.run_id}
    assert {trial.data.tags[names.SWEEP] for trial in trials} == {"supervised", "search-ssl", "protocols"}
    launched = mlflow.artifacts.load_text(f"{study.info.artifact_uri}/{names.STUDY_FILE}")
    assert yaml.safe_load(launched)["name"] == "smoke"


def test_each_trial_has_every_setting_and_one_step_per_epoch(finished_home: Path) -> None:
    for trial in runs(finished_home, names.KIND_TRIAL):
        assert trial.info.status == "FINISHED"
        steps = epochs_logged(finished_home, trial)
        epochs = int(trial.data.params["optim.epochs"])
        assert steps == list(range(1, len(steps) + 1))
        assert (len(steps) == epochs) == (trial.data.tags[names.OUTCOME] == names.FINISHED)
        config = json.loads(mlflow.artifacts.load_text(f"{trial.info.artifact_uri}/{names.CONFIG_FILE}"))
        assert {name: str(value) for name, value in config.items()} == trial.data.params
        assert {"loss.alpha", "loss.margin", "seed", "data.root"} <= set(config)


def test_predictions_of_a_trial_give_its_logged_test_accuracies(finished_home: Path, tiny_corpus: Path) -> None:
    finished = [trial for trial in runs(finished_home, names.KIND_TRIAL) if trial.data.tags[names.OUTCOME] == names.FINISHED]
    classes = FeatureStore.open(tiny_corpus, "supervised").classes
    evaluations = set()
    for trial in finished:
        text = mlflow.artifacts.load_text(f"{trial.info.artifact_uri}/{names.PREDICTIONS_FILE}")
        rows = [row for row in csv.DictReader(io.StringIO(text)) if row[names.PREDICTION_SPLIT] == "test"]
        for evaluation in {row[names.PREDICTION_EVALUATION] for row in rows}:
            own = [row for row in rows if row[names.PREDICTION_EVALUATION] == evaluation]
            right = sum(row[names.PREDICTION_LABEL] == row[names.PREDICTION_PREDICTED] for row in own)
            metric = "test.accuracy" if evaluation == names.EVALUATION_CLASSIFIER else f"test.{evaluation}_accuracy"
            assert right / len(own) == pytest.approx(trial.data.metrics[metric])
            evaluations.add(evaluation)
        for row in rows:
            shares = [float(row[names.PREDICTION_PROBABILITY_PREFIX + name]) for name in classes]
            assert sum(shares) == pytest.approx(1, abs=1e-3)
            assert float(row[names.PREDICTION_PROBABILITY_PREFIX + row[names.PREDICTION_PREDICTED]]) == max(shares)
        assert "class_accuracy/test.Coin_dropping" in trial.data.metrics  # MLflow allows no parentheses
    assert evaluations == {"classifier", "knn", "finetune_noisy", "finetune_clean"}


def test_each_trial_says_what_its_numbers_come_from(finished_home: Path, tiny_corpus: Path) -> None:
    for trial in runs(finished_home, names.KIND_TRIAL):
        (launch,) = json.loads(mlflow.artifacts.load_text(f"{trial.info.artifact_uri}/{names.PROVENANCE_FILE}"))
        tags, mode = trial.data.tags, trial.data.params["mode"]
        metadata = FeatureStore.open(tiny_corpus, mode).metadata  # type: ignore[arg-type]
        assert tags[names.CORPUS_SHA256] == metadata["corpus_sha256"] == launch["corpus_sha256"]
        assert tags[names.FEATURES_SHA256] == metadata["content_sha256"] == launch["features_sha256"]
        assert tags[names.CLIPS_LEFT_OUT] == "0"
        assert launch["seed"] == int(trial.data.params["seed"])
        assert launch["device"] == "cpu"
        code = launch["code"]
        assert tags[names.GIT_COMMIT] == (code["git_commit"] or f"none ({code.get('no_commit_because')})")
        assert tags[names.GIT_DIRTY] == {True: "true", False: "false", None: "unknown"}[code["git_dirty"]]
        for name in ("torch", "ray", "optuna", "mlflow"):
            assert f"{name} {importlib.metadata.version(name)}" in tags[names.VERSIONS]
        assert "cores" in tags[names.HARDWARE]


def test_optuna_sampled_within_the_space(finished_home: Path) -> None:
    trials = load_trials(store(finished_home), ["smoke"])
    sampled = trials[trials["sweep"] == "search-ssl"]
    assert sampled["loss.alpha"].between(0.1, 0.9).all()
    assert sampled["loss.temperature"].between(0.05, 1.0).all()
    assert sampled["loss.margin"].nunique() == 3


def test_one_trial_at_most_waits_for_room(finished_home: Path) -> None:
    for events in journals(finished_home, "smoke").values():
        under_way, most = set(), 0
        for event in events:
            if event["event"] == "trial":
                under_way.add(event["trial"])
            elif event["event"] == "end":
                under_way.discard(event["trial"])
            most = max(most, len(under_way))
        assert 1 <= most <= available_cores() // 2 + 1


def test_the_scheduler_stops_trials_in_pre_training_only(finished_home: Path) -> None:
    trials = load_trials(store(finished_home), ["smoke"])
    sampled = trials[trials["sweep"] == "search-ssl"]
    for trial in sampled.to_dict("records"):
        pretraining_epochs = len(epochs_logged(finished_home, mlflow.MlflowClient(store(finished_home)).get_run(trial["run_id"])))
        if trial["outcome"] == names.STOPPED:
            assert pretraining_epochs < 3
        else:
            assert pretraining_epochs == 3
            assert trial["test.finetune_clean_accuracy"] >= 0
    assert names.FINISHED in set(sampled["outcome"])


def test_a_finished_study_adds_nothing_when_it_is_run_again(
    finished_home: Path, tiny_corpus: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    before = {run.info.run_id: run.info.end_time for run in runs(finished_home, names.KIND_TRIAL)}
    again = ("run", str(SMOKE), "--data", str(tiny_corpus), "--home", str(finished_home))
    assert call(monkeypatch, *again) == 0, capfd.readouterr().err
    assert not ray.is_initialized()
    assert {run.info.run_id: run.info.end_time for run in runs(finished_home, names.KIND_TRIAL)} == before
    assert call(monkeypatch, *again, "--set", "loss.margin=0.7") == 1
    err = capfd.readouterr().err
    assert "\n- sweeps.search-ssl.space.loss.margin.uniform [0.1, 1.0]\n" in err
    assert "\n+ sweeps.search-ssl.base.loss.margin 0.7\n" in err
    assert "give it another --name" in err
    assert "Traceback" not in err


@pytest.fixture(scope="module")
def report(finished_home: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of the study's report, in which a file of somebody else lies."""
    folder = tmp_path_factory.mktemp("report")
    (folder / "mine.txt").write_text("no file of the report")
    process = acl_study("report", "smoke", "--home", finished_home, "--out", folder)
    assert process.returncode == 0, process.err
    return folder


def test_the_report_command_writes_a_page_with_tables(finished_home: Path, report: Path) -> None:
    assert "Synthetic corpus" in (report / "index.html").read_text()
    rows = list(csv.DictReader((report / "table1.csv").read_text().splitlines()))
    (clean,) = [row for row in rows if row["subset"] == "clean"]
    accuracies = [
        run.data.metrics[names.TEST_ACCURACY]
        for run in runs(finished_home, names.KIND_TRIAL)
        if run.data.params["mode"] == "supervised"
    ]
    assert sorted([float(clean["baseline_accuracy"]), float(clean["acl_accuracy"])]) == pytest.approx(sorted(accuracies))


def test_mlflow_has_the_report_and_the_answer_below_the_question(finished_home: Path, report: Path) -> None:
    (study,) = runs(finished_home, names.KIND_STUDY)
    facts = json.loads((report / "report.json").read_text())
    note = study.data.tags["mlflow.note.content"]
    assert note.index(study.data.tags[names.QUESTION]) < note.index(facts["answer"])
    logged = mlflow.MlflowClient(store(finished_home)).list_artifacts(study.info.run_id, "report")
    assert {Path(each.path).name for each in logged} == {path.name for path in report.iterdir()} - {"mine.txt"}
    assert mlflow.artifacts.load_text(f"{study.info.artifact_uri}/report/index.html") == (report / "index.html").read_text()


@pytest.mark.browser
@pytest.mark.skipif(not shutil.which("chromium"), reason="chromium is not installed")
def test_mlflow_has_the_figures_beside_the_report(
    finished_home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    figures = ("figures", "smoke", "--home", str(finished_home), "--out", str(tmp_path), "--format", "svg")
    assert call(monkeypatch, *figures) == 0, capfd.readouterr().err
    (study,) = runs(finished_home, names.KIND_STUDY)
    logged = mlflow.MlflowClient(store(finished_home)).list_artifacts(study.info.run_id, "report/figures")
    assert {Path(each.path).name for each in logged} == {path.name for path in tmp_path.iterdir()}
    assert "report/figures/curves.svg" in {each.path for each in logged}


def test_a_locked_or_missing_store_costs_no_training_or_record(
    finished_home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    home: Path = shutil.copytree(finished_home, tmp_path / "home")
    before = {trial.data.tags[names.TRIAL_ID]: (trial.data.metrics, trial.data.params) for trial in runs(home, names.KIND_TRIAL)}
    (first,) = runs(home, names.KIND_STUDY)
    assert first.outputs is not None
    assert set(first.data.tags[names.WINNERS].split(", ")) <= {output.model_id for output in first.outputs.model_outputs}

    lock = sqlite3.connect(home / "mlflow.db", isolation_level=None, check_same_thread=False)
    lock.execute("BEGIN EXCLUSIVE")
    release = threading.Timer(12, lock.close)  # which rolls back
    release.start()
    assert call(monkeypatch, "resume", "smoke", "--home", str(home)) == 0
    release.join()
    assert "unexpected" not in capfd.readouterr().err

    (home / "mlflow.db").rename(tmp_path / "gone.db")
    process = acl_study("resume", "smoke", "--home", home)
    assert process.returncode == 0, process.err
    assert "it is written anew from the journals" in process.err
    assert "winners with:" in process.out
    shutil.copy(home / "mlflow.db", tmp_path / "new.db")  # this process still has the other one open under its name
    new = f"sqlite:///{tmp_path / 'new.db'}"
    (second,) = runs(home, names.KIND_STUDY, new)
    assert (second.info.status, second.info.run_id == first.info.run_id) == ("FINISHED", False)
    after = {
        trial.data.tags[names.TRIAL_ID]: (trial.data.metrics, trial.data.params) for trial in runs(home, names.KIND_TRIAL, new)
    }
    assert after == before


HALF = {
    "name": "half",
    "question": "What happens to a trial that diverges?",
    "profile": "mini",
    "base": {"mode": "self-supervised", "model.width": 4, "optim.epochs": 2, "probe.epochs": 2, "knn.k": 5},
    "space": {"optim.lr": {"grid": [0.03, 1.0e30]}},
}


def test_a_failing_trial_is_reported_and_the_others_finish(
    tiny_corpus: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str], shared_ray: str
) -> None:
    join_here(shared_ray, monkeypatch)
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
