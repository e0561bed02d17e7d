"""Changed corpora, feature stores, checkpoints and exported models: each is used as it is, or refused in a line."""

import csv
import hashlib
import io
import json
import pickle
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from acl.config import SELF_SUPERVISED, SUPERVISED, ConfigError, build_config
from acl.data.fsdnoisy18k import read_corpus
from acl.exported import Exported, load_exported, write_exported
from acl.exported_files import CONFIG_FILE, ENCODER_FILE, LABELS_FILE
from acl.front_ends import FORMAT_VERSION
from acl.models import BaselineCnn
from acl.patches.standardise import Standardisation
from acl.store.clip_table import COLUMNS
from acl.store.feature_store import FeatureStore
from acl.system.errors import CheckpointError, CorpusError, ExportedError, StoreError
from acl.training import fit
from acl.training.checkpoint_files import CHECKPOINT_FILE
from acl.training.selected_weights import selected_weights
from study.cli.app import printable
from support.hostile_inputs import VALUES, changed, damaged, examples, readable, replaced
from support.training_runs import config

META = "FSDnoisy18k.meta"


class Planted:
    """Makes a file where it is unpickled."""

    def __init__(self, file: Path) -> None:
        self.file = file

    def __reduce__(self) -> tuple[Callable[..., object], tuple[object, ...]]:
        return Path.touch, (self.file,)


