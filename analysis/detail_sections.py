"""Sections of winner and baseline in detail. Each is there only where its data are."""

from typing import Any

import pandas as pd

from analysis import detail_figures, detail_tables
from analysis.page_tables import Column, count, percent, percent_interval, plain, points
from analysis.sections import Section
from analysis.settings import without_margin_sweeps
from analysis.wording import capitalised

ANCHORS = ("plane", "confusion", "cost")
_SETTING = [
    Column("α", lambda row: plain(row["alpha"])),
    Column("Margin, rad", lambda row: plain(row["margin"])),
    Column("τ", lambda row: plain(row["temperature"])),
    Column("Seeds", lambda row: count(row["seeds"])),
]
_PLANE = [
    Column("Source", lambda row: row["source"], "text"),
    *_SETTING,
    Column("−uniformity", lambda row: plain(row["minus_uniformity"], 4)),
    Column("Tolerance", lambda row: plain(row["tolerance"], 4)),
    Column("Patch-weighted, %", lambda row: percent(row["accuracy"])),
]


def detail_sections(
    settings: pd.DataFrame, trials: pd.DataFrame, history: pd.DataFrame, predictions: pd.DataFrame
) -> list[Section]:
    """Those of the sections, each an anchor of `ANCHORS`, that have a table; arguments as `detail_tables` takes them."""
    confusion = detail_tables.confusion_table(without_margin_sweeps(settings), predictions)
    cost = detail_tables.cost_table(settings, trials, history, predictions)
    sections = [
        Section(
            "plane",
            "Uniformity and tolerance of the embeddings",
            "Each self-supervised setting where its projected test embeddings lie, coloured by patch-weighted test accuracy; "
            "hollow: the published Fig. 3, joined by temperature (tolerance at the erratum corrected). Good features are both "
            "uniform and tolerant (top right); the temperature trades one for the other. All of this is on test: it "
            "explains, it does not pick.",
            detail_tables.plane_table(settings),
            _PLANE,
            "",
            detail_figures.plane_figure,
            folded=True,
        ),
        Section(
            "confusion",
            "Confusions of the winner against the baseline",
            _confusion_text(confusion),
            confusion,
            [],
            "",
            detail_figures.confusion_figure,
        ),
        Section(
            "cost",
            "Hours and accuracy",
            _cost_text(cost),
            cost,
            _cost_columns(cost),
            "",
            detail_figures.cost_figure,
            folded=True,
        ),
    ]
    return [section for section in sections if not section.frame.empty]


def _confusion_text(table: pd.DataFrame) -> str:
    if table.empty:
        return ""
    mode = table["mode"].iloc[0]
    same = table["true"] == table["predicted"]
    right = float(table.loc[same, "difference"].sum())
    moved = table[~same].sort_values("difference", key=abs, ascending=False, kind="stable").iloc[0]
    text = (
        f"Test clips of each class (row) by what they are taken for (column): {mode} winner by validation minus baseline, mean "
        "over seeds; the pair is that of Fig. 2. On the framed diagonal more (orange) is better, beside it fewer (blue). Numbers "
        f"are rounded, those below one clip left out. In all {_signed(right)} clips are right with margin."
    )
    if moved["difference"] != 0:
        true, predicted = (str(moved[name]).replace("_", " ") for name in ("true", "predicted"))
        text += f" The largest change beside the diagonal: {true} taken for {predicted}, {_signed(moved['difference'])} clips."
    return text


def _cost_columns(table: pd.DataFrame) -> list[Column]:
    unit = capitalised(_unit(table))
    return [
        Column("Mode", lambda row: row["mode"], "text"),
        Column("Subset", lambda row: row["subset"].replace("_", " "), "text"),
        *_SETTING,
        Column(f"{unit} of a run", lambda row: plain(row["hours"])),
        Column("Test, %", lambda row: percent_interval(row, "accuracy", "low", "high")),
        Column("Over the baseline, points", lambda row: "baseline" if row["baseline"] else points(row["gain"])),
        Column(f"{unit} of a run per point", lambda row: plain(row["hours_per_point"])),
    ]


def _unit(table: pd.DataFrame) -> str:
    return str(table["unit"].iloc[0]) if len(table) else detail_tables.HOURS


def _cost_text(table: pd.DataFrame) -> str:
    unit = _unit(table)
    shared = ", times the share of a GPU that was its own" if unit == detail_tables.GPU_HOURS else ""
    paragraphs = [
        f"{capitalised(unit)} are the sum over the epochs of each run, its evaluation included{shared}; runs on different or "
        "shared machines do not compare. Those per point are of one run, for each point of test accuracy over the baseline that "
        "validation picks."
    ]
    for (mode, subset), own in table.groupby(["mode", "subset"], sort=False) if len(table) else ():
        first = own.iloc[0]
        spent = f"{mode}, {str(subset).replace('_', ' ')}: {first['all_trials']} trials took {plain(first['all_hours'])} {unit}"
        winner: dict[Any, Any] = next(iter(own[own["picked"]].to_dict("records")), {})
        if not winner or pd.isna(winner["difference"]):
            paragraphs.append(f"{spent}; there is no winner and baseline to compare.")
            continue
        gain = f"{points(winner['difference'])} points [{points(winner['difference_low'])}, {points(winner['difference_high'])}]"
        if winner["difference_low"] > 0:
            price = f", {plain(winner['all_hours'] / (100 * winner['difference']))} {unit} of search for each"
        elif winner["difference_high"] < 0:
            price = ", a loss"
        else:
            price = ", which can be chance: a price for each would say nothing"
        paragraphs.append(f"{spent}; with the winner by validation test accuracy changes by {gain}{price}.")
    return "\n".join(paragraphs)


def _signed(value: float) -> str:
    return f"{value:+.3g}".replace("-", "−")
