"""Results of a study: the winners by validation, their figures, and how they compare with the baseline on test clips."""

from dataclasses import dataclass

import pandas as pd

from analysis.records.runs import load_predictions, load_trials, parameter_names
from analysis.settings import TEST, VAL, clips_of_runs, correct_clips, correct_of_settings
from analysis.stats.claims import Claim, claim
from analysis.stats.intervals import interval_over_seeds
from study import names
from study.results.selection import ALPHA, CLIPS, Candidate, Choice, Row, as_candidate, choices, rank_of
from study.spec.study import Study
from study.spec.sweep import Sweep
from study.state.seeds import SEED

# What the baseline may have otherwise than the winner, besides what their sweeps search; the margin has no effect on it.
_FREE = (SEED, ALPHA, "loss.margin", "loss.temperature")
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
        choices: what validation picks among the finished trials, by sweep.
    """

    def __init__(self, study: Study, store_uri: str) -> None:
        """Read the records.

        Raises:
            AnalysisError: there are none yet.
        """
        self.study = study
        self.trials = load_trials(store_uri, [study.name])
        finished = self.trials[self.trials["outcome"] == names.FINISHED]
        self._rows: list[Row] = finished.to_dict("records")
        self._predictions = load_predictions(store_uri, finished["run_id"])
        self._clips = {split: clips_of_runs(self._predictions, split) for split in (VAL, TEST)}
        self._settings = [name for name in parameter_names(self.trials) if name not in _FREE]
        self.choices = {sweep.name: choices(sweep, self._rows_of(sweep)) for sweep in study.sweeps}

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
        clips = self._clips[TEST if metric.startswith("test.") else VAL]
        return Figure(value, interval_over_seeds(values, float(clips[candidate.rows[0]["run_id"]])))

    def correct(self, candidate: Candidate) -> pd.DataFrame:
        """Whether each test clip was classified correctly: clips as index, a column per seed."""
        seeds = {row["run_id"]: row[SEED] for row in candidate.rows}
        return correct_clips(self._predictions, tuple(seeds)).rename(columns=seeds)

    def baseline(self, sweep: Sweep, choice: Choice) -> Candidate | None:
        """The setting with alpha 1 that the winner is compared with, picked on validation as the winner is.

        It is the best of the choice's own; where the sweep has none, the best among the study's other sweeps of those with the
        winner's protocol: equal in all settings but what the sweeps search, alpha, margin, temperature and seed.
        """
        own = [candidate for candidate in choice.candidates if candidate.is_baseline]
        found = own or [
            as_candidate(sweep, candidate.rows)
            for other in self.study.sweeps
            for candidate in (each for other_choice in self.choices[other.name] for each in other_choice.candidates)
            if candidate.is_baseline and self._same_protocol(sweep, other, choice.winners[0].rows[0], candidate.rows[0])
        ]
        return max(found, key=lambda candidate: rank_of(sweep, candidate), default=None)

    def claim(self, choice: Choice, baseline: Candidate) -> Claim:
        """What may be said about the winner and the baseline on the test clips."""
        tried = [candidate for candidate in choice.candidates if not candidate.is_baseline]
        runs = [tuple(row["run_id"] for row in each.rows) for each in (baseline, *tried)]
        first, *others = correct_of_settings(self._predictions, runs)
        return claim(first, others, tried.index(choice.winners[0]))

    def verdict(self, sweep: Sweep, choice: Choice) -> str:
        """What the report would say about the winner of one objective."""
        others = sum(not candidate.is_baseline for candidate in choice.candidates)
        if choice.winners[0].is_baseline:
            if not others:
                return f"only the baseline (alpha 1) has finished{' with so many seeds' if choice.lacking else ''}"
            return f"no gain: no setting with alpha < 1 beats the baseline (alpha 1) on validation, of {others} tried"
        baseline = self.baseline(sweep, choice)
        if baseline is not None:
            return self.claim(choice, baseline).verdict
        if any(setting.is_baseline for setting in choice.lacking):
            return "no comparison: the baseline (alpha 1) has finished with fewer seeds than the winner"
        return "no baseline (alpha 1) in this study"

    def _rows_of(self, sweep: Sweep) -> list[Row]:
        return [row for row in self._rows if row["sweep"] == sweep.name]

    def _same_protocol(self, sweep: Sweep, other: Sweep, winner: Row, baseline: Row) -> bool:
        searched = (set(sweep.space) | set(other.space)) - set(CLIPS)
        fixed = [name for name in self._settings if name not in searched]
        has_objective = all(pd.notna(baseline.get(objective)) for objective in sweep.objectives)
        return has_objective and all(
            winner[name] == baseline[name] or pd.isna([winner[name], baseline[name]]).all() for name in fixed
        )
