"""Texts in CSV files that people open with a spreadsheet, which takes a text that begins like a formula for one.

Such a text gets an apostrophe in front, as spreadsheets themselves write a text that is none; a text that has apostrophes and then
such a sign gets one more, so that `read_back` finds every text as it was. Numbers stay numbers.
"""

import re

FORMULA = r"^('*[=+\-@\t\r])"
WRITTEN = r"^'('*[=+\-@\t\r])"  # and what `no_formula` makes of it; its group is what it was


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
