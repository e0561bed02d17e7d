"""A corpus verified from the command line: a table of its clips, and a line for each problem."""

from pathlib import Path

from rich.console import Console
from rich.table import Table
from rich.text import Text

from acl.data.clips import CorpusError
from acl.data.verification import FSDNOISY18K, Verification, verify
from study.bars import progress_bar


def verify_corpus(folder: Path, workers: int | None = None) -> None:
    """Print what a corpus has and what is wrong with it.

    Raises:
        CorpusError: something is wrong, or the corpus cannot be read at all.
    """
    with progress_bar(f"verifying {folder.name}") as progress:
        found = verify(folder, workers, progress)
    console = Console()
    (console if console.is_terminal else Console(width=140)).print(_table(found))
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
    compared = (
        "compared with the published numbers of FSDnoisy18k; of single classes only the smallest and largest are published"
        if found.is_fsdnoisy18k
        else "not FSDnoisy18k: there are no published numbers to compare with"
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
