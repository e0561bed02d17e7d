"""Corpora from the command line: synthesis, download, verification and features, with progress bars."""

import contextlib
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path

from rich.console import Console
from rich.table import Table
from rich.text import Text

from acl.data.archives import PUBLISHED, Archive, unpack
from acl.data.clip_rows import notes_on
from acl.data.clips import Corpus
from acl.data.corpus import import_corpus
from acl.data.fsdnoisy18k import DESCRIPTION_FILE
from acl.data.manifest import read_manifest
from acl.data.synthetic.corpus import write_synthetic_corpus
from acl.data.verification import FSDNOISY18K, Verification, verify
from acl.store.prepare import prepare
from acl.system.errors import ArchiveError, CorpusError
from acl.system.locks import LockHeldError, take_lock
from study.console import progress_bar, table_console
from study.state.home import Home

MINI_SIZE = "small"
MINI_SEED = 0
WORK_FOLDER = ".download"  # in the corpus folder, while something is left to do


def synthesise(folder: Path, size: str, seed: int) -> None:
    """Write a synthetic corpus; nothing is done where the same one lies already."""
    with progress_bar(f"synthesising {folder.name}") as progress:
        write_synthetic_corpus(folder, size, seed, progress=progress)


def prepare_features(folder: Path, workers: int | None = None, skip_bad: bool = False) -> None:
    """Compute the features of both front ends; nothing is done where they are complete. Raises as `acl.store.prepare.prepare`."""
    console = Console(stderr=True, highlight=False)

    def say(line: str) -> None:
        console.print(line, markup=False, soft_wrap=True)

    with progress_bar(f"features of {folder.name}", "log-mels", console) as progress:
        prepare(folder, workers=workers, progress=progress, skip_bad=skip_bad, say=say)


def ensure_mini_corpus(home: Home) -> Path:
    """The prepared synthetic corpus of the mini profile."""
    folder = home.corpus(MINI_SIZE, MINI_SEED)
    synthesise(folder, MINI_SIZE, MINI_SEED)
    prepare_features(folder)
    return folder


def import_manifest(manifest: str, folder: Path, audio: Path | None) -> list[str]:
    """Make a folder the corpus that a manifest describes; returns what it has, a line for each fact."""
    corpus = import_corpus(read_manifest(manifest, audio), folder)
    lines = [f"corpus: {folder} ({corpus.description}: {', '.join(_parts(corpus))})"]
    if not corpus.has_parts:
        lines.append("note: no flags tell clean clips from noisy ones, so the only training subset is all")
    return [*lines, *(f"note: {note}" for note in notes_on(corpus.clips))]


def _parts(corpus: Corpus) -> list[str]:
    """How much a corpus has of what."""
    folds = sorted({clip.fold for clip in corpus.clips} - {0})
    counts = {split: sum(clip.split == split for clip in corpus.clips) for split in ("train", "test", "foreign")}
    parts = [f"{len(corpus.clips)} clips", f"{len(corpus.classes)} classes"]
    parts += [f"folds {', '.join(map(str, folds))}"] if folds else []
    return parts + [f"{count} {split}" for split, count in counts.items() if count]


