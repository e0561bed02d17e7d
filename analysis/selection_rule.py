"""The rule by which validation selects a setting; the only place where it is.

The report (`analysis.settings.pick`) and `study.results.selection` (the end of a launch, `status`, `best`, `confirm`, models of
winners) both ask here. Plain numbers in and out, so that `status` needs no pandas.
"""

import math
from collections.abc import Sequence
from typing import NamedTuple


class Rank(NamedTuple):
    """Place of a setting on validation: the largest is selected; see `rank`."""

    gain: float
    alpha: float
    minus_margin: float
    minus_temperature: float
    minus_place: float


def rank(gain: float, alpha: float, margin: float | None = None, temperature: float | None = None, place: float = 0) -> Rank:
    """Place of a setting among those that are compared; ties go to the larger alpha, then to the smaller margin and temperature,
    then to the setting that was tried first. Gains that differ by rounding are a tie.

    Args:
        gain: mean of the objective over the setting's seeds on validation, negated where smaller is better.
        alpha: weight of the loss without margin.
        margin: rad; None or NaN where the setting has none, which counts as 0.
        temperature: None or NaN where the setting has none, which counts as 0.
        place: of its first trial in the order in which trials began.

    >>> rank(0.8, 0.5, 0.3) > rank(0.8, 0.5, 0.4) > rank(0.8, 0.4, 0.1), rank(0.81, 0.1, 0.9) > rank(0.8, 0.9, 0.1)
    (True, True)
    >>> rank(0.1 + 0.2, 0.5, 0.3) == rank(0.3, 0.5, 0.3)
    True
    """
    return Rank(round(gain, 12), alpha, -_number(margin), -_number(temperature), -place)


def has_all_seeds(seeds: Sequence[int]) -> list[bool]:
    """Whether each setting of a sweep has finished with as many seeds as any other; those that lack some are no candidates.

    The mean over fewer seeds is the more likely to be extreme. What counts is what a sweep has lost, and not how many seeds
    another study has added.

    >>> has_all_seeds([3, 2, 3])
    [True, False, True]
    """
    most = max(seeds, default=0)
    return [number == most for number in seeds]


def _number(value: float | None) -> float:
    return 0.0 if value is None or math.isnan(value) else float(value)
