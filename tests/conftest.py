"""Fixtures of all tests: small corpora, the reference numbers, the folder of the cache."""

import json
import os
import shutil
import signal
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

# Two workers of pytest share two cores: threads that wait for each other there cost a training run several times its time.
os.environ.setdefault("OMP_NUM_THREADS", "1")
# pytest-xdist gives its workers a width, in which output would be wrapped; a file or a pipe has none.
os.environ.pop("COLUMNS", None)

import numpy as np
import pytest

from acl.data.corpus import import_corpus
from acl.data.manifest import read_manifest
from acl.data.synthetic.corpus import write_synthetic_corpus
from acl.store.prepare import prepare
from acl.system.locks import only_process
from reference.folder import REFERENCE
from support.corpora import ESC50_CLASSES, write_esc50
from support.shared_ray import ray_head

signal.signal(signal.SIGINT, signal.default_int_handler)  # pytest-xdist's workers ignore Ctrl-C, and so would what they start


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Files that take long first, by slow tests and such with a time of their own: workers that share files end together."""
    weights: Counter[Path] = Counter()
    for item in items:
        weights[item.path] += item.get_closest_marker("slow") is not None
        weights[item.path] += 100 * (item.get_closest_marker("timeout") is not None)
    items.sort(key=lambda item: -weights[item.path])


@pytest.fixture(scope="session", autouse=True)
def cache_folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Where rows of runs are kept, in the place of the user's own cache."""
    with pytest.MonkeyPatch.context() as patch:
        folder = tmp_path_factory.mktemp("cache")
        patch.setenv("ACL_STUDY_CACHE", str(folder))
        yield folder


@pytest.fixture(scope="session")
def shared_ray(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Address of a Ray session that launches may join."""
    with ray_head(tmp_path_factory.mktemp("ray")) as address:
        yield address


@pytest.fixture(scope="session")
def golden() -> dict[str, Any]:
    """Numbers computed with the published code: scalars under their nested names, arrays under `arrays`."""
    if not (REFERENCE / "golden.json").exists():
        pytest.skip("the reference folder is not beside this project")
    scalars: dict[str, Any] = json.loads((REFERENCE / "golden.json").read_text())
    scalars["arrays"] = np.load(REFERENCE / "golden.npz")
    return scalars


@pytest.fixture(scope="session")
def common_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Temporary files of all processes that pytest runs tests in."""
    own = tmp_path_factory.getbasetemp()
    return own.parent if "PYTEST_XDIST_WORKER" in os.environ else own


def made_once(folder: Path, make: Callable[[Path], object]) -> Path:
    """`folder`, which one of pytest's processes makes for all; read only."""
    complete = folder.with_suffix(".complete")
    with only_process(folder.with_suffix(".lock"), lambda line: None):
        if not complete.exists():
            shutil.rmtree(folder, ignore_errors=True)
            make(folder)
            complete.touch()
    return folder


@pytest.fixture(scope="session")
def tiny(common_folder: Path) -> Path:
    """A synthetic corpus of a few clips a class, without features; read only. To spawn processes takes longer than to write it."""
    return made_once(common_folder / "tiny", lambda root: write_synthetic_corpus(root, "tiny", 0, workers=1))


@pytest.fixture(scope="session")
def tiny_corpus(tiny: Path, common_folder: Path) -> Path:
    """The same corpus, prepared; read only."""
    return made_once(common_folder / "tiny-corpus", lambda root: prepare(shutil.copytree(tiny, root), workers=1))


@pytest.fixture(scope="session")
def folds_corpus(common_folder: Path) -> Path:
    """ESC-50 with three classes, five folds and foreign sounds, imported and prepared; read only."""
    return made_once(common_folder / "folds", _write_folds) / "corpus"


def _write_folds(root: Path) -> None:
    write_esc50(root / "ESC-50", classes=(*ESC50_CLASSES, "siren"))
    columns = '{path: "audio/{filename}", label: category, fold: fold, group: src_file}'
    manifest = root / "ESC-50" / "sounds.yaml"
    manifest.write_text(f"name: ESC-50 with noise\ntable: meta/esc50.csv\ncolumns: {columns}\nforeign: [siren]\n")
    import_corpus(read_manifest(str(manifest)), root / "corpus")
    prepare(root / "corpus", workers=1)
