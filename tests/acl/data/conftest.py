"""A synthetic corpus that the tests of this folder read and copy, but do not change."""

from pathlib import Path

import pytest

from acl.data.synthesis import write_synthetic_corpus


@pytest.fixture(scope="session")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("corpora") / "tiny"
    write_synthetic_corpus(root, "tiny", seed=3, workers=2)
    return root
