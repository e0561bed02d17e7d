"""Weights of a run: exported by name, refused where they would mislead, used to embed, logged as an MLflow model."""

import csv
import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import mlflow
import numpy as np
import pandas as pd
import pytest
import soundfile
import yaml
from mlflow.entities import Metric, Param
from mlflow.protos.databricks_pb2 import ENDPOINT_NOT_FOUND

from acl.config import flatten
from acl.exported import load_exported
from acl.exported_files import CONFIG_FILE, ENCODER_FILE, LABELS_FILE
from acl.store.feature_store import FeatureStore
from acl.training import fit
from analysis.errors import AnalysisError
from analysis.stats.intervals import wilson_interval
from study import names
from study.errors import RecordError, StoreUnavailableError, StudyError
from study.models import export
from study.models.card import CARD_FILE
from study.models.export import export_trial
from study.state.home import Home
from study.tracking.models import log_winner, name_winners
from study.tracking.winners import Winner, register_winners
from support.command_line import call
from support.mlflow_records import with_empty_store
from support.training_runs import config

STUDY, SWEEP = "toy", "a sweep"


@dataclass(frozen=True)
class Recorded:
    """A home with the records and the states of some trials."""

    home: Home
    study_run: str
    runs: Mapping[str, str]  # trial → MLflow run


@pytest.fixture(scope="module")
def recorded(tiny_corpus: Path, tmp_path_factory: pytest.TempPathFactory) -> Recorded:
    """Trials "done" (self-supervised), "stopped" after its first epoch (supervised), and "lost", which kept no state."""
    home = Home(with_empty_store(tmp_path_factory.mktemp("home")))
    client = mlflow.MlflowClient(home.store_uri)
    experiment = client.create_experiment(names.EXPERIMENT, artifact_location=(home.root / "artifacts").as_uri())
    study_run = client.create_run(experiment, tags={names.KIND: names.KIND_STUDY, names.STUDY: STUDY}).info.run_id
    runs = {}
    for trial, mode, outcome in (
        ("done", "self-supervised", names.FINISHED),
        ("stopped", "supervised", names.STOPPED),
        ("lost", "supervised", names.FAILED),
    ):
        settings = config(mode, tiny_corpus)
        tags = {names.KIND: names.KIND_TRIAL, names.STUDY: STUDY, names.SWEEP: SWEEP, names.TRIAL_ID: trial, names.OUTCOME: outcome}
        runs[trial] = run_id = client.create_run(experiment, tags=tags | {names.STUDY_RUN: study_run}).info.run_id
        client.log_batch(run_id, params=[Param(name, str(value)) for name, value in flatten(settings).items()])
        if trial == "lost":
            continue
        for result in fit(settings, home.trial_state(STUDY, SWEEP, trial)):
            logged = {name: value for name, value in result.metrics.items() if "class_accuracy" not in name}
            client.log_batch(run_id, [Metric(name, value, 1000 + result.epoch, result.epoch) for name, value in logged.items()])
            if outcome == names.STOPPED:
                break
    return Recorded(home, study_run, runs)


