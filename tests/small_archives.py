"""Small archives in the structure of FSDnoisy18k's, and the command line as it is where these are the published ones.

python tests/small_archives.py FOLDER data download fsdnoisy18k DIR ...
"""

import hashlib
import sys
import zipfile
from pathlib import Path

import numpy as np
import soundfile

from acl.data.archives import PUBLISHED, Archive, PublishedCorpus
from acl.data.clips import CLASSES
from archive_server import ArchiveServer
from study.corpora import WORK_FOLDER, download_corpus

RATE = 44_100
TRAIN = "FSDnoisy18k.audio_train.zip"
NO_WAITS = (0.0, 0.0, 0.0)
PARTS = ("doc", "meta", "audio_test", "audio_train")


def write_corpus(root: Path, classes: int = 3, seconds: float = 0.5) -> Path:
    """A corpus of noise, which does not compress: a clean and two noisy training clips and a test clip a class."""
    rng = np.random.default_rng(0)
    train = ["fname,label,aso_id,manually_verified,noisy_small"]
    test = ["fname,label,aso_id"]
    for number, label in enumerate(CLASSES[:classes]):
        for kind, flags in (("clean", "1,0"), ("small", "0,1"), ("noisy", "0,0")):
            train.append(f"{number}-{kind}.wav,{label},/m/{number},{flags}")
        test.append(f"{number}-test.wav,{label},/m/{number}")
    for split, rows in (("train", train), ("test", test)):
        folder = root / f"FSDnoisy18k.audio_{split}"
        folder.mkdir(parents=True)
        for row in rows[1:]:
            soundfile.write(folder / row.partition(",")[0], rng.uniform(-0.5, 0.5, round(seconds * RATE)), RATE, "PCM_16")
        (root / "FSDnoisy18k.meta").mkdir(exist_ok=True)
        (root / "FSDnoisy18k.meta" / f"{split}.csv").write_text("\n".join(rows) + "\n", encoding="utf-8")
    (root / "FSDnoisy18k.doc").mkdir()
    (root / "FSDnoisy18k.doc" / "LICENSE-DATASET").write_text("CC-BY", encoding="utf-8")
    return root


def write_archives(corpus: Path, folder: Path) -> Path:
    """The four archives of a corpus, each with its folder at the top and, as from a Mac, what belongs to no corpus."""
    folder.mkdir()
    for part in PARTS:
        with zipfile.ZipFile(folder / f"FSDnoisy18k.{part}.zip", "w", zipfile.ZIP_DEFLATED) as archive:
            source = corpus / f"FSDnoisy18k.{part}"
            archive.mkdir(source.name)
            for path in sorted(source.iterdir()):
                archive.write(path, f"{source.name}/{path.name}")
            archive.writestr(f"__MACOSX/{source.name}/._x", "fork")
    return folder


def published(folder: Path) -> PublishedCorpus:
    """The archives of a folder as if they were the published ones; there is no publisher."""
    archives = [Archive(path.name, md5(path)) for path in (folder / f"FSDnoisy18k.{part}.zip" for part in PARTS)]
    return PublishedCorpus("http://127.0.0.1:9/{name}", tuple(archives))


def md5(path: Path) -> str:
    return hashlib.md5(path.read_bytes()).hexdigest()


def download(root: Path, server: ArchiveServer, kept: Path | None = None) -> None:
    """As the command does, without waiting before further attempts."""
    download_corpus("fsdnoisy18k", root, server.url, kept, NO_WAITS)


def assert_complete(root: Path, corpus: Path) -> None:
    """All files of the source with their bytes, and nothing else."""
    contents = [
        {path.relative_to(folder): path.read_bytes() for path in folder.rglob("*") if path.is_file()} for folder in (root, corpus)
    ]
    assert contents[0] == contents[1]
    assert not (root / WORK_FOLDER).exists()


def begin(root: Path, archives: Path, *, size: int) -> Path:
    """What a killed download of the training clips has left: the first bytes."""
    part = root / WORK_FOLDER / f"{TRAIN}.part"
    part.parent.mkdir(parents=True)
    part.write_bytes((archives / TRAIN).read_bytes()[:size])
    return part


if __name__ == "__main__":
    from study.cli import app as cli

    PUBLISHED["fsdnoisy18k"] = published(Path(sys.argv.pop(1)))
    cli.main()
