"""Completion of a sweep: which trials it still needs, and the rule that ends a search before its budget is used."""

import math
from dataclasses import dataclass

from study import names
from study.spec.objectives import value_text
from study.spec.study import Study
from study.spec.sweep import Sweep
from study.state.home import Home
from study.state.journal import Journal


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
    finished, stopped, failed = (ended.count(outcome) for outcome in names.OUTCOMES)
    return SweepOutcome(sweep.name, finished, stopped, failed, left=trials_left(sweep, journal))


def trials_needed(sweep: Sweep, journal: Journal) -> int:
    """Trials that the sweep consists of, as far as is known.

    A search that has ended early needs those that it has begun. A point that it proposed again is none.
    """
    if journal.search_end is not None:
        return len(journal.trials)
    return sweep.runs - len(journal.repeats)


def trials_left(sweep: Sweep, journal: Journal) -> int:
    """Trials that the sweep needs and that are not over."""
    return max(0, trials_needed(sweep, journal) - len(journal.outcomes()))


def is_complete(sweep: Sweep, journal: Journal) -> bool:
    """Whether nothing is left to run or to try again."""
    outcome = outcome_of(sweep, journal)
    return outcome.left == outcome.failed == 0


def pending_sweeps(study: Study, home: Home) -> list[Sweep]:
    """Those of which something is left to run or to try again."""
    return [sweep for sweep in study.sweeps if not is_complete(sweep, _journal(study, sweep, home))]


def study_left(study: Study, home: Home) -> dict[str, int]:
    """Trials that are left, by sweep."""
    return {sweep.name: trials_left(sweep, _journal(study, sweep, home)) for sweep in study.sweeps}


def reason_to_end(sweep: Sweep, journal: Journal) -> str | None:
    """Why the search is to end now, before its budget is used up; None where it goes on or has ended.

    The answer follows from the finished trials in the order in which they ended: a launch that is killed before it has noted the
    end comes to the same one when it is resumed.
    """
    patience, target = sweep.budget.patience, sweep.budget.target
    is_used_up = len(journal.trials) + len(journal.repeats) >= sweep.runs
    if not sweep.can_end_early or is_used_up or journal.search_end is not None:
        return None
    objective, sign = sweep.objectives[0], 1 if sweep.directions[0] == "max" else -1
    best, without_gain = -math.inf, 0
    for name in journal.finished:
        value = journal.trials[name].metrics.get(objective, math.nan)
        gain = sign * value if math.isfinite(value) else -math.inf
        best, without_gain = (gain, 0) if gain > best else (best, without_gain + 1)
        if target is not None and best >= sign * target:
            return f"{objective} {value_text(objective, value)} reaches the target {value_text(objective, target)}"
        if patience is not None and without_gain >= patience:
            return f"no improvement for {patience} trial{'s' * (patience > 1)}"
    return None


def early_end(sweep: Sweep, journal: Journal) -> str | None:
    """The early end of a search in words, e.g. "ended after 23 of 50 trials: no improvement for 20 trials"."""
    if journal.search_end is None:
        return None
    return f"ended after {len(journal.outcomes())} of {sweep.runs} trials: {journal.search_end}"


def remarks(sweep: Sweep, journal: Journal) -> list[str]:
    """Why a sweep has fewer trials than its budget, or began with results of others, a sentence each."""
    lines = []
    if journal.warm_start:
        studies = ", ".join(dict.fromkeys(result.study for result in journal.warm_start))
        number = len(journal.warm_start)
        lines.append(f"began with {number} result{'s' * (number > 1)} of {studies} (warm_start)")
    if journal.repeats:
        number = len(journal.repeats)
        lines.append(
            f"{number} of {sweep.runs} trials repeated an earlier setting and {'was' if number == 1 else 'were'} not trained"
        )
    if end := early_end(sweep, journal):
        lines.append(end)
    return [f"{sweep.name}: {line}" for line in lines]


def study_remarks(study: Study, home: Home) -> list[str]:
    """The remarks on all searches of a study."""
    searches = [sweep for sweep in study.sweeps if sweep.uses_optuna]
    return [line for sweep in searches for line in remarks(sweep, _journal(study, sweep, home))]


def _journal(study: Study, sweep: Sweep, home: Home) -> Journal:
    return Journal(home.study(study.name) / sweep.name)
