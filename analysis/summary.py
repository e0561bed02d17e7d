"""The lines below the answer at the top of the report: each comparison of Tables 1 and 2, by margin, and the negative control."""

from typing import Any, NamedTuple

import pandas as pd

from analysis.formats import percent, plain, points
from analysis.wording import capitalised, place


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


def margin_lines(table: pd.DataFrame) -> list[SummaryLine]:
    """A line for each complete comparison of a sweep of the margin."""
    lines = []
    for _, group in table.groupby(["mode", "subset"], sort=False) if len(table) else ():
        for winner in group[group["picked"] & group["verdict"].ne("")].to_dict("records"):  # one, or none
            baseline = group[group["baseline"]].iloc[0].to_dict()
            label = capitalised(f"{place(winner)}, by margin")
            lines.append(_line(label, winner["verdict"], _setting(winner), _accuracy(winner, ""), _accuracy(baseline, "")))
    return lines


def control_lines(table: pd.DataFrame) -> list[SummaryLine]:
    """A line for each negative control."""
    lines = []
    for row in table[table["picked"]].to_dict("records") if len(table) else ():
        finding = (
            f"{points(row['gain_val_of_others'])} points from nothing but the seed when picked on validation, "
            f"{points(row['gain_test_of_others'])} when picked on test"
        )
        reservation = f"expected gain of the best of {row['runs'] - 1} runs over one more, all of the same setting"
        numbers = f"Picked run: test accuracy {_accuracy(row, '')}; mean of {row['runs']} seeds {percent(row['mean'])} %."
        lines.append(SummaryLine(f"Negative control, {place(row)}", finding, reservation, numbers))
    return lines


def _line(label: str, verdict: str, setting: str, winner: str, baseline: str) -> SummaryLine:
    finding, _, reservation = verdict.partition("; ")
    numbers = f"{setting}: test accuracy {winner}; baseline {baseline}."
    return SummaryLine(label, capitalised(finding), reservation, numbers)


def _setting(row: dict[Any, Any]) -> str:
    return f"α {plain(row['alpha'])}, margin {plain(row['margin'])} rad"


def _accuracy(row: dict[Any, Any], side: str) -> str:
    return f"{percent(row[f'{side}accuracy'])} % [{percent(row[f'{side}low'])}, {percent(row[f'{side}high'])}]"
