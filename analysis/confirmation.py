"""Whether a winner holds on fresh seeds: a paired comparison that contains what seeds and what test clips change."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import pandas as pd
from scipy.stats import t

from analysis.page_tables import percent
from analysis.statistics import LEVEL, compare_paired

CONFIRMED, NOT_CONFIRMED, UNDECIDED = "confirmed", "not confirmed", "can't be told"


@dataclass(frozen=True)
class Confirmation:
    """A winner against its baseline, both run again with the same fresh seeds; positive differences mean better.

    Attributes:
        seeds: on which both have been run.
        clips: test clips.
        winner: mean accuracy over the seeds, share.
        baseline: the same of the baseline.
        difference: mean of the seeds' differences.
        low: lower bound of its 95 % interval over seeds and clips.
        high: upper bound.
        over_seeds: the 95 % interval of other seeds on the same clips.
        over_clips: that of other clips with the same seeds.
        planned: how many seeds there were to be.
        missing: why there are fewer, in words.
    """

    seeds: int
    clips: int
    winner: float
    baseline: float
    difference: float
    low: float
    high: float
    over_seeds: tuple[float, float]
    over_clips: tuple[float, float]
    planned: int
    missing: Sequence[str] = ()

    @property
    def finding(self) -> str:
        """Confirmed: the whole interval is above 0. Not confirmed: the winner is no better on average. Else nobody can tell.

        One seed tells nothing about seeds, and neither do those that are left where others failed: the seeds on which a winner
        diverges may be just those that speak against it.
        """
        if self.seeds < max(2, self.planned):
            return UNDECIDED
        if self.low > 0:
            return CONFIRMED
        return NOT_CONFIRMED if self.difference <= 0 else UNDECIDED

    @property
    def verdict(self) -> str:
        """One plain line."""
        seeds = seeds_text(self.seeds)
        interval = f" [{self.low * 100:+.1f}, {self.high * 100:+.1f}]" if self.seeds > 1 else ""
        numbers = f"{self.difference * 100:+.1f} points{interval} over {seeds} and {self.clips} test clips".replace("-", "−")
        numbers += f"; test accuracy {percent(self.winner)} %, baseline {percent(self.baseline)} %"
        if self.finding == UNDECIDED:
            share = seeds if self.seeds == self.planned else f"{self.seeds} of {seeds_text(self.planned)}"
            why = f" ({', '.join(self.missing)})" if self.missing else ""
            return f"{UNDECIDED} with {share}{why}: {numbers}"
        return f"{self.finding}: {numbers}"


def seeds_text(number: int) -> str:
    """A number of seeds in words."""
    return "1 seed" if number == 1 else f"{number} seeds"


def confirm(baseline: pd.DataFrame, winner: pd.DataFrame, planned: int | None = None, missing: Sequence[str] = ()) -> Confirmation:
    """Compare a winner with its baseline on fresh seeds.

    Seed s gives a difference d_s of the two accuracies on the same clips. Two things would change their mean d: other seeds, for
    which Student's t over the d_s gives the half-width h = t(n−1) · sd(d_s) / √n, and other test clips, for which the paired score
    interval (l, u) of `compare_paired`, over the clips' means, gives d − l and u − d. The two are added as squares,

        low = d − √((d − l)² + h²),   high = d + √((u − d)² + h²),

    as Newcombe does with the two sides of a difference; Zou and Donner, Statistics in Medicine 27 (2008) 1693, show it for sums of
    independent estimates in general. Chance that belongs to a seed and a clip together is in both parts and thus counted twice, and
    t has the few degrees of freedom of the seeds alone: both can only widen the interval. The seeds and the setting were fixed
    before these runs, so that no selection is left to correct for. Fewer than two seeds give no interval (−∞, ∞).

    Args:
        baseline: correct (bool) by test clip (index) and seed (columns).
        winner: the same of the winner.
        planned: how many seeds there were to be; None: as many as there are.
        missing: why there are fewer, in words.

    Raises:
        ValueError: the two sides have different seeds or clips.
    """
    if set(baseline.columns) != set(winner.columns):
        raise ValueError("the two sides were run with different seeds; compare the seeds that both have")
    clips = compare_paired(baseline, winner, candidates=1)
    differences = winner.mean() - baseline.mean()  # by seed
    seeds, difference = len(differences), float(differences.mean())
    half = math.inf
    if seeds > 1:
        half = float(t.ppf((1 + LEVEL) / 2, seeds - 1)) * float(differences.std(ddof=1)) / math.sqrt(seeds)
    return Confirmation(
        seeds=seeds,
        clips=clips.clips,
        winner=float(winner.to_numpy(float).mean()),
        baseline=float(baseline.to_numpy(float).mean()),
        difference=difference,
        low=difference - math.hypot(difference - clips.low, half),
        high=difference + math.hypot(clips.high - difference, half),
        over_seeds=(difference - half, difference + half),
        over_clips=(clips.low, clips.high),
        planned=seeds if planned is None else planned,
        missing=tuple(missing),
    )
