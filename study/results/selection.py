"""Settings of a sweep that validation selects, for the end of a launch, `status`, `best`, `confirm` and the models of winners.

The rule itself is in `analysis.selection_rule`, which the report asks, too.
"""

import itertools
import math
import re
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from analysis.question import ALPHA, CLIP_SETTINGS, FOLD, MARGIN, SUBSET, TEMPERATURE, Question
from analysis.selection_rule import Rank, has_all_seeds, rank
from study.spec.objectives import pareto_front
from study.spec.sweep import Sweep
from study.state.seeds import SEED, setting_of_row

_WORDS = {FOLD: "fold", "noise.rate": "noise"}

Row = dict[Any, Any]  # a trial: settings and last metrics by dotted name, and its place
PLACE = "place"  # of a trial in the order in which those of the study began


@dataclass(frozen=True)
class Candidate:
    """A setting, with the trials that repeat it.

    Attributes:
        setting: the values of what the sweep varies, without the seed.
        rows: its trials, one per seed.
        objectives: means over them, in the order of the sweep's.
        is_baseline: whether it is one of the study's baselines.
    """

    setting: dict[str, Any]
    rows: list[Row]
    objectives: tuple[float, ...]
    is_baseline: bool


@dataclass(frozen=True)
class Choice:
    """What validation selects among settings that compare.

    Attributes:
        subset: of the training clips, where the sweep compares subsets; so too fold, injected noise, and what else the study takes
            each value of as a comparison of its own.
        candidates: all of them.
        winners: the best; for several objectives the Pareto front, from the best by the first objective on.
        lacking: settings that are no candidates, since others have finished with more seeds.
    """

    subset: str | None
    candidates: list[Candidate]
    winners: list[Candidate]
    lacking: list[Candidate]

    @property
    def seeds(self) -> int:
        """With how many each candidate has finished."""
        return len(self.candidates[0].rows)


def choices(sweep: Sweep, rows: Sequence[Row], question: Question) -> list[Choice]:
    """The winners among trials of a sweep that have its objectives, one choice for each comparison (and fold) that it has.

    Settings with several seeds are compared by their means over seeds; one that has finished with fewer seeds than another of its
    subset is no candidate.
    """
    settings: dict[tuple[Any, ...], dict[Any, Row]] = {}
    for row in rows:
        if all(math.isfinite(row.get(objective, math.nan)) for objective in sweep.objectives):
            settings.setdefault(tuple(setting_of_row(sweep, row).items()), {})[row.get(SEED)] = row
    groups: dict[str | None, list[Candidate]] = {}
    for trials in settings.values():
        candidate = as_candidate(sweep, list(trials.values()), question)
        known = {name: value for name, value in candidate.setting.items() if name != MARGIN or candidate.rows[0][ALPHA] != 1}
        groups.setdefault(_comparison_of(known, question), []).append(candidate)
    return [_choice(sweep, subset, group) for subset, group in groups.items()]


def _comparison_of(setting: Mapping[str, Any], question: Question) -> str | None:
    """Which comparison a setting belongs to, as far as its sweep varies that; may be part of a sweep's name.

    >>> _comparison_of({"data.subset": "clean", "noise.rate": 0.4, "loss.alpha": 1.0}, Question({"loss.alpha": 1}))
    'clean'
    >>> _comparison_of({"model.width": 64, "loss.alpha": 1.0}, Question({"loss.alpha": 1}, within=("model.width",)))
    'width-64'
    """
    parts = []
    for name in dict.fromkeys([SUBSET, FOLD, *question.within]):
        if name in setting:
            value = setting[name]
            text = f"{value:g}" if isinstance(value, float) else str(value)
            word = _WORDS.get(name, name.rpartition(".")[2])
            parts.append(text if name == SUBSET or (isinstance(value, str) and name in CLIP_SETTINGS) else f"{word}-{text}")
    return re.sub(r"[^A-Za-z0-9._-]+", "-", "-".join(parts)) or None


def as_candidate(sweep: Sweep, rows: list[Row], question: Question) -> Candidate:
    """The setting that `rows`, its finished trials, repeat, seen with the sweep's objectives."""
    means = tuple(statistics.fmean(row[objective] for row in rows) for objective in sweep.objectives)
    return Candidate(setting_of_row(sweep, rows[0]), rows, means, question.is_baseline(rows[0]))


def rank_of(sweep: Sweep, candidate: Candidate) -> Rank:
    """A candidate's place by the first objective; the largest is best. Rows have their `PLACE`."""
    row, value = candidate.rows[0], candidate.objectives[0]
    gain = value if sweep.directions[0] == "max" else -value
    return rank(gain, row[ALPHA], row.get(MARGIN), row.get(TEMPERATURE), min(own[PLACE] for own in candidate.rows))


def _choice(sweep: Sweep, subset: str | None, settings: list[Candidate]) -> Choice:
    complete = has_all_seeds([len(setting.rows) for setting in settings])
    candidates = list(itertools.compress(settings, complete))
    lacking = [setting for setting, is_candidate in zip(settings, complete, strict=True) if not is_candidate]
    return Choice(subset, candidates, _winners(sweep, candidates), lacking)


def _winners(sweep: Sweep, candidates: list[Candidate]) -> list[Candidate]:
    ordered = sorted(candidates, key=lambda candidate: rank_of(sweep, candidate), reverse=True)
    if len(sweep.objectives) == 1:
        return ordered[:1]
    return [ordered[place] for place in pareto_front([candidate.objectives for candidate in ordered], sweep.directions)]
