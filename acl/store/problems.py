"""Problems that stop a preparation, as they are reported."""

from collections.abc import Mapping
from pathlib import Path

from acl.data.clips import Clip
from acl.system.errors import CorpusError

SHOWN = 20


class BadAudioError(CorpusError):
    """Audio files of a corpus are unusable; the message has a line with their number and the remedy, then one for each.

    Attributes:
        problems: the clips and what is wrong with them.
    """

    def __init__(self, problems: Mapping[Clip, str], total: int, file: Path) -> None:
        self.problems = problems
        super().__init__(
            f"{len(problems)} of {total} clips cannot be used; restore the files, remove their rows from the tables, or leave "
            "them out with --skip-bad (what was computed of the others is kept):\n  " + "\n  ".join(shown_lines(problems, file))
        )


def lines(problems: Mapping[Clip, str]) -> list[str]:
    """A line for each problem, in the order of the clips' names."""
    return sorted(f"{printable(clip.name)} {problem}" for clip, problem in problems.items())


def shown_lines(problems: Mapping[Clip, str], file: Path) -> list[str]:
    """The first lines, and where the others are; `file` has all."""
    every = lines(problems)
    more = len(every) - SHOWN
    return every if more <= 0 else [*every[:SHOWN], f"and {more} more, all in {file}"]


def printable(name: str) -> str:
    """A file's name in one line that the terminal takes for text.

    >>> printable("é [red] 1.wav"), printable("a\\nb.wav")
    ('é [red] 1.wav', "'a\\\\nb.wav'")
    """
    return name if name.isprintable() else repr(name)
