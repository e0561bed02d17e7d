"""Exported models: they predict what training predicted, and damaged or foreign ones are refused."""

import json
import re
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
import torch

from acl import features
from acl.config import SUPERVISED
from acl.data.audio import read_mono
from acl.data.fsdnoisy18k import read_corpus
from acl.exported import load_exported, write_exported
from acl.exported_files import CLASSIFIER_FILE, CONFIG_FILE, ENCODER_FILE, LABELS_FILE
from acl.patches.table import tabulate_patches
from acl.system.errors import CheckpointError, ExportedError
from acl.training import EpochResult, fit
from acl.training.pretraining import PretrainingStage
from acl.training.selected_weights import learned_from, selected_weights
from acl.training.self_supervised import SelfSupervisedSetup
from acl.training.supervised import SupervisedStage
from support.changed_features import replace_features
from support.training_runs import MODES, config

TOLERANCE = 2e-6  # as a share of the largest value: float32, the front end anew, and patches in other batches


@pytest.fixture(scope="module", params=MODES)
def exported(request: pytest.FixtureRequest, tiny_corpus: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """A finished run, and the folder of its exported model."""
    folder = tmp_path_factory.mktemp("run")
    *_, last = fit(config(request.param, tiny_corpus), folder / "state")
    selected = selected_weights(folder / "state")
    data = learned_from(selected)
    (folder / "model").mkdir()
    weights = {ENCODER_FILE: selected.encoder} | ({CLASSIFIER_FILE: selected.classifier} if selected.classifier else {})
    write_exported(folder / "model", selected.config, weights, data.standardise, data.store.classes, {"corpus": "tiny"})
    return {"model": folder / "model", "state": folder / "state", "config": selected.config, "last": last}


def embeddings_of_training(exported: dict[str, Any]) -> dict[str, np.ndarray]:
    """Test clip → mean embedding, by the code that trains, from the feature store."""
    weights = torch.load(next(exported["state"].glob("stage-*.pt")), weights_only=True)["weights"]
    data = learned_from(selected_weights(exported["state"]))
    test = data.splits.test
    if exported["config"].mode == SUPERVISED:
        stage = SupervisedStage(exported["config"])
        table = tabulate_patches(data.store, test, features.testing_patch_starts, SUPERVISED)
        stage.model.load_state_dict(weights)
        patches = stage.reader.read(table.starts)
        with torch.no_grad():
            embeddings = stage.model.eval()(data.standardise(patches))[1]
    else:
        assert isinstance(data, SelfSupervisedSetup)
        table, pretraining = data.test_patches, PretrainingStage(data)
        pretraining.model.load_state_dict({name: weight for name, weight in weights.items() if not name.startswith("probe.")})
        embeddings = data.forward(pretraining.encoder, table)
    return {str(data.store.names[clip]): embeddings[table.clip == at].mean(0).numpy() for at, clip in enumerate(test)}


def test_embeddings_of_the_corpus_are_those_of_the_feature_store(exported: dict[str, Any], tiny_corpus: Path) -> None:
    model = load_exported(exported["model"])
    expected = embeddings_of_training(exported)
    clips = {clip.name: clip for clip in read_corpus(tiny_corpus).clips if clip.split == "test"}
    assert set(expected) == set(clips)
    differences = [np.abs(model.embed(*read_mono(clips[name].path)).numpy() - expected[name]).max() for name in clips]
    values = np.stack(list(expected.values()))
    assert max(differences) < TOLERANCE * np.abs(values).max()
    assert np.ptp(values, axis=0).max() > 1000 * TOLERANCE * np.abs(values).max()  # clips differ


def test_probabilities_equal_the_predictions_of_the_run(exported: dict[str, Any], tiny_corpus: Path) -> None:
    model, last = load_exported(exported["model"]), exported["last"]
    assert isinstance(last, EpochResult)
    rows = [row for row in last.predictions if (row.evaluation, row.split) == ("classifier", "test")]
    assert rows
    assert model.classes == last.classes
    for row in rows[::6]:
        probabilities = model.analyse(*read_mono(tiny_corpus / "FSDnoisy18k.audio_test" / row.clip)).probabilities
        assert probabilities is not None
        assert probabilities.tolist() == pytest.approx(row.probabilities, abs=1e-4)


def test_any_recording_has_an_embedding(exported: dict[str, Any], tiny_corpus: Path, tmp_path: Path) -> None:
    model = load_exported(exported["model"])
    samples, rate = read_mono(next(iter(sorted((tiny_corpus / "FSDnoisy18k.audio_test").iterdir()))))
    soundfile.write(tmp_path / "stereo.wav", np.stack([samples, np.zeros_like(samples)], axis=1), rate, subtype="FLOAT")
    mixed = model.embed(*read_mono(tmp_path / "stereo.wav"))
    assert torch.allclose(mixed, model.embed(samples.astype(np.float32) / 2, rate), atol=1e-4)
    for seconds, rate in ((0.01, 8000), (3.7, 48000)):
        embedding = model.embed(np.random.default_rng(0).standard_normal(round(seconds * rate)), rate)
        assert embedding.shape == (model.embedding_dim,)
        assert embedding.dtype == torch.float32
        assert embedding.isfinite().all()
    with pytest.raises(ValueError, match="0 samples"):
        model.embed(np.empty(0), 44100)


def test_a_damaged_or_foreign_folder_is_refused(exported: dict[str, Any], tmp_path: Path) -> None:
    def broken(name: str) -> Path:
        return Path(shutil.copytree(exported["model"], tmp_path / name))

    with pytest.raises(ExportedError, match=r"has no config\.json; name a folder that `acl-study export` wrote"):
        load_exported(tmp_path)
    folder = broken("weights")
    content = bytearray((folder / ENCODER_FILE).read_bytes())
    content[-1] ^= 1
    (folder / ENCODER_FILE).write_bytes(content)
    with pytest.raises(ExportedError, match="is not the file that was exported"):
        load_exported(folder)
    folder = broken("front end")
    about = json.loads((folder / CONFIG_FILE).read_text())
    about["front_end"]["hop_samples"] += 1
    (folder / CONFIG_FILE).write_text(json.dumps(about))
    with pytest.raises(ExportedError, match="another front end"):
        load_exported(folder)
    folder = broken("labels")
    (folder / LABELS_FILE).write_text('["Rain"]')
    with pytest.raises(ExportedError, match=r"is damaged .*; export the run again"):
        load_exported(folder)


def test_an_unfinished_run_exports_its_best_weights_so_far(tiny_corpus: Path, tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="no epoch has ended"):
        selected_weights(tmp_path)
    run = fit(config("self-supervised", tiny_corpus, optim__epochs=4), tmp_path)
    for _ in range(2):
        record = next(run)
    run.close()
    selected = selected_weights(tmp_path)
    assert (selected.is_tested, selected.epochs_trained, selected.classifier) == (False, 2, {})
    assert selected.epoch in (1, 2)
    assert selected.figures["val.knn_accuracy"] == record.metrics["val.knn_accuracy"]
    assert not [name for name in selected.figures if name.startswith("test.")]
    assert not [name for name in selected.encoder if re.search("head|layers", name)]
    elsewhere = tmp_path / "elsewhere"
    shutil.copytree(tiny_corpus / "features", elsewhere / "features")
    replace_features(elsewhere / "features" / "self-supervised")
    state = torch.load(tmp_path / "checkpoint.pt", weights_only=True)
    state["config"]["data.root"] = str(elsewhere)
    torch.save(state, tmp_path / "checkpoint.pt")
    with pytest.raises(CheckpointError, match="no longer holds the features"):
        learned_from(selected_weights(tmp_path))
