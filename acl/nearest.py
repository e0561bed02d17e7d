"""What somebody may have meant who misspelt a name."""

import difflib
from collections.abc import Iterable


def close_to(name: object, known: Iterable[str], before: str = "") -> str:
    """The remedy for a misspelt name, with `before` in front of it; empty where nothing is close to it.

    >>> close_to("Tabel2-ssl", ["table1-supervised", "table2-ssl"]), close_to("x", ["mini"])
    ('did you mean table2-ssl?', '')
    """
    by_lower = {each.lower(): each for each in known}
    close = difflib.get_close_matches(str(name).lower(), by_lower, n=1)
    return f"{before}did you mean {by_lower[close[0]]}?" if close else ""
