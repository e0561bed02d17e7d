"""Numbers, settings and counts as text, for cells and sentences of the page."""

import math
from typing import Any

from analysis.published import SUPERVISED

Row = dict[Any, Any]  # column -> value


def percent(value: float) -> str:
    """Share in %, one decimal.

    >>> percent(0.7361), percent(float("nan"))
    ('73.6', '–')
    """
    return "–" if missing(value) else f"{value * 100:.1f}"


def percent_interval(row: Row, value: str, low: str, high: str) -> str:
    """Share in % with its interval, where it has one.

    >>> percent_interval({"a": 0.736, "l": 0.707, "h": 0.763}, "a", "l", "h")
    '73.6 [70.7, 76.3]'
    """
    if missing(row[value]) or missing(row[low]):
        return percent(row[value])
    return f"{percent(row[value])} [{percent(row[low])}, {percent(row[high])}]"


def points(value: float) -> str:
    """Signed difference of two shares in percentage points.

    >>> points(0.0351), points(-0.01)
    ('+3.5', '−1.0')
    """
    return "–" if missing(value) else f"{value * 100:+.1f}".replace("-", "−")


def plain(value: object, digits: int = 3) -> str:
    """Text, or a number with `digits` significant digits.

    >>> plain(0.30000001), plain(None), plain("all")
    ('0.3', '–', 'all')
    """
    if missing(value):
        return "–"
    return f"{value:.{digits}g}" if isinstance(value, float) else str(value)


def precise(value: object) -> str:
    """A number with four significant digits."""
    return plain(value, 4)


def count(value: float) -> str:
    """Whole number."""
    return "–" if missing(value) else f"{value:.0f}"


def p_value(value: float) -> str:
    """Probability, three decimals.

    >>> p_value(0.0002), p_value(0.0312)
    ('< 0.001', '0.031')
    """
    if missing(value):
        return "–"
    return "< 0.001" if value < 0.001 else f"{value:.3f}"


def missing(value: object) -> bool:
    """Whether a cell is empty."""
    return value is None or (isinstance(value, float) and math.isnan(value))


_WORDS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve")


def number_word(number: int) -> str:
    """A small number as a word.

    >>> number_word(10), number_word(25)
    ('ten', '25')
    """
    return _WORDS[number] if number < len(_WORDS) else str(number)


def capitalised(text: str) -> str:
    """With a capital first letter, the others as they are."""
    return text[0].upper() + text[1:]


def place(row: Row) -> str:
    """What besides alpha and margin is the same in the runs of a panel or a sentence.

    >>> place({"mode": "supervised", "subset": "noisy_small"}), place({"mode": "self-supervised", "temperature": 0.2})
    ('supervised, noisy small', 'self-supervised, τ 0.2')
    """
    if row["mode"] == SUPERVISED:
        return f"supervised, {row['subset'].replace('_', ' ')}"
    return f"self-supervised, τ {plain(row['temperature'])}"
