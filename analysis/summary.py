"""The short answer at the top of the report, from Tables 1 and 2."""

from typing import Any, NamedTuple

import pandas as pd

from analysis.page_tables import percent, plain


class SummaryLine(NamedTuple):
    """One comparison in words.

    Attributes:
        label: what was compared, e.g. "Supervised, all".
        finding: the verdict.
        reservation: how the setting was picked, and what the verdict leaves out.
        numbers: the setting, and both accuracies with their intervals.
    """

    label: str
    finding: str
    reservation: str
    numbers: str


def summary_lines(table1: pd.DataFrame, table2: pd.DataFrame) -> list[SummaryLine]:
    """A line for each complete comparison: self-supervised (Table 2), then supervised by subset (Table 1)."""
    lines = []
    if not table2.empty:
        own = table2.set_index("method")
        baseline, winner = own.loc["SSL baseline"].to_dict(), own.loc["SSL with ACL"].to_dict()
        if winner["verdict"]:
            setting = f"{_setting(winner)}, temperature {plain(winner['temperature'])}"
            lines.append(_line("Self-supervised", winner["verdict"], setting, _accuracy(winner, ""), _accuracy(baseline, "")))
    for row in table1.to_dict("records"):
        if row["verdict"]:
            label = f"Supervised, {row['subset'].replace('_', ' ')}"
            lines.append(_line(label, row["verdict"], _setting(row), _accuracy(row, "acl_"), _accuracy(row, "baseline_")))
    return lines


def _line(label: str, verdict: str, setting: str, winner: str, baseline: str) -> SummaryLine:
    finding, _, reservation = verdict.partition("; ")
    numbers = f"{setting}: test accuracy {winner}; baseline {baseline}."
    return SummaryLine(label, finding[0].upper() + finding[1:], reservation, numbers)


def _setting(row: dict[Any, Any]) -> str:
    return f"α {plain(row['alpha'])}, margin {plain(row['margin'])} rad"


def _accuracy(row: dict[Any, Any], side: str) -> str:
    return f"{percent(row[f'{side}accuracy'])} % [{percent(row[f'{side}low'])}, {percent(row[f'{side}high'])}]"