def outcome(read: Callable[[], Any], *errors: type[Exception]) -> Any:
    """What `read` gives; None where it refuses, which it does in one line."""
    try:
        return read()
    except errors as error:
        readable(printable(str(error)), most_lines=1)
        return None


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Tables of a corpus, and audio files that nobody opens."""
    root = tmp_path_factory.mktemp("corpus")
    for split, flags in (("train", True), ("test", False)):
        names = [f"{split}{number}.wav" for number in range(6)]
        for name in names:
            replaced(root / f"FSDnoisy18k.audio_{split}" / name, b"")
        header = "fname,label" + (",aso_id,manually_verified,noisy_small" if flags else "")
        rows = [f'{name},"Coin, ({number % 2})"' + (",,1,0" if flags else "") for number, name in enumerate(names)]
        replaced(root / META / f"{split}.csv", "\n".join([header, *rows, ""]).encode())
    replaced(root / "corpus.json", json.dumps({"name": "toy", "synthetic": True}).encode())
    return root


@examples(40)
@given(data=st.data(), file=st.sampled_from((f"{META}/train.csv", f"{META}/test.csv", "corpus.json")))
def test_tables_of_a_corpus(corpus: Path, data: st.DataObject, file: str) -> None:
    whole = (corpus / file).read_bytes()
    try:
        replaced(corpus / file, data.draw(damaged(whole)))
        found = outcome(lambda: read_corpus(corpus), CorpusError)
        assert found is None or all(clip.path.is_file() and clip.label in found.classes for clip in found.clips)
    finally:
        replaced(corpus / file, whole)


def uses(store: FeatureStore) -> None:
    """What training asks of a store."""
    ends = store.start_frame + store.frame_count
    assert (store.start_frame >= 0).all()
    assert (ends <= len(store.frames)).all()
    assert [store.classes[place] for place in store.class_ids] == store.labels.tolist()
    assert np.isin(store.split, ("train", "test")).all()
    assert all(isinstance(store.metadata[name], str) for name in ("corpus", "corpus_sha256", "content_sha256"))
    assert store.frames[-1].shape == (96,)


def write_store(root: Path, clips: int, frames: int) -> Path:
    """Features of noise, of clean clips of two classes, a third of them test clips."""
    folder = root / "features" / SUPERVISED
    rows = [
        [f"{number}.wav", "train" if number % 3 else "test", "ab"[number % 2], number % 2, 1, 0, frames * number, frames]
        for number in range(clips)
    ]
    table = "\n".join(",".join(map(str, row)) for row in [COLUMNS, *rows])
    replaced(folder / "clips.csv", table.encode())
    np.save(folder / "logmel.npy", np.random.default_rng(0).normal(size=(clips * frames, 96)).astype(np.float32))
    texts = dict.fromkeys(("corpus", "fingerprint", "corpus_sha256", "content_sha256"), "text")
    about = {"format": FORMAT_VERSION, "is_synthetic": True, "classes": ["a", "b"], **texts}
    replaced(folder / "store.json", json.dumps(about).encode())
    return folder


@pytest.fixture
def store(tmp_path: Path) -> Path:
    """Features of six clips, to damage."""
    folder = write_store(tmp_path, 6, 50)
    assert opened(folder) is not None
    return folder


def opened(store: Path) -> FeatureStore | None:
    found: FeatureStore | None = outcome(lambda: FeatureStore.open(store.parents[1], SUPERVISED), StoreError)
    if found is not None:
        uses(found)
    return found


@examples(60)
@given(data=st.data(), file=st.sampled_from(("clips.csv", "store.json", "logmel.npy")))
def test_a_damaged_feature_store(store: Path, data: st.DataObject, file: str) -> None:
    whole = (store / file).read_bytes()
    head = 160 if file == "logmel.npy" else len(whole)
    try:
        replaced(store / file, data.draw(damaged(whole[:head])) + whole[head:])
        opened(store)
    finally:
        replaced(store / file, whole)


@examples(25)
@given(data=st.data())
def test_a_feature_store_that_says_something_else(store: Path, data: st.DataObject) -> None:
    whole = (store / "store.json").read_bytes()
    try:
        replaced(store / "store.json", json.dumps(data.draw(changed(json.loads(whole)))).encode())
        opened(store)
    finally:
        replaced(store / "store.json", whole)


@pytest.mark.parametrize(
    ("column", "value", "rule"),
    [
        ("start_frame", "-1", "overlap or leave gaps"),
        ("start_frame", "99999999", "overlap or leave gaps"),
        ("frames", "0", "has no frames"),
        ("frames", "-4", "has no frames"),
        ("frames", "9" * 18, "has no frames"),
        ("frames", "9" * 30, "clips.csv"),
        ("class_id", "-1", "class_id that is not its label's"),
        ("class_id", "4000", "class_id that is not its label's"),
        ("label", "Nonsense", "class_id that is not its label's"),
        ("split", "validation", "is of no split"),
        ("clip", "", "clips.csv"),
    ],
)
def test_numbers_out_of_range_are_refused_on_opening_the_store(store: Path, column: str, value: str, rule: str) -> None:
    rows = list(csv.DictReader(io.StringIO((store / "clips.csv").read_text())))
    rows[3][column] = value
    if column == "clip":
        rows[4][column] = value  # twice the same name
    text = io.StringIO()
    writer = csv.DictWriter(text, list(rows[0]))
    writer.writeheader()
    writer.writerows(rows)
    replaced(store / "clips.csv", text.getvalue().encode())
    with pytest.raises(StoreError, match=rule) as caught:
        FeatureStore.open(store.parents[1], SUPERVISED)
    assert "acl-study data prepare" in str(caught.value)


@pytest.mark.parametrize("form", ["npy", "npz", "pickle"])
def test_no_pickle_is_loaded_from_a_feature_store(store: Path, tmp_path: Path, form: str) -> None:
    trap, path = tmp_path / "trap", store / "logmel.npy"
    bait = np.array([Planted(trap)], dtype=object)
    with path.open("wb") as file:
        if form == "npy":
            np.save(file, bait)
        elif form == "npz":
            np.savez(file, logmel=bait)
        else:
            pickle.dump(bait, file)
    assert opened(store) is None
    assert not trap.exists()


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Features to train on."""
    return write_store(tmp_path_factory.mktemp("noise"), 60, 210).parents[1]


