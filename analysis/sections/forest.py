"""Forest plot: every comparison of the page as a row, with its interval and what the study could not have detected.

The summary shows it first. The published gains have the same plot in the section that analyses them.
"""

from typing import Any

import pandas as pd
import plotly.graph_objects as go

from analysis.formats import capitalised, place, plain, points
from analysis.section import ACL, PUBLISHED, Column, Section, difference, number_column, published_column, styled

_BAND = "rgba(120, 120, 120, 0.18)"
_COLUMNS = ["label", "difference", "difference_low", "difference_high", "detectable", "published", "about"]
FRESH = "fresh seeds"
# What a row is about: name in the legend, mark, thickness of the interval
_KINDS = {
    FRESH: ("settings, confirmed or not on fresh seeds", "diamond", 2.0),
    "settings": ("settings, several seeds", "diamond-open", 2.0),
    "models": ("trained models, one seed", "circle-open", 1.2),
}


def forest_table(
    table1: pd.DataFrame, table2: pd.DataFrame, margin: pd.DataFrame, comparisons: pd.DataFrame, confirmed: pd.DataFrame
) -> pd.DataFrame:
    """A row for each complete comparison, those on fresh seeds first.

    Columns: label, difference with difference_low and difference_high (95 %; of settings with several seeds, else of the trained
    models), detectable (difference that the study would have found with 80 % power), published (difference, empty where the paper
    has none), about (settings, models, or `FRESH`).

    Args:
        table1: of `analysis.sections.paper_tables.table1`.
        table2: of `analysis.sections.paper_tables.table2`.
        margin: of `analysis.sections.margin.margin_table`.
        comparisons: of `analysis.sections.comparisons.comparison_table`, without what the tables above have.
        confirmed: of `analysis.sections.confirmations.confirmation_table`.
    """
    several = len(confirmed) > 0 and confirmed["study"].nunique() > 1
    rows = [
        _row(
            f"{row['study'] + ': ' if several else ''}{row['label']}, fresh seeds",
            {**row, "claim": FRESH, "resolvable": float("nan")},
            float("nan"),
        )
        for row in confirmed.to_dict("records")
        if pd.notna(row["difference_low"])
    ]
    if len(table2):
        published = table2.set_index("method")["published"] if "published" in table2 else pd.Series(dtype=float)
        for row in table2[table2["method"] == "SSL with ACL"].to_dict("records"):
            gain = published.get("SSL with ACL", float("nan")) - published.get("SSL baseline", float("nan"))
            rows.append(_row(f"self-supervised, τ {plain(row['temperature'])}", row, gain))
    for row in table1.to_dict("records"):
        label = f"supervised, {str(row['subset']).replace('_', ' ')}"
        rows.append(_row(label, row, row.get("published_difference", float("nan"))))
    picked = margin[margin["picked"]].to_dict("records") if len(margin) else []
    rows += [_row(f"{place(row)}, by margin", row, float("nan")) for row in picked]
    rows += [_row(str(row["label"]), row, float("nan")) for row in comparisons.to_dict("records")]
    return pd.DataFrame([row for row in rows if pd.notna(row["difference"])], columns=_COLUMNS)


def _row(label: str, row: dict[Any, Any], published: float) -> dict[str, Any]:
    return {
        "label": label,
        "difference": row["difference"],
        "difference_low": row["difference_low"],
        "difference_high": row["difference_high"],
        "detectable": row["resolvable"],
        "published": published,
        "about": row["claim"],
    }


def forest_figure(table: pd.DataFrame) -> go.Figure:
    """Differences in percentage points, first row on top, from `forest_table`."""
    figure = go.Figure()
    labels = [capitalised(label) for label in table["label"]]
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
                name="could not be detected (80 % power)",
                legendgroup="band",
                showlegend=not any(shape.showlegend for shape in figure.layout.shapes),
            )
    for about in _KINDS:
        own = table[table["about"] == about]
        if len(own):
            figure.add_trace(_marks(own, places, about))
    published = table.dropna(subset=["published"])
    if len(published):
        figure.add_scatter(
            x=100 * published["published"],
            y=[places[index] for index in published.index],
            mode="markers",
            name="published",
            marker={"symbol": "x-thin", "size": 11, "line": {"color": PUBLISHED, "width": 2.5}},
            hovertemplate="published: %{x:+.1f} points<extra></extra>",
        )
    figure.add_vline(x=0, line={"color": "#222", "width": 1.2})
    figure.update_yaxes(
        tickvals=places, ticktext=labels, range=[-0.6, len(table) - 0.4], showgrid=False, zeroline=False, automargin=True
    )
    figure.update_xaxes(title="difference to the baseline, percentage points", zeroline=False)
    figure.update_layout(height=150 + 38 * len(table))
    return styled(figure).update_layout(margin={"t": 20, "b": 90})


def _marks(own: pd.DataFrame, places: list[int], about: str) -> go.Scatter:
    name, mark, thickness = _KINDS[about]
    return go.Scatter(
        x=100 * own["difference"],
        y=[places[index] for index in own.index],
        mode="markers",
        name=name,
        marker={"symbol": mark, "size": 12, "color": ACL, "line_width": 2},
        error_x={
            "type": "data",
            "symmetric": False,
            "array": 100 * (own["difference_high"] - own["difference"]),
            "arrayminus": 100 * (own["difference"] - own["difference_low"]),
            "thickness": thickness,
            "width": 5,
            "color": ACL,
        },
        customdata=100 * own[["difference_low", "difference_high"]],
        hovertemplate="%{x:+.1f} points [%{customdata[0]:+.1f}, %{customdata[1]:+.1f}]<extra>" + name + "</extra>",
    )


FOREST = "forest"  # anchor of the section, which stands in the summary
_COLUMNS_OF_PAGE = [
    Column("Comparison", lambda row: row["label"], "text"),
    Column("Difference, points", difference, "number", "difference"),
    number_column("Could detect, points", "detectable", lambda value: points(value).lstrip("+")),
    Column("About", lambda row: row["about"], "text"),
]


def forest_sections(table: pd.DataFrame, *, has_published: bool) -> list[Section]:
    """The section, where there is a comparison; `has_published`: whether the page shows results of the paper."""
    if not has_published:
        table = table.assign(published=float("nan"))
    shown = [published_column("Published", "published", points)] if table["published"].notna().any() else []
    text = (
        "Each row is a comparison: test accuracy of the selected setting minus the baseline's, with its 95 % interval. A "
        "difference inside the grey band could not be detected by this study with a power of 80 %."
    )
    section = Section(FOREST, "All comparisons", text, table, [*_COLUMNS_OF_PAGE, *shown], "", forest_figure, folded=True)
    return [] if table.empty else [section]
