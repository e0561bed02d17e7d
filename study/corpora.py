"""Corpora from the command line: synthesis and features with a progress bar."""

from pathlib import Path

from rich.console import Console

from acl.data.clip_rows import split_groups
from acl.data.clips import Corpus
from acl.data.corpus import import_corpus
from acl.data.manifest import read_manifest
from acl.data.synthesis import write_synthetic_corpus
from acl.preparing import prepare
from study.bars import progress_bar
from study.home import Home

MINI_SIZE = "small"
MINI_SEED = 0


def synthesise(folder: Path, size: str, seed: int) -> None:
    """Write a synthetic corpus; nothing is done where the same one lies already."""
    with progress_bar(f"synthesising {folder.name}") as progress:
        write_synthetic_corpus(folder, size, seed, progress=progress)


def prepare_features(folder: Path, workers: int | None = None, skip_bad: bool = False) -> None:
    """Compute the features of both front ends; nothing is done where they are complete. Raises as `acl.preparing.prepare`."""
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
    if straddling := split_groups(corpus.clips):
        lines.append(
            f"note: {len(straddling)} recordings have clips on both sides of a split or fold, first {straddling[0]}: test results "
            "are too good"
        )
    return lines


def _parts(corpus: Corpus) -> list[str]:
    """How much a corpus has of what."""
    folds = sorted({clip.fold for clip in corpus.clips} - {0})
    counts = {split: sum(clip.split == split for clip in corpus.clips) for split in ("train", "test", "foreign")}
    parts = [f"{len(corpus.clips)} clips", f"{len(corpus.classes)} classes"]
    parts += [f"folds {', '.join(map(str, folds))}"] if folds else []
    return parts + [f"{count} {split}" for split, count in counts.items() if count]