def download_corpus(
    corpus: str, folder: Path, base: str | None = None, kept: Path | None = None, waits: Sequence[float] | None = None
) -> None:
    """Make a corpus folder of published archives; what is there already is left as it is.

    Args:
        corpus: a name in `PUBLISHED`.
        folder: of the corpus.
        base: address of a mirror, without the archives' names; None for the publisher's.
        kept: folder of archives that need not be downloaded, and of those that are; None deletes each once it is unpacked.
        waits: seconds before each further attempt at an address; None for those of `acl.data.downloading`.

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

    def say_no_locks(reason: str) -> None:
        _say(console, f"{folder} is on a file system without locks ({reason}): let no other process download to it")

    try:
        lock = take_lock(work / "lock", on_no_locks=say_no_locks)
    except LockHeldError:
        raise ArchiveError(f"another process downloads to {folder}; wait until it is through") from None
    with lock:
        try:
            yield work
        except BaseException:
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
    import pooch

    found = pooch.file_hash(str(path), alg="md5")
    if found != archive.md5:
        raise ArchiveError(f"{path} has MD5 {found}, published is {archive.md5}; remove it to download it")
    return path


def _downloaded(archive: Archive, url: str, work: Path, waits: Sequence[float] | None, console: Console) -> Path:
    from acl.data.downloading import WAITS, ResumingDownloader, fetch  # with requests, which other commands need not wait for

    with progress_bar(f"downloading {archive.name}", "MB", console) as show:

        def progress(arrived: int, total: int) -> None:
            show(-(-arrived // 10**6), -(-total // 10**6))

        part = work / f"{archive.name}.part"
        return fetch(archive, url, work, ResumingDownloader(part, work, progress, lambda line: _say(console, line), waits or WAITS))


def _moved(path: Path, folder: Path) -> Path:
    """The file in another folder, maybe on another disk, where it never has its name before it is whole."""
    folder.mkdir(parents=True, exist_ok=True)
    copied = shutil.move(path, folder / f"{path.name}.part")
    return Path(copied).rename(folder / path.name)


def _say(console: Console, line: str) -> None:
    console.print(line, markup=False, soft_wrap=True)


def verify_corpus(folder: Path, workers: int | None = None) -> None:
    """Print what a corpus has and what is wrong with it.

    Raises:
        CorpusError: something is wrong, or the corpus cannot be read at all.
    """
    with progress_bar(f"verifying {folder.name}") as progress:
        found = verify(folder, workers, progress)
    table_console().print(_table(found))
    for line in (*_facts(found), *found.problems):
        print(" ".join(line.encode(errors="replace").decode().splitlines()))  # names of files may hold anything
    if found.problems:
        count = len(found.problems)
        raise CorpusError(
            f"{count} problem{'s' * (count > 1)} in {folder}, listed above; restore or remove what they name, and verify again"
        )


def _table(found: Verification) -> Table:
    table = Table(title=Text(found.corpus.description), title_justify="left")
    table.add_column("class")
    for subset in found.counts:
        table.add_column(subset, justify="right")
    for label in found.corpus.classes:
        table.add_row(Text(label), *(str(found.counts[subset][label]) for subset in found.counts))
    table.add_section()
    table.add_row("all", *(_total(found, subset) for subset in found.counts))
    if found.is_fsdnoisy18k:
        published = {subset: str(numbers.clips) for subset, numbers in FSDNOISY18K.items()}
        table.add_row("published", *(published.get(subset, "–") for subset in found.counts))
        ranges = {subset: f"{numbers.smallest}–{numbers.largest}" for subset, numbers in FSDNOISY18K.items()}
        table.add_row("published, a class", *(ranges.get(subset, "–") for subset in found.counts))
    table.add_row("hours", *(f"{found.hours[subset]:.2f}" for subset in found.counts))
    return table


def _total(found: Verification, subset: str) -> str:
    clips = found.counts[subset].total()
    differs = found.is_fsdnoisy18k and subset in FSDNOISY18K and clips != FSDNOISY18K[subset].clips
    return f"≠ {clips}" if differs else str(clips)


def _facts(found: Verification) -> list[str]:
    clips = sum(subset.clips for subset in FSDNOISY18K.values())
    compared = (
        "compared with the published numbers of FSDnoisy18k; of single classes only the smallest and largest are published"
        if found.is_fsdnoisy18k
        else f"not FSDnoisy18k, which has {clips} clips: nothing published to compare with"
    )
    tested = found.counts.get("test")  # none of a corpus with folds
    untested = [label for label in found.corpus.classes if tested is not None and not tested[label]]
    repeated = ", ".join(f"{count} in {split}" for split, count in found.repeated.items())
    return [
        compared,
        f"labels: {len(found.corpus.classes)} in training"
        + (f"; no test clips of {', '.join(untested)}" if untested else ", all in test"),
        f"clips with the audio of an earlier clip of the same split: {repeated}",
    ]
