"""Published corpora from the command line: their archives are downloaded, checked and unpacked, with progress bars."""

import contextlib
import fcntl
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path

import pooch
from rich.console import Console

from acl.data.archives import PUBLISHED, Archive, ArchiveError, unpack
from acl.data.downloading import WAITS, ResumingDownloader, fetch
from acl.data.fsdnoisy18k import DESCRIPTION_FILE
from study.bars import progress_bar

WORK_FOLDER = ".download"  # in the corpus folder, while something is left to do


def download_corpus(
    corpus: str, folder: Path, base: str | None = None, kept: Path | None = None, waits: Sequence[float] = WAITS
) -> None:
    """Make a corpus folder of published archives; what is there already is left as it is.

    Args:
        corpus: a name in `PUBLISHED`.
        folder: of the corpus.
        base: address of a mirror, without the archives' names; None for the publisher's.
        kept: folder of archives that need not be downloaded, and of those that are; None deletes each once it is unpacked.
        waits: seconds before each further attempt at an address.

    Raises:
        ArchiveError: an archive cannot be had or unpacked, or the folder holds another corpus. The next call continues.
    """
    if corpus not in PUBLISHED:
        raise ArchiveError(f"corpus must be one of {', '.join(PUBLISHED)}, got {corpus!r}")
    if (folder / DESCRIPTION_FILE).exists():
        raise ArchiveError(f"{folder} holds another corpus, which its {DESCRIPTION_FILE} describes; name another folder")
    published = PUBLISHED[corpus]
    address = published.address if base is None else f"{base.rstrip('/')}/{{name}}"
    console = Console(stderr=True, highlight=False)
    with _work_folder(folder, console) as work:
        for archive in published.archives:
            if (folder / archive.folder).is_dir():
                _say(console, f"{archive.folder}: there already")
                continue
            path = _kept(archive, kept, console)
            if path is None:
                path = _downloaded(archive, address.replace("{name}", archive.name), work, waits, console)
                if kept is not None:
                    path = _moved(path, kept)
            with progress_bar(f"unpacking {archive.name}", "files", console) as progress:
                unpack(path, folder, work, progress)
            if kept is None:
                path.unlink()


@contextlib.contextmanager
def _work_folder(folder: Path, console: Console) -> Iterator[Path]:
    """Where unfinished work lies, for one process at a time; removed once there is none."""
    work, is_new = folder / WORK_FOLDER, not folder.exists()
    work.mkdir(parents=True, exist_ok=True)
    with (work / "lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise ArchiveError(f"another process downloads to {folder}; wait until it is through") from None
        try:
            yield work
        except BaseException as error:
            if isinstance(error, KeyboardInterrupt):
                _say(console, "interrupted; the same command continues")
            (work / "lock").unlink()
            with contextlib.suppress(OSError):  # what has arrived stays
                work.rmdir()
                if is_new:
                    folder.rmdir()
            raise
        shutil.rmtree(work)


def _kept(archive: Archive, kept: Path | None, console: Console) -> Path | None:
    """The archive's file in the folder that the user named, checked."""
    path = None if kept is None else kept / archive.name
    if path is None or not path.exists():
        return None
    _say(console, f"{archive.name}: checking {path}")
    found = pooch.file_hash(str(path), alg="md5")
    if found != archive.md5:
        raise ArchiveError(f"{path} has MD5 {found}, published is {archive.md5}; remove it to download it")
    return path


def _downloaded(archive: Archive, url: str, work: Path, waits: Sequence[float], console: Console) -> Path:
    with progress_bar(f"downloading {archive.name}", "MB", console) as show:

        def progress(arrived: int, total: int) -> None:
            show(-(-arrived // 10**6), -(-total // 10**6))

        part = work / f"{archive.name}.part"
        return fetch(archive, url, work, ResumingDownloader(part, work, progress, lambda line: _say(console, line), waits))


def _moved(path: Path, folder: Path) -> Path:
    """The file in another folder, maybe on another disk, where it never has its name before it is whole."""
    folder.mkdir(parents=True, exist_ok=True)
    copied = shutil.move(path, folder / f"{path.name}.part")
    return Path(copied).rename(folder / path.name)


def _say(console: Console, line: str) -> None:
    console.print(line, markup=False, soft_wrap=True)
