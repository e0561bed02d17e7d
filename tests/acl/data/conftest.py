"""Small archives, and a server that has them in the place of the published ones."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from acl.data.archives import PUBLISHED
from support import published_archives
from support.published_archives import ArchiveServer, serve


@pytest.fixture(scope="session")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return published_archives.write_corpus(tmp_path_factory.mktemp("source") / "corpus")


@pytest.fixture(scope="session")
def archives(corpus: Path) -> Path:
    return published_archives.write_archives(corpus, corpus.parent / "archives")


@pytest.fixture
def server(archives: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[ArchiveServer]:
    monkeypatch.setitem(PUBLISHED, "fsdnoisy18k", published_archives.published(archives))
    with serve(archives) as running:
        yield running
