"""Corpora from the command line: synthesis and features with a progress bar."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from acl.data.synthesis import write_synthetic_corpus
from acl.store import prepare
from study.home import Home

MINI_SIZE = "small"
MINI_SEED = 0


def synthesise(folder: Path, size: str, seed: int) -> None:
    """Write a synthetic corpus; nothing is done where the same one lies already."""
    with progress_bar(f"synthesising {escape(folder.name)}") as progress:
        write_synthetic_corpus(folder, size, seed, progress=progress)


def prepare_features(folder: Path, workers: int | None = None, skip_bad: bool = False) -> None:
    """Compute the features of both front ends; nothing is done where they are complete. Raises as `acl.store.prepare`."""
    console = Console(stderr=True, highlight=False)

    def say(line: str) -> None:
        console.print(line, markup=False, soft_wrap=True)

    with progress_bar(f"features of {escape(folder.name)}", console=console) as progress:
        prepare(folder, workers=workers, progress=progress, skip_bad=skip_bad, say=say)


def ensure_mini_corpus(home: Home) -> Path:
    """The prepared synthetic corpus of the mini profile."""
    folder = home.corpus(MINI_SIZE, MINI_SEED)
    synthesise(folder, MINI_SIZE, MINI_SEED)
    prepare_features(folder)
    return folder


@contextmanager
def progress_bar(what: str, unit: str = "clips", console: Console | None = None) -> Iterator[Callable[[int, int], None]]:
    """A bar on standard error, fed with (done, total); it appears with the first call."""
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TextColumn(unit))
    bar = Progress(*columns, TimeElapsedColumn(), TimeRemainingColumn(), console=console or Console(stderr=True))
    task = bar.add_task(what, total=None)

    def show(done: int, total: int) -> None:
        bar.start()
        bar.update(task, completed=done, total=total)

    try:
        yield show
    finally:
        if bar.live.is_started:
            bar.stop()
