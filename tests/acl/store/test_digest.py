"""Features whose bytes change behind the back of what was noted of them."""

import os
import shutil
from pathlib import Path

import numpy as np
import pytest

from acl.store import digest as digest_module
from acl.store.digest import content_digest, current_digest
from acl.store.feature_store import FeatureStore
from acl.store.prepare import prepare
from acl.system.errors import StoreError
from support.changed_features import flip_a_bit_of_every_number


@pytest.fixture
def corpus(tiny_corpus: Path, tmp_path: Path) -> Path:
    return shutil.copytree(tiny_corpus, tmp_path / "corpus")


def test_bytes_are_read_whole_once(corpus: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = corpus / "features" / "supervised"
    first = current_digest(folder)
    assert first == content_digest(folder)
    monkeypatch.setattr(digest_module, "content_digest", lambda folder: "read again")
    assert current_digest(folder) == first
    os.utime(folder / "logmel.npy")
    assert current_digest(folder) == "read again"


def test_a_bit_of_every_number_is_noticed_with_the_files_old_times(corpus: Path) -> None:
    stated = FeatureStore.verify(corpus, "supervised")
    path = corpus / "features" / "supervised" / "logmel.npy"
    before = path.stat()
    flip_a_bit_of_every_number(path)
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    with pytest.raises(StoreError, match=f"have changed since they were prepared: .*{stated[:12]}; run `acl-study data prepare"):
        FeatureStore.verify(corpus, "supervised")
    assert np.isfinite(FeatureStore.open(corpus, "supervised").frames).all()
    prepare(corpus, ["supervised"], workers=1)
    assert FeatureStore.verify(corpus, "supervised") == stated


def test_without_a_cache_folder_they_are_read_each_time(corpus: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv(digest_module.CACHE_FOLDER, str(tmp_path / "file"))
    folder = corpus / "features" / "supervised"
    assert current_digest(folder) == content_digest(folder)
