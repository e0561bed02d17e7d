"""Pairs of values whose rank correlation is known, for the coverage of its interval."""

from functools import cache

import numpy as np

from analysis.stats.rank_correlation import kendall_interval

LAWS = ("normal", "t3", "outliers", "ties", "curve")


def coverage(number: int, correlation: float, law: str, samples: int, seed: int = 0) -> float:
    """Share of samples of `number` pairs whose interval contains the true τ-b, among those that have one."""
    random = np.random.default_rng(seed)
    true = true_tau(correlation, law)
    found = [kendall_interval(*_pairs(number, correlation, law, random)) for _ in range(samples)]
    return float(np.mean([low <= true <= high for tau, low, high in found if not np.isnan(tau)]))


@cache
def true_tau(correlation: float, law: str) -> float:
    """By Greiner's formula where it holds, else of a large sample."""
    if law in ("normal", "t3"):
        return float(2 / np.pi * np.arcsin(correlation))
    random = np.random.default_rng(99)
    return float(np.mean([kendall_interval(*_pairs(2000, correlation, law, random))[0] for _ in range(8)]))


def _pairs(number: int, correlation: float, law: str, random: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Normal; the same with Student's t of 3 degrees; a tenth of the pairs unrelated; rounded; one half ordered better."""
    first, other = random.standard_normal((2, number))
    second = correlation * first + np.sqrt(1 - correlation**2) * other
    if law == "t3":
        scale = np.sqrt(3 / random.chisquare(3, number))
        return first * scale, second * scale
    if law == "outliers":
        second = np.where(random.random(number) < 0.1, random.standard_normal(number), second)
    elif law == "ties":
        first, second = np.round(2 * first) / 2, np.round(2 * second) / 2
    elif law == "curve":
        second = np.where(first > 0, 0.2 * second + 3, second)
    return first, second
