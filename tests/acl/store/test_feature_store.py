"""The feature store: its values and its table, no repeated work, no partial store, named faults."""

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch

from acl.config import SELF_SUPERVISED, SUPERVISED, Mode
from acl.features import LogMel
from acl.front_ends import FORMAT_VERSION
from acl.store.digest import content_digest
from acl.store.feature_store import FeatureStore
from acl.store.prepare import prepare
from acl.system.errors import StoreError

LABELS = ("Coin_(dropping)", "Rain", "Acoustic_guitar")
FRONT_END: list[Mode] = [SUPERVISED]


def write_corpus(root: Path) -> Path:
    """Nine training clips (three clean, two noisy_small) and three test clips of noise, 0.3 to 2.5 s."""
    rng = np.random.default_rng(0)
    train, test = ["fname,label,aso_id,manually_verified,noisy_small"], ["fname,label"]
    for split in ("train", "test"):
        (root / f"FSDnoisy18k.audio_{split}").mkdir(parents=True)
    for number in range(12):
        split, label = ("train" if number < 9 else "test"), LABELS[number % 3]
        wave = rng.uniform(-0.5, 0.5, round((0.3 + 0.2 * number) * 44_100))
        soundfile.write(root / f"FSDnoisy18k.audio_{split}" / f"{number}.wav", wave, 44_100, subtype="PCM_16")
        if split == "train":
            train.append(f"{number}.wav,{label},,{int(number < 3)},{int(number in (5, 6))}")
        else:
            test.append(f"{number}.wav,{label}")
    (root / "FSDnoisy18k.meta").mkdir()
    (root / "FSDnoisy18k.meta" / "train.csv").write_text("\n".join(train) + "\n")
    (root / "FSDnoisy18k.meta" / "test.csv").write_text("\n".join(test) + "\n")
    return root


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = write_corpus(tmp_path_factory.mktemp("prepared"))
    folders = prepare(root, workers=1)
    assert folders == [root / "features" / "self-supervised", root / "features" / "supervised"]
    return root


@pytest.fixture
def copy(prepared: Path, tmp_path: Path) -> Path:
    """A prepared corpus to damage; times of change are kept, and so is the folder's name, after which it is described."""
    return Path(shutil.copytree(prepared, tmp_path / prepared.name))


def written(root: Path, front_end: Mode = SUPERVISED) -> dict[str, int]:
    """When each file of a store was written, ns."""
    return {path.name: path.stat().st_mtime_ns for path in (root / "features" / front_end).iterdir()}


@pytest.mark.parametrize(("front_end", "extract"), [(SELF_SUPERVISED, LogMel.ssl()), (SUPERVISED, LogMel.supervised())])
def test_frames_are_the_extractors_output(prepared: Path, front_end: Mode, extract: LogMel) -> None:
    store = FeatureStore.open(prepared, front_end)
    for index, name in enumerate(store.names):
        wave, rate = soundfile.read(prepared / f"FSDnoisy18k.audio_{store.split[index]}" / name, dtype="float32")
        expected = extract(torch.from_numpy(wave), rate).numpy()
        start, count = store.start_frame[index], store.frame_count[index]
        np.testing.assert_array_equal(store.frames[start : start + count], expected)
    rows = np.concatenate([np.arange(s, s + c) for s, c in zip(store.start_frame, store.frame_count, strict=True)])
    assert sorted(rows) == list(range(len(store.frames)))
    assert store.metadata["parameters"] == json.loads(json.dumps(extract.parameters))
    assert store.metadata["content_sha256"] == content_digest(prepared / "features" / front_end)


def test_table_says_who_each_clip_is(prepared: Path) -> None:
    store = FeatureStore.open(prepared, SUPERVISED)
    assert store.names.tolist() == [f"{number}.wav" for number in range(12)]
    assert store.classes == ("Acoustic_guitar", "Coin_(dropping)", "Rain")
    assert store.labels.tolist() == list(LABELS) * 4
    assert store.class_ids.tolist() == [1, 2, 0] * 4
    assert store.class_ids.dtype == store.start_frame.dtype == store.frame_count.dtype == np.int64
    assert store.select("all").tolist() == list(range(9))
    assert store.select("clean").tolist() == [0, 1, 2]
    assert store.select("noisy").tolist() == [3, 4, 5, 6, 7, 8]
    assert store.select("noisy_small").tolist() == [5, 6]
    assert store.test_clips().tolist() == [9, 10, 11]
    assert store.select("all").dtype == store.test_clips().dtype == np.int64
    assert (store.metadata["corpus"], store.metadata["is_synthetic"]) == (f"corpus in {prepared.name}, 12 clips", False)


