"""Forest plot: every comparison of a page as a row, with its interval and what the study could not have detected.

`forest_table` is what the answer, its sentences and the plot are made of. The published gains have the same plot in the section
that analyses them.
"""

from collections.abc import Iterator, Mapping
from typing import Any

import pandas as pd
import plotly.graph_objects as go

from analysis import published
from analysis.formats import capitalised, percent, percent_interval, place, plain, points
from analysis.published import SELF_SUPERVISED, SUPERVISED
from analysis.section import ACL, PUBLISHED, Column, Section, difference, finding_text, number_column, published_column, styled
from analysis.sections.confirmations import YES
from analysis.sections.paper_tables import NAN
from analysis.stats.claims import PREFERS_BASELINE

FOREST = "forest"  # anchor of the section
FRESH, CONFIRMED, SETTINGS, MODELS = "fresh seeds", "confirmed on fresh seeds", "settings", "models"
SIGNIFICANT, NOT_SIGNIFICANT = "published, significant", "published, not significant"
_SIDE = ("accuracy", "low", "high", "seeds")
_COLUMNS = [
    *("label", "setting", "baseline_setting", "difference", "difference_low", "difference_high", "detectable", "published"),
    *("about", "finding", "prefers_baseline", *_SIDE, *(f"baseline_{name}" for name in _SIDE), "tested_on", "verdict"),
    *("budget", "with_margin", "equivalence", "answer"),
]
_BAND = "rgba(128, 128, 128, 0.25)"
# What a row is about: name in the legend, mark, thickness of the interval
_KINDS = {
    CONFIRMED: ("confirmed on fresh seeds", "diamond", 2.5),
    FRESH: ("fresh seeds, not confirmed", "diamond-open", 2.5),
    SETTINGS: ("settings, several seeds", "diamond-open", 2.0),
    MODELS: ("trained models, too few seeds", "circle-open", 1.2),
    SIGNIFICANT: ("published gain, significant after correction", "square", 2.0),
    NOT_SIGNIFICANT: ("published gain, not significant", "square-open", 1.5),
}
_ROW_HEIGHT = 34  # px


def forest_table(
    table1: pd.DataFrame, table2: pd.DataFrame, margin: pd.DataFrame, comparisons: pd.DataFrame, confirmed: pd.DataFrame
) -> pd.DataFrame:
    """A row for each complete comparison, those on fresh seeds first.

    Columns: label, setting and baseline_setting (in words), difference with difference_low and difference_high (95 %; of settings
    with several seeds, else of the trained models), detectable (difference that the study would have found with 80 % power),
    published (difference, empty where the paper has none), about (`SETTINGS`, `MODELS`, `FRESH` or `CONFIRMED`), finding,
    prefers_baseline (whether validation, asked for the best of all, selects the baseline), test accuracy with its interval and
    seeds of both sides, tested_on (the test set in words), verdict, budget (of tuning, where it is unequal), with_margin (whether
    the paper's question is asked), equivalence (bound within which the settings are equivalent, else empty), answer (of a
    confirmation).

    Args:
        table1: of `analysis.sections.paper_tables.table1`.
        table2: of `analysis.sections.paper_tables.table2`.
        margin: of `analysis.sections.margin.margin_table`; empty where no margin was varied.
        comparisons: of `analysis.sections.comparisons.comparison_table`, without what the tables above have.
        confirmed: of `analysis.sections.confirmations.confirmation_table`.
    """
    rows = [
        *_of_confirmations(confirmed),
        *_of_table2(table2, margin),
        *_of_table1(table1, margin),
        *_of_margins(margin),
        *_of_comparisons(comparisons),
    ]
    return pd.DataFrame([row for row in rows if pd.notna(row["difference"])], columns=_COLUMNS)


def _of_confirmations(table: pd.DataFrame) -> Iterator[dict[str, Any]]:
    several = len(table) > 0 and table["study"].nunique() > 1
    for row in table[table["difference_low"].notna()].to_dict("records") if len(table) else ():
        sides = {"accuracy": row.get("winner"), "baseline_accuracy": row.get("baseline"), "seeds": row.get("seeds")}
        yield {
            **{name: row[name] for name in ("difference", "difference_low", "difference_high")},
            **sides,
            "label": f"{row['study'] + ': ' if several else ''}{row['label']}, fresh seeds",
            "setting": row.get("winner_setting", ""),
            "baseline_setting": row.get("baseline_setting", ""),
            "baseline_seeds": row.get("seeds"),
            "about": CONFIRMED if row.get("answer") == YES else FRESH,
            "answer": row.get("answer", ""),
        }


