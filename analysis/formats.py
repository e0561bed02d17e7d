"""Numbers, settings and counts as text, for cells and sentences of the page."""

import math
from collections.abc import Sequence
from decimal import ROUND_HALF_UP, Decimal
from typing import Any

from analysis.question import SUPERVISED

Row = dict[Any, Any]  # column -> value


def percent(value: float) -> str:
    """Share in %, one decimal, halves away from zero.

    >>> percent(0.7361), percent(0.0725), percent(float("nan"))
    ('73.6', '7.3', '–')
    """
    return "–" if missing(value) else f"{_one_decimal(value)}"


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
    return "–" if missing(value) else f"{_one_decimal(value):+}".replace("-", "−")


def points_interval(value: float, low: float, high: float) -> str:
    """Signed difference in percentage points with its interval.

    >>> points_interval(0.0351, -0.01, 0.08)
    '+3.5 points [−1.0, +8.0]'
    """
    return f"{points(value)} points [{points(low)}, {points(high)}]"


def _one_decimal(share: float) -> Decimal | float:
    """In %. The same share can differ in its last bits, by how it was computed; it must not be rounded to two texts."""
    if not math.isfinite(share):
        return share
    return Decimal(repr(round(float(share) * 100, 8))).quantize(Decimal("0.1"), ROUND_HALF_UP)


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


def duration(hours: float) -> str:
    """Hours in the unit that suits them.

    >>> duration(0.005), duration(0.41), duration(26.04), duration(float("nan"))
    ('18 s', '24.6 min', '26 h', '–')
    """
    if missing(hours):
        return "–"
    for unit, least, size in (("h", 1.0, 1), ("min", 1 / 60, 60)):
        if hours >= least:
            return f"{hours * size:.3g} {unit}"
    return f"{hours * 3600:.3g} s"


def listed(parts: Sequence[str]) -> str:
    """Things in a sentence; separated by semicolons where they have commas themselves.

    >>> listed(["α", "margin", "τ"]), listed(["on all", "on clean, any α"])
    ('α, margin and τ', 'on all; on clean, any α')
    """
    if any(", " in part for part in parts):
        return "; ".join(parts)
    return " and ".join(part for part in (", ".join(parts[:-1]), *parts[-1:]) if part)


def counted(number: int, noun: str) -> str:
    """A number of things.

    >>> counted(1, "setting"), counted(3, "seed")
    ('1 setting', '3 seeds')
    """
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


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
