"""Corpora from the command line: synthesis and features with a progress bar."""

from pathlib import Path

from rich.console import Console

from acl.data.synthesis import write_synthetic_corpus
from acl.store import prepare
from study.bars import progress_bar
from study.home import Home

MINI_SIZE = "small"
MINI_SEED = 0


def synthesise(folder: Path, size: str, seed: int) -> None:
    """Write a synthetic corpus; nothing is done where the same one lies already."""
    with progress_bar(f"synthesising {folder.name}") as progress:
        write_synthetic_corpus(folder, size, seed, progress=progress)


def prepare_features(folder: Path, workers: int | None = None, skip_bad: bool = False) -> None:
    """Compute the features of both front ends; nothing is done where they are complete. Raises as `acl.store.prepare`."""
    console = Console(stderr=True, highlight=False)

    def say(line: str) -> None:
        console.print(line, markup=False, soft_wrap=True)

    with progress_bar(f"features of {folder.name}", console=console) as progress:
        prepare(folder, workers=workers, progress=progress, skip_bad=skip_bad, say=say)


def ensure_mini_corpus(home: Home) -> Path:
    """The prepared synthetic corpus of the mini profile."""
    folder = home.corpus(MINI_SIZE, MINI_SEED)
    synthesise(folder, MINI_SIZE, MINI_SEED)
    prepare_features(folder)
    return folder
