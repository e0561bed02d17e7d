"""How far sweeps are, by their journals."""

from dataclasses import dataclass

from study import record_names as names
from study.home import Home
from study.journal import Journal
from study.spec import Study
from study.sweep import Sweep


@dataclass(frozen=True)
class SweepOutcome:
    """How many trials of a sweep ended in which way; `left` were not finished when it was interrupted."""

    name: str
    finished: int
    stopped: int
    failed: int
    left: int


def outcome_of(sweep: Sweep, journal: Journal) -> SweepOutcome:
    """How far a sweep is."""
    ended = journal.outcomes()
    finished, stopped, failed = (ended.count(outcome) for outcome in (names.FINISHED, names.STOPPED, names.FAILED))
    return SweepOutcome(sweep.name, finished, stopped, failed, left=max(0, sweep.runs - len(ended)))


def is_complete(sweep: Sweep, journal: Journal) -> bool:
    """Whether nothing is left to run or to try again."""
    outcome = outcome_of(sweep, journal)
    return outcome.left == outcome.failed == 0


def pending_sweeps(study: Study, home: Home) -> list[Sweep]:
    """Those of which something is left to run or to try again."""
    return [sweep for sweep in study.sweeps if not is_complete(sweep, Journal(home.study(study.name) / sweep.name))]
