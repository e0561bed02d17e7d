"""Whole studies on wav files through Ray, Optuna and MLflow, started the way a user starts them: by the command line."""

import contextlib
import csv
import importlib.metadata
import io
import json
import shutil
import signal
import socket
import time
import urllib.request
from pathlib import Path

import mlflow
import pytest
import yaml

from acl.store import FeatureStore
from analysis.runs import load_trials
from command_line import SMOKE, acl_study, epochs_logged, runs, store
from empty_store import with_store
from study import record_names as names

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def finished_home(tiny_corpus: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The smoke study, run to its end."""
    home: Path = with_store(tmp_path_factory.mktemp("finished") / "home")
    process = acl_study("run", SMOKE, "--data", tiny_corpus, "--home", home)
    assert process.returncode == 0, process.err  # type: ignore[attr-defined]
    assert "report smoke" in process.out  # type: ignore[attr-defined]
    assert "finished (2 of 2)" in process.err  # type: ignore[attr-defined]  # a log file shows how far the study is
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
        assert "test.class_accuracy.Coin_dropping" in trial.data.metrics  # MLflow allows no parentheses
    assert evaluations == {"classifier", "knn", "finetune_noisy", "finetune_clean"}


def test_each_trial_says_what_its_numbers_come_from(finished_home: Path, tiny_corpus: Path) -> None:
    for trial in runs(finished_home, names.KIND_TRIAL):
        (launch,) = json.loads(mlflow.artifacts.load_text(f"{trial.info.artifact_uri}/{names.PROVENANCE_FILE}"))
        tags, mode = trial.data.tags, trial.data.params["mode"]
        metadata = FeatureStore.open(tiny_corpus, mode).metadata  # type: ignore[arg-type]
        assert tags[names.CORPUS_SHA256] == metadata["corpus_sha256"] == launch["corpus_sha256"]
        assert tags[names.FEATURES_SHA256] == metadata["content_sha256"] == launch["features_sha256"]
        assert launch["seed"] == int(trial.data.params["seed"])
        assert launch["device"] == "cpu"
        code = launch["code"]
        assert tags[names.GIT_COMMIT] == (code["git_commit"] or f"none ({code.get('no_commit_because')})")
        assert tags[names.GIT_DIRTY] == {True: "true", False: "false", None: "unknown"}[code["git_dirty"]]
        for name in ("torch", "ray", "optuna", "mlflow"):
            assert f"{name} {importlib.metadata.version(name)}" in tags[names.VERSIONS]
        assert "cores" in tags[names.HARDWARE]


def test_optuna_sampled_alpha_margin_and_temperature_within_the_space(finished_home: Path) -> None:
    trials = load_trials(store(finished_home), ["smoke"])
    sampled = trials[trials["sweep"] == "search-ssl"]
    assert sampled["loss.alpha"].between(0.1, 0.9).all()
    assert sampled["loss.temperature"].between(0.05, 1.0).all()
    assert sampled["loss.margin"].nunique() == 3


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


def test_running_a_finished_study_again_adds_nothing_and_a_changed_one_is_refused(finished_home: Path, tiny_corpus: Path) -> None:
    before = {run.info.run_id: run.info.end_time for run in runs(finished_home, names.KIND_TRIAL)}
    again = acl_study("run", SMOKE, "--data", tiny_corpus, "--home", finished_home)
    assert again.returncode == 0, again.err  # type: ignore[attr-defined]
    assert {run.info.run_id: run.info.end_time for run in runs(finished_home, names.KIND_TRIAL)} == before
    changed = acl_study("run", SMOKE, "--data", tiny_corpus, "--home", finished_home, "--set", "loss.margin=0.7")
    assert changed.returncode == 1
    assert "\n- sweeps.search-ssl.space.loss.margin.uniform [0.1, 1.0]\n" in changed.err  # type: ignore[attr-defined]
    assert "\n+ sweeps.search-ssl.base.loss.margin 0.7\n" in changed.err  # type: ignore[attr-defined]
    assert "give it another --name" in changed.err  # type: ignore[attr-defined]
    assert "Traceback" not in changed.err  # type: ignore[attr-defined]


def test_the_report_command_writes_a_page_with_tables(finished_home: Path, tmp_path: Path) -> None:
    process = acl_study("report", "smoke", "--home", finished_home, "--out", tmp_path / "report")
    assert process.returncode == 0, process.err  # type: ignore[attr-defined]
    assert "Synthetic corpus" in (tmp_path / "report" / "index.html").read_text()
    rows = list(csv.DictReader((tmp_path / "report" / "table1.csv").read_text().splitlines()))
    (clean,) = [row for row in rows if row["subset"] == "clean"]
    accuracies = [
        run.data.metrics[names.TEST_ACCURACY]
        for run in runs(finished_home, names.KIND_TRIAL)
        if run.data.params["mode"] == "supervised"
    ]
    assert sorted([float(clean["baseline_accuracy"]), float(clean["acl_accuracy"])]) == pytest.approx(sorted(accuracies))


def test_mlflow_has_the_report_and_the_answer_below_the_question(finished_home: Path, tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("no file of the report")
    assert acl_study("report", "smoke", "--home", finished_home, "--out", tmp_path).returncode == 0
    (study,) = runs(finished_home, names.KIND_STUDY)
    facts = json.loads((tmp_path / "report.json").read_text())
    note = study.data.tags["mlflow.note.content"]
    assert note.index(study.data.tags[names.QUESTION]) < note.index(facts["answer"])
    logged = mlflow.MlflowClient(store(finished_home)).list_artifacts(study.info.run_id, "report")
    assert {Path(each.path).name for each in logged} == {path.name for path in tmp_path.iterdir()} - {"mine.txt"}
    assert mlflow.artifacts.load_text(f"{study.info.artifact_uri}/report/index.html") == (tmp_path / "index.html").read_text()


@pytest.mark.browser
@pytest.mark.skipif(not shutil.which("chromium"), reason="chromium is not installed")
def test_mlflow_has_the_figures_beside_the_report(finished_home: Path, tmp_path: Path) -> None:
    process = acl_study("figures", "smoke", "--home", finished_home, "--out", tmp_path, "--format", "svg")
    assert process.returncode == 0, process.err  # type: ignore[attr-defined]
    (study,) = runs(finished_home, names.KIND_STUDY)
    logged = mlflow.MlflowClient(store(finished_home)).list_artifacts(study.info.run_id, "report/figures")
    assert {Path(each.path).name for each in logged} == {path.name for path in tmp_path.iterdir()}
    assert "report/figures/curves.svg" in {each.path for each in logged}


def test_the_ui_serves_the_records_until_ctrl_c(finished_home: Path) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    process = acl_study("ui", "--home", finished_home, "--port", port, wait=False)
    try:
        address = f"http://127.0.0.1:{port}/api/2.0/mlflow/experiments/get-by-name?experiment_name={names.EXPERIMENT}"
        answer = None
        deadline = time.monotonic() + 90
        while answer is None:
            assert time.monotonic() < deadline
            with contextlib.suppress(OSError), urllib.request.urlopen(address, timeout=5) as page:
                answer = json.loads(page.read())
            time.sleep(0.2)
        assert answer["experiment"]["name"] == names.EXPERIMENT
        second = acl_study("ui", "--home", finished_home, "--port", port)
        assert second.returncode == 1
        assert second.err.startswith(f"error: port {port} is taken")  # type: ignore[attr-defined]
    finally:
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=60)
    assert process.returncode == 0
    assert "Traceback" not in err
    with socket.socket() as now_free:
        now_free.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        now_free.bind(("127.0.0.1", port))


def test_a_store_of_its_own_is_remembered_and_a_deleted_folder_starts_anew(tiny_corpus: Path, tmp_path: Path) -> None:
    home, database = tmp_path / "home", tmp_path / "elsewhere" / "records.db"
    database.parent.mkdir()
    content = yaml.safe_load(SMOKE.read_text())
    content["sweeps"] = [content["sweeps"][0] | {"space": {"loss.alpha": {"grid": [0.5]}}}]
    study = tmp_path / "study.yaml"
    study.write_text(yaml.safe_dump(content))
    launch = ("run", study, "--data", tiny_corpus, "--home", home, "--store", f"sqlite:///{database}")
    assert acl_study(*launch).returncode == 0
    assert list(database.parent.glob("artifacts/*/artifacts/predictions.csv"))
    assert not (home / "mlflow.db").exists()
    assert acl_study("report", "smoke", "--home", home).returncode == 0
    shutil.rmtree(home / "studies" / "smoke")
    again = acl_study(*launch)
    assert again.returncode == 0, (again.out, again.err)  # type: ignore[attr-defined]
    elsewhere = acl_study("resume", "smoke", "--home", home, "--store", f"sqlite:///{tmp_path / 'other.db'}")
    assert elsewhere.returncode == 1
    assert "leave --store out" in elsewhere.err  # type: ignore[attr-defined]


def test_trials_that_fit_no_machine_are_refused(tiny_corpus: Path, tmp_path: Path) -> None:
    process = acl_study("run", SMOKE, "--data", tiny_corpus, "--home", tmp_path / "home", "--gpus", "64")
    assert process.returncode == 1
    assert "pass --cpus and --gpus" in process.err  # type: ignore[attr-defined]
    assert not (tmp_path / "home" / "studies").exists()


def test_a_failing_trial_is_reported_and_the_others_finish(tiny_corpus: Path, tmp_path: Path) -> None:
    home = tmp_path / "home"
    study = tmp_path / "study.yaml"
    study.write_text(
        yaml.safe_dump(
            {
                "name": "half",
                "question": "What happens to a trial that diverges?",
                "profile": "mini",
                "base": {"mode": "self-supervised", "model.width": 4, "optim.epochs": 2, "probe.epochs": 2, "knn.k": 5},
                "space": {"optim.lr": {"grid": [0.03, 1.0e30]}},
            }
        )
    )
    process = acl_study("run", study, "--data", tiny_corpus, "--home", home)
    assert process.returncode == 1
    assert "lower optim.lr" in process.err  # type: ignore[attr-defined]
    assert "Traceback" not in process.err  # type: ignore[attr-defined]
    outcomes = {trial.data.tags[names.OUTCOME]: trial for trial in runs(home, names.KIND_TRIAL)}
    assert set(outcomes) == {names.FINISHED, names.FAILED}
    assert "lower optim.lr" in outcomes[names.FAILED].data.tags[names.REASON]
    assert outcomes[names.FAILED].info.status == "FAILED"
