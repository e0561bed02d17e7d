"""Interrupted preparation of features: finished pieces are kept, changes and damage are noticed."""

import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import soundfile

from acl.config import SUPERVISED, Mode
from acl.data.fsdnoisy18k import read_corpus
from acl.features import LogMel
from acl.store.digest import content_digest
from acl.store.feature_store import FeatureStore
from acl.store.prepare import prepare
from acl.system.errors import CorpusError, StoreError

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


PREPARE = "import sys; from acl.store.prepare import prepare; prepare(sys.argv[1], ['supervised'], workers=1)"


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
    wave, rate = soundfile.read(path, dtype="float32")
    soundfile.write(path, wave[::-1], rate, subtype="PCM_16")
    prepare(rain, FRONT_END, workers=1)
    store = FeatureStore.open(rain, SUPERVISED)
    start, count = store.start_frame[5], store.frame_count[5]
    np.testing.assert_array_equal(store.frames[start : start + count], LogMel.supervised()(wave[::-1], rate).numpy())


def test_a_damaged_piece_is_computed_again(rain: Path) -> None:
    def damage_before_joining(done: int, total: int) -> None:
        for piece in (rain / "features" / ".partial-supervised").glob("*.npz") if done == total else ():
            content = bytearray(piece.read_bytes())
            content[len(content) // 3] ^= 0xFF
            piece.write_bytes(content)

    with pytest.raises(CorpusError, match=r"\.npz was damaged \(.*\) and is removed; run it again"):
        prepare(rain, FRONT_END, workers=1, progress=damage_before_joining)
    prepare(rain, FRONT_END, workers=1)
    assert len(FeatureStore.open(rain, SUPERVISED).names) == 13


def test_too_little_room_is_found_before_starting(rain: Path) -> None:
    # A hole of this length takes no room itself.
    os.truncate(train_file(rain), 10 * shutil.disk_usage(rain).free)
    with pytest.raises(StoreError, match=r"preparing needs up to \S+ GB in .*, \S+ GB are free; free some space"):
        prepare(rain, FRONT_END, workers=1)
    assert os.listdir(rain / "features") == [".lock"]