@pytest.fixture(scope="module")
def model(recorded: Recorded, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The finished trial, exported."""
    folder = tmp_path_factory.mktemp("exported") / "model"
    export_trial(recorded.runs["done"][:8], folder, recorded.home, recorded.home.store_uri)
    return folder


def card(folder: Path) -> tuple[dict[str, Any], str]:
    """Front matter and text of a model card."""
    _, front, text = (folder / CARD_FILE).read_text().split("---\n", 2)
    return yaml.safe_load(front), text


def test_the_card_states_results_settings_and_provenance(recorded: Recorded, model: Path, tiny_corpus: Path) -> None:
    front, text = card(model)
    metrics = mlflow.MlflowClient(recorded.home.store_uri).get_run(recorded.runs["done"]).data.metrics
    clips = json.loads((model / CONFIG_FILE).read_text())["corpus"]["clips"]
    for name, split, clips_of in (("test.accuracy", "test", "test"), ("val.knn_accuracy", "val", "validation")):
        low, high = wilson_interval(metrics[name], clips[split])
        shown = f"{clips[split]} {clips_of} | {100 * metrics[name]:.1f} % | {100 * low:.1f} – {100 * high:.1f} % |"
        assert shown in text
    assert front["model-index"][0]["results"][0]["metrics"][0]["value"] == pytest.approx(metrics["test.accuracy"], abs=1e-4)
    assert hashlib.sha256((model / ENCODER_FILE).read_bytes()).hexdigest() in text
    store = FeatureStore.open(tiny_corpus, "self-supervised")
    assert store.metadata["corpus_sha256"] in text
    assert json.loads((model / LABELS_FILE).read_text()) == list(store.classes)
    for part in (
        "`model.width` is 4 (recipe: 64)",
        "kNN labels",
        "no claim of superiority",
        "The corpus is synthetic",
        f"MLflow run `{recorded.runs['done']}`",
        "torch ",
        "seed 0",
    ):
        assert part in text, part
    assert str(tiny_corpus) not in text + (model / CONFIG_FILE).read_text()  # a path of the machine that trained


def test_a_stopped_trial_is_exported_as_not_tested(recorded: Recorded, tmp_path: Path) -> None:
    export_trial(f"{STUDY}/stopped", tmp_path / "model", recorded.home, recorded.home.store_uri)
    front, text = card(tmp_path / "model")
    assert "stopped after epoch 1 of 2, not tested" in text
    assert "model-index" not in front
    assert " test |" not in text
    assert " validation | " in text
    assert load_exported(tmp_path / "model").embedding_dim == 48


def test_what_cannot_be_exported_is_refused_and_leaves_nothing(
    recorded: Recorded, model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    target, store = tmp_path / "model", recorded.home.store_uri
    for reference, error, message in (
        (f"{STUDY}/lost", StudyError, "keeps no weights"),
        (f"{STUDY}/none", AnalysisError, "no trial 'toy/none'"),
        ("abcde", AnalysisError, "names no trial; pass an MLflow run id"),
        ("f" * 32, AnalysisError, "no trial"),
        (recorded.study_run, AnalysisError, "no trial"),
    ):
        with pytest.raises(error, match=message):
            export_trial(reference, target, recorded.home, store)
    with pytest.raises(StudyError, match="not empty; name a new folder"):
        export_trial(f"{STUDY}/done", model, recorded.home, store)

    def full(*arguments: object) -> str:
        raise OSError("No space left on device")

    monkeypatch.setattr(export, "model_card", full)  # the last file: all others are written
    with pytest.raises(OSError, match="No space left"):
        export_trial(f"{STUDY}/done", target, recorded.home, store)
    assert list(tmp_path.iterdir()) == []


def test_embed_writes_a_row_a_file_and_names_what_it_cannot_read(
    model: Path, tiny_corpus: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    clips = sorted((tiny_corpus / "FSDnoisy18k.audio_test").iterdir())[:2]
    (tmp_path / "in" / "deep").mkdir(parents=True)
    for number, clip in enumerate(clips):
        samples, rate = soundfile.read(clip)
        soundfile.write(tmp_path / "in" / "deep" / f"{number}.flac", samples, rate)
    (tmp_path / "in" / "broken.wav").write_text("no audio")
    (tmp_path / "in" / "[red]gone\n.wav").symlink_to("nothing")
    soundfile.write(tmp_path / "in" / "odd rate.wav", np.zeros(10), 7_000)
    (tmp_path / "in" / "notes.txt").write_text("no audio either")
    table, sheet = tmp_path / "out" / "rows.npz", tmp_path / "rows.csv"
    assert call(monkeypatch, "embed", str(model), str(tmp_path / "in"), "--out", str(table)) == 1
    *said, last = (line for line in capsys.readouterr().err.splitlines() if "files 0:" not in line)
    for line, start in zip(
        said,
        (
            f"'{tmp_path}/in/[red]gone\\n.wav' cannot be read (No such file or directory); left out",
            f"{tmp_path}/in/broken.wav cannot be read as audio (Format not recognised); restore it or convert it",
            f"{tmp_path}/in/odd rate.wav has 7000 samples a second, 8000 to 192000 are read; ",
        ),
        strict=True,
    ):
        assert line.startswith(start)
    assert last == "3 of 5 files could not be used and have no row"
    with np.load(table) as rows:
        assert [Path(name).name for name in rows["names"]] == ["0.flac", "1.flac"]
        assert rows["embeddings"].shape == (2, 32)
        assert rows["probabilities"].sum(1) == pytest.approx(1)
        assert list(rows["predicted"]) == [rows["classes"][best] for best in rows["probabilities"].argmax(1)]
        assert call(monkeypatch, "embed", str(model), *map(str, clips), "--out", str(sheet)) == 0
        written = list(csv.reader(sheet.read_text().splitlines()))
        assert [row[0] for row in written] == ["name", *map(str, clips)]
        assert np.array([row[1:33] for row in written[1:]], dtype=float) == pytest.approx(rows["embeddings"], abs=1e-4)
    capsys.readouterr()
    for arguments, message in (
        ([str(tmp_path / "in" / "broken.wav"), "--out", str(tmp_path / "x.npz")], "none of 1 files could be used"),
        ([str(clips[0]), "--out", "x.parquet"], "ends in .npz or .csv"),
        ([str(tmp_path / "out")], "has no audio files"),
    ):
        assert call(monkeypatch, "embed", str(model), *arguments) == 1
        assert message in capsys.readouterr().err
    assert not (tmp_path / "x.npz").exists()


def test_the_winner_is_loaded_from_mlflow_with_its_accuracies(
    recorded: Recorded, model: Path, tiny_corpus: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    uri, run_id = recorded.home.store_uri, recorded.runs["done"]
    client = mlflow.MlflowClient(uri)
    history = client.get_metric_history(run_id, names.TEST_ACCURACY)
    capfd.readouterr()
    model_id = log_winner(uri, run_id, model)
    assert log_winner(uri, run_id, model) == model_id
    assert capfd.readouterr() == ("", "")
    assert client.get_metric_history(run_id, names.TEST_ACCURACY) == history  # not doubled
    corpus_sha256 = FeatureStore.open(tiny_corpus, "supervised").metadata["corpus_sha256"]
    for run in (client.get_run(run_id), client.get_run(recorded.study_run)):
        assert run.outputs is not None
        assert [output.model_id for output in run.outputs.model_outputs] == [model_id]
        (dataset,) = (entry.dataset for entry in run.inputs.dataset_inputs)
        assert corpus_sha256.startswith(dataset.digest)
        assert json.loads(dataset.source) == {"uri": str(tiny_corpus)}
        profile = json.loads(dataset.profile)
        assert (profile["corpus_sha256"], profile["classes"], profile["test clips"]) == (corpus_sha256, 20, 60)
    logged = client.get_logged_model(model_id)
    assert str(logged.status) == "READY"
    assert {metric.key: metric.value for metric in logged.metrics or []}[names.TEST_ACCURACY] == history[-1].value
    monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)
    clips = [str(path) for path in sorted((tiny_corpus / "FSDnoisy18k.audio_test").iterdir())[:2]]
    loaded = mlflow.pyfunc.load_model(f"models:/{model_id}")
    expected = [load_exported(model).embed(*soundfile.read(clip)).numpy() for clip in clips]
    for paths in (clips, pd.DataFrame({"path": clips})):
        predicted = loaded.predict(paths)
        assert predicted.dtype == np.float32
        assert np.array_equal(predicted, expected)
    assert loaded.metadata.signature.outputs.inputs[0].shape == (-1, 32)
    with pytest.raises(mlflow.exceptions.MlflowException, match="schema"):
        loaded.predict([1.0, 2.0])
    assert mlflow.pyfunc.load_model(f"runs:/{run_id}/{logged.name}").metadata.model_id == model_id


def test_a_winner_is_one_version_of_the_model_of_its_study(
    recorded: Recorded, model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    uri, run_id = recorded.home.store_uri, recorded.runs["done"]
    client = mlflow.MlflowClient(uri)
    card = (model / CARD_FILE).read_text()
    winner = Winner(log_winner(uri, run_id, model), run_id, "winner", card)
    for write in ("create_model_version", "set_logged_model_tags", "set_registered_model_alias"):
        with pytest.MonkeyPatch.context() as patch:  # killed before each of its steps
            patch.setattr(mlflow.MlflowClient, write, lambda *arguments, **others: (_ for _ in ()).throw(KeyboardInterrupt))
            with pytest.raises(KeyboardInterrupt):
                register_winners(uri, STUDY, "Does it help?", [winner])
    for _ in range(2):
        register_winners(uri, STUDY, "Does it help?", [winner])
    (version,) = client.search_model_versions(f"name = '{STUDY}'")
    assert (version.run_id, version.status) == (run_id, "READY")
    assert version.description.startswith(f"# {STUDY}, {SWEEP}, trial done")
    assert "## Accuracy" in version.description
    assert client.get_registered_model(STUDY).aliases == {"winner": version.version}
    monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)
    assert mlflow.pyfunc.load_model(f"models:/{STUDY}@winner").metadata.model_id == winner.model_id
    linked = json.loads(client.get_logged_model(winner.model_id).tags["mlflow.modelVersions"])
    assert linked == [{"name": STUDY, "version": int(version.version)}]
    with pytest.MonkeyPatch.context() as patch:  # a server without a registry
        gone = mlflow.exceptions.MlflowException("no such endpoint", ENDPOINT_NOT_FOUND)
        patch.setattr(mlflow.MlflowClient, "create_registered_model", lambda *arguments, **others: (_ for _ in ()).throw(gone))
        with pytest.raises(StoreUnavailableError, match="no such endpoint"):
            register_winners(uri, STUDY, "Does it help?", [winner])
    client.create_registered_model("somebody-elses")
    with pytest.raises(RecordError, match="of somebody else"):
        register_winners(uri, "somebody-elses", "Does it help?", [winner])


def test_a_kill_while_logging_leaves_one_model_in_the_end(
    recorded: Recorded, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    uri, run_id = recorded.home.store_uri, recorded.runs["stopped"]
    client = mlflow.MlflowClient(uri)
    export_trial(run_id, tmp_path / "model", recorded.home, uri)
    for write in ("log_model_artifacts", "finalize_logged_model", "log_outputs"):
        with pytest.MonkeyPatch.context() as patch:
            for later in ("finalize_logged_model", write):  # nothing marks what a killed process leaves
                if write != "log_outputs" or later == write:
                    patch.setattr(mlflow.MlflowClient, later, lambda *arguments, **others: (_ for _ in ()).throw(KeyboardInterrupt))
            with pytest.raises(KeyboardInterrupt):
                log_winner(uri, run_id, tmp_path / "model")
    model_id = log_winner(uri, run_id, tmp_path / "model")
    found = client.search_logged_models([client.get_run(run_id).info.experiment_id])
    assert [model.model_id for model in found if model.source_run_id == run_id] == [model_id]
    outputs = client.get_run(run_id).outputs
    assert outputs is not None
    assert [output.model_id for output in outputs.model_outputs] == [model_id]


def test_the_study_run_names_its_winner_of_today(recorded: Recorded) -> None:
    client = mlflow.MlflowClient(recorded.home.store_uri)
    for winner in ("m-first", "m-second"):  # a retry has changed it
        name_winners(recorded.home.store_uri, recorded.study_run, [winner])
        assert client.get_run(recorded.study_run).data.tags[names.WINNERS] == winner