@pytest.fixture(scope="module")
def run(root: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """State of a run after both of its epochs."""
    folder = tmp_path_factory.mktemp("run")
    assert len(list(fit(config(SUPERVISED, root), folder))) == 2
    return folder


@pytest.fixture(scope="module")
def begun(root: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """State of a run after the first of its epochs."""
    folder = tmp_path_factory.mktemp("begun")
    results = fit(config(SUPERVISED, root), folder)
    next(results)
    results.close()
    return folder


def continued(folder: Path, root: Path) -> Any:
    """What is read of a run when it goes on, and when its weights are exported."""
    outcome(lambda: selected_weights(folder), CheckpointError, ConfigError)
    results = fit(config(SUPERVISED, root), folder)
    try:
        return outcome(lambda: next(results), CheckpointError)
    finally:
        results.close()


@pytest.mark.parametrize("file", [CHECKPOINT_FILE, "stage-supervised.pt"])
@pytest.mark.parametrize("form", ["torch", "pickle"])
def test_no_pickle_is_loaded_from_a_checkpoint(run: Path, root: Path, tmp_path: Path, file: str, form: str) -> None:
    folder, trap = shutil.copytree(run, tmp_path / "run"), tmp_path / "trap"
    content = {**torch.load(run / CHECKPOINT_FILE, weights_only=True), "planted": Planted(trap)}
    with (folder / file).open("wb") as opened:
        torch.save(content, opened) if form == "torch" else pickle.dump(content, opened)
    continued(folder, root)
    assert not trap.exists()
    with pytest.raises(CheckpointError, match=f"{file} cannot be read"):
        selected_weights(folder)


@examples(8)
@given(data=st.data())
def test_a_checkpoint_that_holds_something_else(begun: Path, root: Path, tmp_path: Path, data: st.DataObject) -> None:
    content = torch.load(begun / CHECKPOINT_FILE, weights_only=True)
    plain = st.sampled_from((None, 0, -1, "x", [], {}, float("nan"), torch.zeros(2), torch.tensor(1)))
    folder = tmp_path / "changed"
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(begun, folder)
    torch.save(data.draw(changed(content, plain)), folder / CHECKPOINT_FILE)
    continued(folder, root)


@examples(8)
@given(data=st.data())
def test_a_damaged_checkpoint(begun: Path, root: Path, tmp_path: Path, data: st.DataObject) -> None:
    folder = tmp_path / "damaged"
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(begun, folder)
    replaced(folder / CHECKPOINT_FILE, data.draw(damaged((begun / CHECKPOINT_FILE).read_bytes())))
    continued(folder, root)


@pytest.fixture
def model(tmp_path: Path) -> Path:
    """An exported model that has learned nothing."""
    folder = tmp_path / "model"
    folder.mkdir()
    encoder = BaselineCnn(3, 0.5, torch.Generator().manual_seed(0))
    standardise = Standardisation(torch.tensor(0.0), torch.tensor(1.0))
    settings = build_config({"mode": SUPERVISED, "data.root": "."})
    write_exported(folder, settings, {ENCODER_FILE: encoder.state_dict()}, standardise, ("a", "b", "c"), {"corpus": "toy"})
    return folder


def embedded(folder: Path) -> Exported | None:
    found: Exported | None = outcome(lambda: load_exported(folder), ExportedError)
    if found is not None:
        embedding, probabilities = found.analyse(torch.ones(44_100), 44_100)
        assert embedding.shape == (found.embedding_dim,)
        assert probabilities is not None
        assert probabilities.shape == (len(found.classes),)
    return found


@examples(25)
@given(data=st.data(), file=st.sampled_from((CONFIG_FILE, LABELS_FILE, ENCODER_FILE)), whole=st.booleans())
def test_an_exported_model_that_is_another(model: Path, data: st.DataObject, file: str, whole: bool) -> None:
    before = (model / file).read_bytes()
    is_json = file.endswith(".json")
    try:
        if is_json and whole:
            content = json.loads(before)
            after = json.dumps(data.draw(changed(content) | VALUES)).encode()
        else:
            after = data.draw(damaged(before))
        replaced(model / file, after)
        embedded(model)
    finally:
        replaced(model / file, before)


def test_an_exported_model_is_no_larger_than_its_file(model: Path) -> None:
    content = json.loads((model / CONFIG_FILE).read_text())
    content["mode"] = content["settings"]["mode"] = SELF_SUPERVISED
    content["settings"] = {"mode": SELF_SUPERVISED, "model.width": 1_000_000}
    replaced(model / CONFIG_FILE, json.dumps(content).encode())
    with pytest.raises(ExportedError, match="damaged"):
        load_exported(model)


def test_no_pickle_is_loaded_from_an_exported_model(model: Path, tmp_path: Path) -> None:
    trap = tmp_path / "trap"
    with (model / ENCODER_FILE).open("wb") as file:
        torch.save({"planted": Planted(trap)}, file)
    about = json.loads((model / CONFIG_FILE).read_text())
    about["sha256"][ENCODER_FILE] = hashlib.sha256((model / ENCODER_FILE).read_bytes()).hexdigest()
    replaced(model / CONFIG_FILE, json.dumps(about).encode())
    with pytest.raises(ExportedError, match="damaged"):
        load_exported(model)
    assert not trap.exists()
