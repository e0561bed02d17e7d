"""Findings of `acl-study doctor`, a line each."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from acl.system.text import first_line

State = Literal["ok", "note", "warning", "problem"]


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at.

    Attributes:
        state: note is a fact that a user may not expect, warning limits what can be done, problem keeps studies from running.
        topic: what was looked at, a word or two.
        found: what it is.
        remedy: what to do; empty where nothing is to be done.
    """

    state: State
    topic: str
    found: str
    remedy: str = ""

    @property
    def line(self) -> str:
        """It as `doctor` prints it.

        >>> Finding("warning", "disk", "2.0 GB are free", "make room").line
        'warning  disk        2.0 GB are free → make room'
        """
        return f"{self.state:8} {self.topic:11} {self.found}" + (f" → {self.remedy}" if self.remedy else "")


def count_problems(findings: Iterable[Finding]) -> int:
    """Count what keeps studies from running."""
    return sum(finding.state == "problem" for finding in findings)


def reason_of(error: BaseException) -> str:
    """An error's first line, without the full stop; its type where it says nothing."""
    return first_line(str(error).strip(), type(error).__name__).rstrip(".")