def test_frames_are_mapped_shared_and_read_only(prepared: Path) -> None:
    first, second = (FeatureStore.open(prepared, SUPERVISED) for _ in range(2))
    assert isinstance(first.frames, np.memmap)
    with pytest.raises(ValueError, match="read-only"):
        first.frames[0, 0] = 1
    # Written through the file behind both maps: a private copy would not see it.
    path = prepared / "features" / "supervised" / "logmel.npy"
    value = first.frames[0, 0]
    try:
        np.load(path, mmap_mode="r+")[0, 0] = 123.0
        assert first.frames[0, 0] == second.frames[0, 0] == 123.0
    finally:
        np.load(path, mmap_mode="r+")[0, 0] = value


def test_prepared_again_nothing_is_done(prepared: Path) -> None:
    before = written(prepared)
    progress: list[tuple[int, int]] = []
    prepare(prepared, progress=lambda done, total: progress.append((done, total)))
    assert progress == [(24, 24)]
    assert written(prepared) == before


def test_two_workers_give_the_same_bytes(prepared: Path, copy: Path) -> None:
    shutil.rmtree(copy / "features")
    prepare(copy, workers=2)
    for name in ("self-supervised", "supervised"):
        assert content_digest(copy / "features" / name) == content_digest(prepared / "features" / name)
    assert sorted(os.listdir(copy / "features")) == [".lock", "self-supervised", "supervised"]


def change_audio(root: Path) -> None:
    path = root / "FSDnoisy18k.audio_train" / "4.wav"
    wave, rate = soundfile.read(path)
    soundfile.write(path, 0.5 * wave[::-1], rate, subtype="PCM_16")


def change_label(root: Path) -> None:
    table = root / "FSDnoisy18k.meta" / "train.csv"
    table.write_text(table.read_text().replace("4.wav,Rain", "4.wav,Acoustic_guitar"))


def remove_clip(root: Path) -> None:
    table = root / "FSDnoisy18k.meta" / "train.csv"
    table.write_text("".join(line for line in table.read_text().splitlines(keepends=True) if not line.startswith("4.wav")))


def rename_corpus(root: Path) -> None:
    (root / "corpus.json").write_text('{"name": "another corpus", "synthetic": true}')


def change_parameters(root: Path) -> None:
    """As if the store had been made with another front end."""
    path = root / "features" / "supervised" / "store.json"
    path.write_text(path.read_text().replace('"fingerprint": "', '"fingerprint": "other'))


def truncate_frames(root: Path) -> None:
    path = root / "features" / "supervised" / "logmel.npy"
    os.truncate(path, path.stat().st_size - 4)


@pytest.mark.parametrize("change", [change_audio, change_label, remove_clip, rename_corpus, change_parameters, truncate_frames])
def test_changed_inputs_are_computed_again(copy: Path, change: Callable[[Path], None]) -> None:
    fresh_root = copy.parent / "fresh" / copy.name
    change(copy)
    shutil.copytree(copy, fresh_root, ignore=shutil.ignore_patterns("features"))
    before = written(copy)
    prepare(copy, FRONT_END, workers=1)
    prepare(fresh_root, FRONT_END, workers=1)
    assert all(time > before[name] for name, time in written(copy).items())
    assert content_digest(copy / "features" / "supervised") == content_digest(fresh_root / "features" / "supervised")
    assert sorted(os.listdir(copy / "features")) == [".lock", "self-supervised", "supervised"]
    store = FeatureStore.open(copy, SUPERVISED)
    assert store.metadata == FeatureStore.open(fresh_root, SUPERVISED).metadata


def test_a_missing_store_names_the_command(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match=r"has no supervised features; run `acl-study data prepare \S+`$"):
        FeatureStore.open(tmp_path, SUPERVISED)


def cut_table(root: Path) -> None:
    path = root / "features" / "supervised" / "clips.csv"
    path.write_text(path.read_text()[:-20])


def drop_row(root: Path) -> None:
    path = root / "features" / "supervised" / "clips.csv"
    path.write_text("\n".join(path.read_text().splitlines()[:-1]) + "\n")


def cut_description(root: Path) -> None:
    path = root / "features" / "supervised" / "store.json"
    path.write_text(path.read_text()[:40])


def remove_frames(root: Path) -> None:
    (root / "features" / "supervised" / "logmel.npy").unlink()


def raise_format(root: Path) -> None:
    path = root / "features" / "supervised" / "store.json"
    path.write_text(path.read_text().replace(f'"format": {FORMAT_VERSION}', '"format": 99'))


@pytest.mark.parametrize("damage", [truncate_frames, cut_table, drop_row, cut_description, remove_frames, raise_format])
def test_a_damaged_store_is_found_at_open(copy: Path, damage: Callable[[Path], None]) -> None:
    damage(copy)
    with pytest.raises(StoreError, match=r"run `acl-study data prepare \S+`$") as error:
        FeatureStore.open(copy, SUPERVISED)
    assert "\n" not in str(error.value)
    assert FeatureStore.open(copy, SELF_SUPERVISED).names.tolist() == [f"{number}.wav" for number in range(12)]


def test_an_unknown_front_end_is_refused(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match=r"front end must be one of self-supervised, supervised, got 'mfcc'"):
        FeatureStore.open(tmp_path, "mfcc")  # type: ignore[arg-type]
