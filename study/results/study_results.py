"""Results of a study: the winners by validation, their figures, and how they compare with the baseline on test clips."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pandas as pd

from analysis.question import CLIP_SETTINGS, FOLD, PAPER_DIMENSIONS, Question
from analysis.records.runs import load_predictions, load_trials, parameter_names
from analysis.stats.claims import INTERIM, PLANNED, Claim, claim
from analysis.stats.clips import TEST, VAL, correct_clips, correct_of_settings, independent_clips_of_runs
from analysis.stats.intervals import interval_over_seeds
from study import names
from study.results.selection import PLACE, Candidate, Choice, Row, as_candidate, choices, rank_of
from study.spec.study import Study
from study.spec.sweep import Sweep
from study.state.seeds import SEED

# What the baseline may have otherwise than the winner, besides what their sweeps search and what makes it one.
_FREE = (SEED, *PAPER_DIMENSIONS)
_SHARES = (names.VAL_ACCURACY, names.VAL_KNN_ACCURACY, names.TEST_ACCURACY)  # of clips


@dataclass(frozen=True)
class Figure:
    """A mean over a setting's seeds.

    Attributes:
        value: of the metric.
        interval: 95 %, over clips and, of several seeds, over seeds; None where the metric is no share of clips.
    """

    value: float
    interval: tuple[float, float] | None


class StudyResults:
    """A study's trials and what they say about its question.

    Attributes:
        study: whose they are.
        trials: of `analysis.records.runs.load_trials`.
        choices: what validation selects among the finished trials, by sweep.
    """

    def __init__(self, study: Study, store_uri: str) -> None:
        """Read the records.

        Raises:
            AnalysisError: there are none yet.
        """
        self.study = study
        self.trials = load_trials(store_uri, [study.name])
        finished = self.trials[self.trials["outcome"] == names.FINISHED]
        self._rows: list[Row] = finished.assign(**{PLACE: range(len(finished))}).to_dict("records")
        self._predictions = load_predictions(store_uri, finished["run_id"])
        self._settings = [name for name in parameter_names(self.trials) if name not in _FREE]
        self._questions = {mode: study.question_in(mode) for mode in study.modes}
        self.choices = {sweep.name: choices(sweep, self._rows_of(sweep), self.question(sweep)) for sweep in study.sweeps}

    def question(self, sweep: Sweep) -> Question:
        """What the study compares in the mode of a sweep."""
        return self._questions[str(sweep.base["mode"])]

    def seeds(self, sweep: Sweep, outcome: str) -> set[int]:
        """Seeds of the sweep's trials that ended so."""
        own = self.trials[(self.trials["sweep"] == sweep.name) & (self.trials["outcome"] == outcome)]
        return {int(seed) for seed in own[SEED]}

    def figure(self, candidate: Candidate, metric: str) -> Figure:
        """Mean of a metric over the candidate's seeds."""
        values = [row[metric] for row in candidate.rows]
        value = float(pd.Series(values).mean())
        if metric not in _SHARES:
            return Figure(value, None)
        split = TEST if metric.startswith("test.") else VAL
        one = pd.Series({row["run_id"]: 0 for row in candidate.rows})
        return Figure(value, interval_over_seeds(values, float(independent_clips_of_runs(self._predictions, split, one)[0])))

    def correct(self, candidate: Candidate) -> pd.DataFrame:
        """Whether each test clip was classified correctly: clips as index, a column per seed."""
        seeds = {row["run_id"]: row[SEED] for row in candidate.rows}
        return correct_clips(self._predictions, tuple(seeds)).rename(columns=seeds)

    def baselines(self, sweep: Sweep, choice: Choice) -> list[Candidate]:
        """The baselines that the winner may be compared with, best on validation first; it is compared with the first.

        They are the choice's own; where the sweep has none, those of the study's other sweeps that have the winner's protocol:
        equal in all settings but what the sweeps search, alpha, margin, temperature and seed.
        """
        own = [candidate for candidate in choice.candidates if candidate.is_baseline]
        found = own or [
            as_candidate(sweep, candidate.rows, self.question(sweep))
            for other in self.study.sweeps
            if other.base["mode"] == sweep.base["mode"]
            for candidate in (each for other_choice in self.choices[other.name] for each in other_choice.candidates)
            if candidate.is_baseline and self._same_protocol(sweep, other, choice.winners[0].rows[0], candidate.rows[0])
        ]
        return sorted(found, key=lambda candidate: rank_of(sweep, candidate), reverse=True)

    def claim(self, sweep: Sweep, choice: Choice) -> Claim | None:
        """What may be said about the winner and the baseline on the test clips; None where there is no baseline."""
        baselines = self.baselines(sweep, choice)
        if not baselines:
            return None
        tried = [candidate for candidate in choice.candidates if not candidate.is_baseline]
        runs = [tuple(row["run_id"] for row in each.rows) for each in (*baselines, *tried)]
        first, *others = correct_of_settings(self._predictions, runs)
        rivals, sides = others[: len(baselines) - 1], others[len(baselines) - 1 :]
        equivalence = self.question(sweep).equivalence
        winner = choice.winners[0]
        prefers = rank_of(sweep, baselines[0]) > rank_of(sweep, winner)  # one of another sweep
        look = INTERIM if self.trials["study_is_open"].any() else PLANNED
        place = tried.index(winner)
        return claim(first, sides, place, rivals=rivals, equivalence=equivalence, prefers_baseline=prefers, look=look)

    def verdict(self, sweep: Sweep, choice: Choice) -> str:
        """What the report would say about the winner of one objective."""
        others = sum(not candidate.is_baseline for candidate in choice.candidates)
        values = self.question(sweep).baseline
        if not values:
            return "no comparison: the study names no baseline; add `baseline` to its file"
        if choice.winners[0].is_baseline:
            if not others:
                return f"only the baseline ({_named(values)}) has finished{' with so many seeds' if choice.lacking else ''}"
            return f"no gain: no other setting beats the baseline ({_named(values)}) on validation, of {others} tried"
        found = self.claim(sweep, choice)
        if found is not None:
            return found.verdict + ("; about this fold alone, a report pools the folds" if FOLD in sweep.space else "")
        if any(setting.is_baseline for setting in choice.lacking):
            return f"no comparison: the baseline ({_named(values)}) has finished with fewer seeds than the winner"
        own = self.trials[self.trials["mode"] == sweep.base["mode"]]
        if any(self.question(sweep).is_baseline(row) for row in own.to_dict("records")):
            return f"no comparison: no trial of the baseline ({_named(values)}) has finished with the winner's other settings"
        return f"no baseline ({_named(values)}) in this study"

    def _rows_of(self, sweep: Sweep) -> list[Row]:
        return [row for row in self._rows if row["sweep"] == sweep.name]

    def _same_protocol(self, sweep: Sweep, other: Sweep, winner: Row, baseline: Row) -> bool:
        question = self.question(sweep)
        searched = {*sweep.space, *other.space, *question.dimensions} - {*CLIP_SETTINGS, *question.within}
        fixed = [name for name in self._settings if name not in searched and question.follows(name) not in searched]
        if question.within_values(winner) != question.within_values(baseline):
            return False
        has_objective = all(pd.notna(baseline.get(objective)) for objective in sweep.objectives)
        return has_objective and all(
            winner[name] == baseline[name] or pd.isna([winner[name], baseline[name]]).all() for name in fixed
        )


def _named(baseline: Mapping[str, Any]) -> str:
    """Values of a baseline, e.g. "alpha 1"."""
    return ", ".join(f"{name.rpartition('.')[2]} {value}" for name, value in baseline.items())