def _of_table2(table: pd.DataFrame, margin: pd.DataFrame) -> Iterator[dict[str, Any]]:
    if table.empty:
        return
    own = table.set_index("method")
    baseline, winner = own.loc["SSL baseline"].to_dict(), own.loc["SSL with ACL"].to_dict()
    at = f", margin {plain(winner['margin'])} rad" if len(margin) and margin["mode"].ne(SUPERVISED).any() else ""
    at_published = winner["temperature"] == published.temperature()
    gain = winner.get("published", NAN) - baseline.get("published", NAN) if at_published else NAN
    yield _row(f"self-supervised, τ {plain(winner['temperature'])}{at}", winner, winner, baseline, gain)


def _of_table1(table: pd.DataFrame, margin: pd.DataFrame) -> Iterator[dict[str, Any]]:
    for row in table.to_dict("records"):
        varied = len(margin) and (margin["mode"].eq(SUPERVISED) & margin["subset"].eq(row["subset"])).any()
        at = f", margin {plain(row['margin'])} rad" if varied else ""
        label = f"supervised, {str(row['subset']).replace('_', ' ')}{at}"
        yield _row(label, row, *_sides(row), row.get("published_difference", NAN))


def _of_margins(table: pd.DataFrame) -> Iterator[dict[str, Any]]:
    for _, group in table.groupby(["mode", "subset"], sort=False) if len(table) else ():
        for winner in group[group["picked"] & group["verdict"].ne("")].to_dict("records"):  # one, or none
            baseline = group[group["baseline"]].iloc[0].to_dict()
            yield _row(f"{place(winner)}, by margin", winner, winner, baseline)


def _of_comparisons(table: pd.DataFrame) -> Iterator[dict[str, Any]]:
    for row in table.to_dict("records"):
        words = {name: row[name] for name in ("baseline_setting", "budget")} | {"setting": row["acl_setting"]}
        yield _row(str(row["label"]), row, *_sides(row)) | words | {"with_margin": bool(row.get("with_margin", False))}


