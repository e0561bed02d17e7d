"""Staging of features on machines that do not see the corpus."""

import json
import os
import pickle
import shutil
import subprocess
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from acl.config import SUPERVISED
from acl.store.feature_store import FeatureStore
from acl.system.errors import StoreError
from study.errors import NodeError
from study.execution.staging import (
    CHUNK_BYTES,
    STAGING_VARIABLE,
    Features,
    copied_root,
    inspect_node,
    scratch_folder,
    seen_root,
    staging_folder,
)
from study.state.storage import Storage
from support.file_systems import small_disk


@pytest.fixture
def features(tiny_corpus: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Features:
    """Features of a corpus folder that this machine sees no more: those that the feed has lie elsewhere."""
    monkeypatch.setenv(STAGING_VARIABLE, str(tmp_path / "staging"))
    there = Features.of(str(tiny_corpus), SUPERVISED)
    return Features(str(tmp_path / "unseen"), SUPERVISED, there.digest, there.sizes)


class Feed:
    """Reads of the real features."""

    def __init__(self, corpus: Path) -> None:
        self._there = Features.of(str(corpus), SUPERVISED)
        self.reads: Counter[tuple[str, int]] = Counter()

    def __call__(self, name: str, first: int, count: int) -> bytes:
        self.reads[name, first] += 1
        return self._there.read(name, first, count)


def test_features_are_copied_once_and_found_under_their_name(tiny_corpus: Path, features: Features, tmp_path: Path) -> None:
    feed = Feed(tiny_corpus)
    assert seen_root(features) is None
    with ThreadPoolExecutor(4) as trials:  # several trials begin at once
        roots = set(trials.map(lambda _: copied_root(features, feed, "node"), range(4)))
    (root,) = roots
    assert root.startswith(str(tmp_path / "staging"))
    assert set(feed.reads.values()) == {1}
    assert len([name for name, _ in feed.reads if name == "logmel.npy"]) == -(-dict(features.sizes)["logmel.npy"] // CHUNK_BYTES)
    assert seen_root(features) == root
    FeatureStore.use_copy(features.root, SUPERVISED, root)
    copied, original = FeatureStore.open(features.root, SUPERVISED), FeatureStore.open(tiny_corpus, SUPERVISED)
    np.testing.assert_array_equal(copied.frames, original.frames)
    assert copied.metadata == original.metadata


def test_what_arrives_wrong_is_refused_and_leaves_nothing(tiny_corpus: Path, features: Features, tmp_path: Path) -> None:
    feed = Feed(tiny_corpus)

    def wrong(name: str, first: int, count: int) -> bytes:
        part = bytearray(feed(name, first, count))
        if name == "logmel.npy":
            part[-1] ^= 1
        return bytes(part)

    def gone(name: str, first: int, count: int) -> bytes:
        raise OSError("the machine that has them does not answer")

    for read, reason in ((wrong, "another digest"), (gone, "does not answer")):
        with pytest.raises(NodeError, match=reason) as refused:
            copied_root(features, read, "node-1")
        assert refused.value.node == "node-1"
        assert STAGING_VARIABLE in str(refused.value)
        assert [path.name for path in staging_folder().iterdir()] == [f"{SUPERVISED}-{features.digest[:32]}.lock"]
    assert copied_root(features, feed, "node-1")


def test_a_machine_without_room_says_how_much_it_lacks(
    tiny_corpus: Path, features: Features, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with small_disk(tmp_path / "disk", "64k") as disk:
        monkeypatch.setenv(STAGING_VARIABLE, str(disk))
        with pytest.raises(NodeError, match=rf"cannot copy them to {disk}/acl-study-\d+ \(.* GB, 0.0 GB are free\)"):
            copied_root(features, Feed(tiny_corpus), "node")
        assert not [path for path in staging_folder().iterdir() if path.is_dir()]


def test_copies_that_another_user_can_change_are_not_trusted(tiny_corpus: Path, features: Features, tmp_path: Path) -> None:
    if os.getuid():
        pytest.skip("only the administrator can give a folder away")
    staging = staging_folder()
    copy = Path(copied_root(features, Feed(tiny_corpus), "node"))
    assert seen_root(features) == str(copy)
    for spoil in (lambda: staging.chmod(0o777), lambda: os.chown(staging, 12345, 12345)):
        spoil()
        assert seen_root(features) is None
        with pytest.raises(NodeError, match="belongs to another user, or others may write to it"):
            copied_root(features, Feed(tiny_corpus), "node")
    os.chown(staging, 0, 0)
    staging.chmod(0o700)
    (copy / "features" / SUPERVISED / "clips.csv").unlink()  # as those who clean temporary files do
    assert seen_root(features) is None
    assert copied_root(features, Feed(tiny_corpus), "node") == str(copy)


def test_folders_of_processes_that_were_killed_are_removed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(STAGING_VARIABLE, str(tmp_path))
    ended = subprocess.Popen(["true"])
    ended.wait()
    for pid in (ended.pid, os.getpid()):
        (staging_folder() / "running" / f"{pid}-left").mkdir(parents=True)
    with scratch_folder() as folder:
        assert folder.name.startswith(f"{os.getpid()}-")
    assert [path.name for path in (staging_folder() / "running").iterdir()] == [f"{os.getpid()}-left"]


def test_a_corpus_prepared_anew_on_one_machine_is_another_one(tiny_corpus: Path, features: Features, tmp_path: Path) -> None:
    other = shutil.copytree(tiny_corpus, tmp_path / "unseen")
    assert seen_root(features) == str(other)
    state = other / "features" / SUPERVISED / "store.json"
    state.write_text(json.dumps({**json.loads(state.read_text()), "content_sha256": "0" * 64}))
    assert seen_root(features) is None
    assert inspect_node(tmp_path / "mark", None, [features]).unseen == (features,)
    assert "does not see" in inspect_node(tmp_path / "mark", None, []).wrong
    assert inspect_node(tmp_path, None, []).wrong == inspect_node(None, None, []).wrong == ""
    assert "cannot be used" in inspect_node(None, Storage("nosuchscheme://there"), []).wrong
    with pytest.raises(StoreError):
        Features.of(str(tmp_path / "nothing"), SUPERVISED)


def test_no_file_but_those_of_the_store_is_given_away(tiny_corpus: Path) -> None:
    with pytest.raises(ValueError, match="no file of a feature store"):
        Features.of(str(tiny_corpus), SUPERVISED).read("../../train.csv", 0, 10)


def test_the_error_survives_the_way_to_the_driver() -> None:
    error = pickle.loads(pickle.dumps(NodeError("node-1", "no room")))
    assert (error.node, str(error)) == ("node-1", "no room")
