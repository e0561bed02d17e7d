"""The store that benchmarks train on: this version reads it."""

from pathlib import Path

import pytest

from acl.front_ends import FRONT_ENDS
from acl.store.feature_store import FeatureStore


def test_a_store_of_the_corpus_shape_can_be_opened(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(Path(__file__).parents[1] / "benchmarks")
    from paper_store import write_store

    for front_end in FRONT_ENDS:
        write_store(tmp_path, front_end, 0.002)
        store = FeatureStore.open(tmp_path, front_end)
        assert (len(store.select("noisy")), len(store.select("clean")), len(store.test_clips())) == (32, 4, 2)