def _sides(row: Mapping[Any, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    winner, baseline = ({name: row[f"{side}_{name}"] for name in _SIDE} for side in ("acl", "baseline"))
    return winner, baseline


def _row(
    label: str,
    claim: Mapping[Any, Any],
    winner: Mapping[Any, Any],
    baseline: Mapping[Any, Any],
    gain: float = float("nan"),
) -> dict[str, Any]:
    """One comparison: what may be said of it, and both sides; of the paper's question unless the caller says otherwise."""
    of_settings = claim["claim"] == "settings"
    return {
        **{name: claim[name] for name in ("difference", "difference_low", "difference_high", "tested_on", "verdict")},
        **{name: winner[name] for name in _SIDE},
        **{f"baseline_{name}": baseline[name] for name in _SIDE},
        "label": label,
        "setting": f"α {plain(claim['alpha'])}, margin {plain(claim['margin'])} rad",
        "baseline_setting": "",
        "detectable": claim["resolvable"],
        "published": gain,
        "equivalence": claim.get("equivalence", NAN),
        "about": SETTINGS if of_settings else MODELS,
        "finding": claim["finding"] if of_settings else claim["models_finding"],
        "prefers_baseline": PREFERS_BASELINE in claim["verdict"],
        "budget": "",
        "with_margin": True,
    }


def forest_figure(table: pd.DataFrame, axis: str = "difference to the baseline, percentage points") -> go.Figure:
    """Differences in percentage points, first row on top, from `forest_table`; `axis` says what is subtracted from what."""
    figure = go.Figure()
    table = table.reset_index(drop=True)
    places = list(range(len(table)))[::-1]
    for place_of_row, row in zip(places, table.to_dict("records"), strict=True):
        if pd.notna(row["detectable"]):
            figure.add_shape(
                type="rect",
                x0=-100 * row["detectable"],
                x1=100 * row["detectable"],
                y0=place_of_row - 0.32,
                y1=place_of_row + 0.32,
                fillcolor=_BAND,
                line_width=0,
                layer="below",
                name="power below 80 %",
                legendgroup="band",
                showlegend=not any(shape.showlegend for shape in figure.layout.shapes),
            )
    for about in _KINDS:
        own = table[table["about"] == about]
        if len(own):
            figure.add_trace(_marks(own, places, about))
    of_paper = table.dropna(subset=["published"])
    if len(of_paper):
        figure.add_scatter(
            x=100 * of_paper["published"],
            y=[places[index] for index in of_paper.index],
            mode="markers",
            name="published",
            marker={"symbol": "x-thin", "size": 11, "line": {"color": PUBLISHED, "width": 2.5}},
            hovertemplate="published: %{x:+.1f} points<extra></extra>",
        )
    figure.add_vline(x=0, line={"color": "#222", "width": 1.2})
    figure.update_yaxes(
        tickvals=places,
        ticktext=[capitalised(label) for label in table["label"]],
        range=[-0.6, len(table) - 0.4],
        showgrid=False,
        zeroline=False,
        automargin=True,
    )
    figure.update_xaxes(title=axis, zeroline=False)
    figure.update_layout(height=126 + _ROW_HEIGHT * len(table), showlegend=True, meta={"narrows": True})  # page.js reads it
    return styled(figure).update_layout(margin={"t": 26, "b": 85})


def _marks(own: pd.DataFrame, places: list[int], about: str) -> go.Scatter:
    name, mark, thickness = _KINDS[about]
    colour = PUBLISHED if about in (SIGNIFICANT, NOT_SIGNIFICANT) else ACL
    return go.Scatter(
        x=100 * own["difference"],
        y=[places[index] for index in own.index],
        mode="markers",
        name=name,
        marker={"symbol": mark, "size": 12, "color": colour, "line_width": 2},
        error_x={
            "type": "data",
            "symmetric": False,
            "array": 100 * (own["difference_high"] - own["difference"]),
            "arrayminus": 100 * (own["difference"] - own["difference_low"]),
            "thickness": thickness,
            "width": 5,
            "color": colour,
        },
        customdata=100 * own[["difference_low", "difference_high"]],
        hovertemplate="%{x:+.1f} points [%{customdata[0]:+.1f}, %{customdata[1]:+.1f}]<extra>" + name + "</extra>",
    )


_COLUMNS_OF_PAGE = [
    Column("Comparison", lambda row: capitalised(row["label"]), "text"),
    Column("Selected setting", lambda row: plain(row["setting"]) or "–", "prose"),
    Column("Test, %", lambda row: percent_interval(row, "accuracy", "low", "high"), "number", "accuracy"),
    Column(
        "Baseline, %",
        lambda row: percent_interval(row, "baseline_accuracy", "baseline_low", "baseline_high"),
        "number",
        "baseline_accuracy",
    ),
    Column("Difference, points", difference, "number", "difference"),
    number_column("Could detect, points", "detectable", percent),
    Column("Claim about", lambda row: row["about"], "text"),
    Column("Finding", lambda row: "–" if pd.isna(row["finding"]) else finding_text(row["finding"]), "text"),
]


def forest_sections(table: pd.DataFrame, *, has_published: bool) -> list[Section]:
    """The section, where there is a comparison; `has_published`: whether the page shows results of the paper."""
    if not has_published:
        table = table.assign(published=float("nan"))
    shown = [published_column("Published", "published", points)] if table["published"].notna().any() else []
    text = (
        "Test accuracy of the setting selected on validation minus the baseline's, with its 95 % interval. Grey band: true "
        "differences that this study detects with a power below 80 %."
    )
    if shown and table.loc[table["published"].notna(), "label"].str.startswith(SELF_SUPERVISED).any():
        text += " Published self-supervised differences weigh each clip by its patches."
    section = Section(FOREST, "All comparisons", text, table, [*_COLUMNS_OF_PAGE, *shown], "", forest_figure)
    return [] if table.empty else [section]
