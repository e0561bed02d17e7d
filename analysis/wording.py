"""Words for sentences and titles of the page."""

from analysis.page_tables import Row, plain
from analysis.published import SUPERVISED

_WORDS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve")


def in_words(number: int) -> str:
    """A small number as a word.

    >>> in_words(10), in_words(25)
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
