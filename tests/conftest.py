"""What all tests share."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from acl.data.synthesis import write_synthetic_corpus
from acl.store import prepare
from reference.folder import REFERENCE


@pytest.fixture(scope="session")
def golden() -> dict[str, Any]:
    """Numbers computed with the published code: scalars under their nested names, arrays under `arrays`."""
    if not (REFERENCE / "golden.json").exists():
        pytest.skip("the reference folder is not beside this project")
    scalars: dict[str, Any] = json.loads((REFERENCE / "golden.json").read_text())
    scalars["arrays"] = np.load(REFERENCE / "golden.npz")
    return scalars


@pytest.fixture(scope="session")
def tiny_corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A prepared synthetic corpus of a few clips a class; read only."""
    root = tmp_path_factory.mktemp("corpus") / "tiny"
    write_synthetic_corpus(root, "tiny", 0)
    prepare(root)
    return root
