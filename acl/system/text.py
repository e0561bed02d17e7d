"""Rules for text: cells that no spreadsheet takes for formulas, JSON that may be anything, close names, sizes, lines of errors."""

import difflib
import json
import re
from collections.abc import Iterable
from typing import Any

FORMULA = r"^('*[=+\-@\t\r])"
WRITTEN = r"^'('*[=+\-@\t\r])"  # and what `no_formula` makes of it; its group is what it was
_BYTES = {"MB": 1e6, "GB": 1e9, "MiB": 2.0**20, "GiB": 2.0**30}


def no_formula(text: str) -> str:
    """The text as a cell.

    >>> no_formula("=1+1"), no_formula("Rain")
    ("'=1+1", 'Rain')
    """
    return re.sub(FORMULA, r"'\1", text)


def read_back(cell: str) -> str:
    """Inverse of `no_formula`.

    >>> read_back("'=1+1"), read_back("'tis")
    ('=1+1', "'tis")
    """
    return re.sub(WRITTEN, r"\1", cell)


def parse_json(text: str | bytes) -> Any:
    """What a text says.

    Raises:
        ValueError: it is no JSON in UTF-8, or nested more deeply than any of ours.
    """
    try:
        return json.loads(text)
    except RecursionError:
        raise ValueError("nested too deeply") from None


def close_to(name: object, known: Iterable[str], before: str = "") -> str:
    """The remedy for a misspelt name, with `before` in front of it; empty where nothing is close to it.

    >>> close_to("Tabel2-ssl", ["table1-supervised", "table2-ssl"]), close_to("x", ["mini"])
    ('did you mean table2-ssl?', '')
    """
    by_lower = {each.lower(): each for each in known}
    close = difflib.get_close_matches(str(name).lower(), by_lower, n=1)
    return f"{before}did you mean {by_lower[close[0]]}?" if close else ""


def format_size(count: float, *units: str, digits: int = 1) -> str:
    """Bytes in the largest of the units (MB, GB, MiB, GiB) of which there is one at least, else in the first unit.

    >>> format_size(5_300_000, "MB", "GB"), format_size(2.34e9, "MB", "GB"), format_size(24 * 2**30, "GiB", digits=0)
    ('5.3 MB', '2.3 GB', '24 GiB')
    """
    unit = next((unit for unit in reversed(units) if count >= _BYTES[unit]), units[0])
    return f"{count / _BYTES[unit]:.{digits}f} {unit}"


def first_line(error: object, otherwise: str | None = None) -> str:
    """First line of an error's message; of an empty one `otherwise`, or else the name of the error's type.

    >>> first_line(ValueError("no\\nyes")), first_line(ValueError()), first_line("", "no message")
    ('no', 'ValueError', 'no message')
    """
    lines = str(error).splitlines()
    if lines:
        return lines[0]
    return type(error).__name__ if otherwise is None else otherwise


def last_line(text: str, otherwise: str = "") -> str:
    """Last line that is not blank, where tracebacks and programs say what went wrong; of a blank text `otherwise`.

    >>> last_line("Traceback\\n  in f\\nOSError: gone\\n"), last_line(" ", "no reason")
    ('OSError: gone', 'no reason')
    """
    return (text.strip().splitlines() or [otherwise])[-1]
