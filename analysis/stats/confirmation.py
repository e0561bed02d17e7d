"""Confirmation of a winner on fresh seeds, which took no part in its selection."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import pandas as pd

from analysis.formats import percent, points, points_interval
from analysis.stats.clusters import clusters_of
from analysis.stats.comparisons import SettingsComparison, compare_settings
from analysis.stats.power import MIN_SEEDS

CONFIRMED, NOT_CONFIRMED, UNDECIDED = "confirmed", "not confirmed", "cannot be told"


@dataclass(frozen=True)
class Confirmation:
    """A winner against its baseline, both run again with the same fresh seeds; positive differences mean better.

    Attributes:
        seeds: on which both have been run.
        tested_on: the test clips in words.
        winner: mean accuracy over the seeds, share.
        baseline: the same of the baseline.
        comparison: of the two settings; None with fewer than `MIN_SEEDS` seeds, with which nothing is claimed.
        planned: how many seeds there were to be.
        missing: why there are fewer, in words.
        worthwhile: smallest gain worth having, share: the study's `equivalence`, else 0.
    """

    seeds: int
    tested_on: str
    winner: float
    baseline: float
    comparison: SettingsComparison | None
    planned: int
    missing: Sequence[str] = ()
    worthwhile: float = 0.0

    @property
    def difference(self) -> float:
        """Of the two accuracies."""
        return self.winner - self.baseline

    @property
    def low(self) -> float:
        """Lower bound of the difference's 95 % interval over other seeds and other clips."""
        return -math.inf if self.comparison is None else self.comparison.low

    @property
    def high(self) -> float:
        """Upper bound."""
        return math.inf if self.comparison is None else self.comparison.high

    @property
    def finding(self) -> str:
        """Two one-sided tests at 2.5 % each. Where neither rejects, nobody can tell.

        Confirmed: the whole 95 % interval is above 0. A winner that is no better is confirmed in at most 2.5 % of confirmations, if
        both sides' runs fail alike: where runs of one side alone collapse now and then, it is up to 15 % (LOG.md).
        Not confirmed: the whole interval is below `worthwhile`. A winner whose true gain is that large, or just any gain where
        `worthwhile` is 0, is not confirmed in at most 2.5 %.

        With fewer than `MIN_SEEDS` seeds nothing is claimed. Neither is it with those that are left where others failed: the seeds
        on which a winner diverges may be just those that speak against it.
        """
        if self.seeds < max(MIN_SEEDS, self.planned):
            return UNDECIDED
        if self.low > 0:
            return CONFIRMED
        return NOT_CONFIRMED if self.high < self.worthwhile else UNDECIDED

    @property
    def verdict(self) -> str:
        """One plain line."""
        seeds = seeds_text(self.seeds)
        known = self.comparison is not None
        found = points_interval(self.difference, self.low, self.high) if known else f"{points(self.difference)} points"
        numbers = f"{found} over {seeds} and {self.tested_on}"
        numbers += f"; test accuracy {percent(self.winner)} %, baseline {percent(self.baseline)} %"
        if self.finding == UNDECIDED:
            share = seeds if self.seeds == self.planned else f"{self.seeds} of {seeds_text(self.planned)}"
            reasons = [*self.missing, *([] if known else [f"a claim takes {MIN_SEEDS} seeds"])]
            why = f" ({', '.join(reasons)})" if reasons else ""
            return f"{UNDECIDED} with {share}{why}: {numbers}"
        small = (
            f", but less than {points(self.worthwhile).lstrip('+')} points" if self.low > 0 and self.high < self.worthwhile else ""
        )
        return f"{self.finding}{small}: {numbers}"


def seeds_text(number: int) -> str:
    """A number of seeds in words."""
    return "1 seed" if number == 1 else f"{number} seeds"


def confirm(
    baseline: pd.DataFrame, winner: pd.DataFrame, planned: int | None = None, missing: Sequence[str] = (), worthwhile: float = 0.0
) -> Confirmation:
    """Compare a winner with its baseline on fresh seeds, see `analysis.stats.comparisons.compare_settings`.

    Seeds and setting were fixed before these runs, so that no selection is left to correct for.

    Args:
        baseline: correct (bool) by test clip (index) and seed (columns).
        winner: the same of the winner.
        planned: how many seeds there were to be; None: as many as there are.
        missing: why there are fewer, in words.
        worthwhile: smallest gain worth having, share.

    Raises:
        ValueError: the two sides have different seeds or clips.
    """
    if set(baseline.columns) != set(winner.columns):
        raise ValueError("the two sides were run with different seeds; compare the seeds that both have")
    seeds = len(baseline.columns)
    return Confirmation(
        seeds=seeds,
        tested_on=clusters_of(baseline.index, by_fold=True).words,
        winner=float(winner.to_numpy(float).mean()),
        baseline=float(baseline.to_numpy(float).mean()),
        comparison=compare_settings(baseline, [winner])[0] if seeds >= MIN_SEEDS else None,
        planned=seeds if planned is None else planned,
        missing=tuple(missing),
        worthwhile=worthwhile,
    )
