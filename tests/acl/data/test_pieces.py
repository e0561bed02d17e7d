"""Preparing features is robust: interruptions keep what is done, changes are noticed, unusable audio is named."""

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile

from acl.config import SUPERVISED, Mode
from acl.data.clips import CorpusError
from acl.data.fsdnoisy18k import read_corpus
from acl.features import LogMel
from acl.store import FeatureStore, StoreError, content_digest, prepare

FRONT_END: list[Mode] = [SUPERVISED]


@pytest.fixture
def corpus(tiny: Path, tmp_path: Path) -> Path:
    """260 clips: eight pieces per front end."""
    return Path(shutil.copytree(tiny, tmp_path / "corpus"))


@pytest.fixture
def rain(corpus: Path) -> Path:
    """Only the class Rain, 13 clips: one piece per front end."""
    for name in ("train", "test"):
        path = corpus / "FSDnoisy18k.meta" / f"{name}.csv"
        header, *rows = path.read_text().splitlines(keepends=True)
        path.write_text("".join([header, *(row for row in rows if ",Rain" in row)]))
    return corpus


def train_file(root: Path) -> Path:
    """A training clip in the middle of the table."""
    return read_corpus(root).clips[5].path


def pieces(root: Path) -> dict[str, int]:
    """When each piece of an unfinished store was written, ns."""
    return {path.name: path.stat().st_mtime_ns for path in (root / "features" / ".partial-supervised").glob("*.npz")}


PREPARE = "import sys; from acl.store import prepare; prepare(sys.argv[1], ['supervised'], workers=1)"


def test_a_killed_preparation_is_taken_up_where_it_stopped(corpus: Path) -> None:
    process = subprocess.Popen([sys.executable, "-c", PREPARE, str(corpus)], cwd=Path(__file__).parents[3])
    deadline = time.monotonic() + 60
    while len(pieces(corpus)) < 2:
        assert process.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.005)
    process.kill()
    process.wait()
    kept = pieces(corpus)
    assert 2 <= len(kept) < 8
    with pytest.raises(StoreError, match="has no supervised features"):
        FeatureStore.open(corpus, SUPERVISED)

    seen: list[tuple[int, dict[str, int]]] = []
    prepare(corpus, FRONT_END, workers=1, progress=lambda done, total: seen.append((done, pieces(corpus))))
    first_done, at_start = seen[0]
    last_done, at_end = seen[-1]
    assert at_start == kept
    assert first_done > 0
    assert last_done == 260
    assert {name: at_end[name] for name in kept} == kept
    assert len(at_end) == 8
    resumed = content_digest(corpus / "features" / "supervised")

    shutil.rmtree(corpus / "features")
    prepare(corpus, FRONT_END, workers=1)
    assert content_digest(corpus / "features" / "supervised") == resumed


def test_pieces_of_changed_audio_are_not_taken_over(rain: Path) -> None:
    def stop_before_joining(done: int, total: int) -> None:
        if done == total:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        prepare(rain, FRONT_END, workers=1, progress=stop_before_joining)
    assert len(pieces(rain)) == 1
    path = train_file(rain)
    wave, rate = soundfile.read(path)
    soundfile.write(path, wave[::-1], rate, subtype="PCM_16")
    prepare(rain, FRONT_END, workers=1)
    store = FeatureStore.open(rain, SUPERVISED)
    start, count = store.start_frame[5], store.frame_count[5]
    np.testing.assert_array_equal(store.frames[start : start + count], LogMel.supervised()(wave[::-1], rate).numpy())


def write_nothing(path: Path) -> None:
    soundfile.write(path, np.zeros(0), 44_100, subtype="PCM_16")


def write_garbage(path: Path) -> None:
    path.write_bytes(b"this is no audio file")


def write_stereo(path: Path) -> None:
    soundfile.write(path, np.full((4410, 2), 0.1), 44_100, subtype="PCM_16")


def write_infinity(path: Path) -> None:
    soundfile.write(path, np.array([0.1, np.inf, np.nan, 0.2]), 44_100, subtype="FLOAT")


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (write_nothing, r"has 0 samples; restore the file or remove it from train.csv"),
        (write_garbage, r"cannot be read as audio .*; restore the file or remove it from train.csv"),
        (write_stereo, r"has 2 channels; mix it down to one or remove it from train.csv"),
        (write_infinity, r"has 2 samples that are not finite; restore the file or remove it from train.csv"),
    ],
)
def test_unusable_audio_is_named(rain: Path, spoil: Callable[[Path], None], message: str) -> None:
    path = train_file(rain)
    spoil(path)
    with pytest.raises(CorpusError, match=rf"^{path.name} {message}$"):
        prepare(rain, FRONT_END, workers=1)
    with pytest.raises(StoreError, match="has no supervised features"):
        FeatureStore.open(rain, SUPERVISED)


def test_unusable_audio_in_a_worker_keeps_what_is_done(corpus: Path) -> None:
    write_garbage(train_file(corpus))
    with pytest.raises(CorpusError, match="cannot be read as audio"):
        prepare(corpus, FRONT_END, workers=2)
    assert len(pieces(corpus)) >= 1


def test_too_little_room_is_found_before_starting(rain: Path) -> None:
    # A hole of this length takes no room itself.
    os.truncate(train_file(rain), 10 * shutil.disk_usage(rain).free)
    with pytest.raises(StoreError, match=r"preparing needs up to \S+ GB in .*, \S+ GB are free; free some space"):
        prepare(rain, FRONT_END, workers=1)
    assert not (rain / "features").exists()
