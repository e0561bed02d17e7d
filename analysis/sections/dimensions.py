"""Accuracy by each setting that a study varies: a line for numbers, points for names and for values drawn from a range."""

from typing import Any

import pandas as pd
import plotly.graph_objects as go

from analysis.formats import plain
from analysis.question import Question, symbol
from analysis.section import (
    ACCURACY_VALUES,
    ACL,
    BASELINE,
    ONLY,
    SEEDS_COLUMN,
    SELECTED_RING,
    TEST_COLUMN,
    VALIDATION_COLUMN,
    Column,
    Heading,
    Section,
    accuracy_panels,
    add_to_panel,
    finished_panels,
    flag_texts,
    interval,
    ring,
)
from analysis.sections.comparisons import Comparison, comparisons_of
from analysis.settings import best_on_validation, column_of
from analysis.stats.importance import is_logarithmic

_NAMES, _LISTED, _DRAWN = "names", "listed numbers", "drawn numbers"  # kinds of dimensions
_SIDES = ((True, "baseline", "baseline", BASELINE, "circle"), (False, "acl", "other settings", ACL, "diamond"))


def dimension_table(settings: pd.DataFrame, question: Question, name: str) -> pd.DataFrame:
    """Test accuracy by the values of one setting, for each comparison that varies it.

    Of a list, each value has the setting with it that validation selects (`tried`: among how many); of a range, every setting has a
    row. `value` is the value, `others` the rest of the setting in words, `picked` the selected setting of the comparison.

    Args:
        settings: of `analysis.settings.comparable_settings`, for the question.
        question: of the study.
        name: dotted name of the setting.
    """
    rows: list[dict[str, Any]] = []
    for each in comparisons_of(settings, question):
        if name not in each.varied:
            continue
        own = each.settings.dropna(subset=[column_of(name)])
        kind = _kind(own[column_of(name)], question, name)
        for _, group in own.groupby(column_of(name), sort=True) if kind != _DRAWN else ((None, row) for row in _single(own)):
            best = _best(group)
            rows.append({"label": each.label, **_row(each, best, name), "kind": kind, "tried": len(group)})
    return pd.DataFrame(rows)


def _single(settings: pd.DataFrame) -> list[pd.DataFrame]:
    return [settings.iloc[[place]] for place in range(len(settings))]


def _best(settings: pd.DataFrame) -> pd.Series:
    """The setting that validation selects, whether or not it is a baseline; where none is a candidate, any."""
    candidates = settings[settings["candidate"].astype(bool)]
    best = best_on_validation(candidates if len(candidates) else settings)
    assert best is not None
    return best


def _row(each: Comparison, setting: pd.Series, name: str) -> dict[str, Any]:
    others = each._replace(varied=[other for other in each.varied if other != name])
    picked = each.pair.acl is not None and setting["run_ids"] == each.pair.acl["run_ids"]
    return {
        "value": setting[column_of(name)],
        "others": others.setting_text(setting),
        "baseline": bool(setting["baseline"]),
        "picked": picked,
        "seeds": setting["seeds"],
        **{column: setting[column] for column in ACCURACY_VALUES},
    }


def _kind(values: pd.Series, question: Question, name: str) -> str:
    if pd.api.types.is_bool_dtype(values) or not pd.api.types.is_numeric_dtype(values):
        return _NAMES
    return _LISTED if name in question.listed else _DRAWN


def dimension_figure(table: pd.DataFrame, name: str) -> go.Figure:
    """Test accuracy by value, a panel for each comparison, from `dimension_table`."""
    panels = [panel for _, panel in table.groupby("label", sort=False)]
    figure = accuracy_panels([str(panel["label"].iloc[0]) for panel in panels])
    kind = table["kind"].iloc[0]
    numbers = kind != _NAMES
    for index, rows in enumerate(panels):
        panel = rows.sort_values("value") if numbers else rows
        x = panel["value"] if numbers else panel["value"].astype(str)
        if kind == _LISTED:
            line = {"color": "#8a8a8a", "width": 1.2}
            add_to_panel(
                figure, [go.Scatter(x=x, y=panel["accuracy"], mode="lines", line=line, legendgroup="line", name="")], index
            )
            figure.data[-1].update(showlegend=False, hoverinfo="skip")
        for is_baseline, group, label, colour, mark in _SIDES:
            own = panel[panel["baseline"] == is_baseline]
            add_to_panel(figure, [_marks(own, x[own.index], group, label, colour, mark)], index)
        add_to_panel(figure, [ring(x, panel, "picked", "selected on validation", SELECTED_RING)], index)
    figure.update_xaxes(title=symbol(name), type="category" if not numbers else None)
    if numbers and is_logarithmic(table["value"]):
        figure.update_xaxes(type="log")
    if kind == _LISTED:
        values = sorted(table["value"].unique())
        figure.update_xaxes(tickvals=values, ticktext=[plain(float(value)) for value in values], minor_showgrid=False)
    return finished_panels(figure, len(panels))


def _marks(own: pd.DataFrame, x: pd.Series, group: str, label: str, colour: str, mark: str) -> go.Scatter:
    return go.Scatter(
        x=x,
        y=own["accuracy"],
        mode="markers",
        name=label,
        legendgroup=group,
        marker={"symbol": mark, "size": 10, "color": colour},
        error_y=interval(own, "accuracy", "low", "high"),
        customdata=own[["val_accuracy", "seeds", "others"]],
        hovertemplate="%{x}: %{y:.1%} on test<br>%{customdata[0]:.1%} on validation, seeds: %{customdata[1]}<br>"
        "%{customdata[2]}<extra></extra>",
    )


def dimension_sections(settings: pd.DataFrame, question: Question, of: Heading = ONLY) -> list[Section]:
    """A section for each setting that varies within a comparison.

    Args:
        settings: of `analysis.settings.comparable_settings`, for the question.
        question: of the study.
        of: what tells its sections from others.
    """
    found = []
    for name in question.dimensions:
        table = dimension_table(settings, question, name)
        if table.empty:
            continue
        columns = [
            Column("Comparison", lambda row: row["label"], "text"),
            Column(symbol(name), lambda row: plain(row["value"]).replace("_", " "), "text", "value"),
            Column("Other settings", lambda row: row["others"] or "–", "prose"),
            SEEDS_COLUMN,
            VALIDATION_COLUMN,
            TEST_COLUMN,
            Column("Remark", flag_texts({"baseline": "baseline", "picked": "selected on validation"}), "text"),
        ]
        anchor = f"by-{name.replace('.', '-').replace('_', '-')}{of.anchor}"
        title = f"Accuracy by {symbol(name)}{of.title}"
        figure = _figure_of(name)
        found.append(Section(anchor, title, _text(table, name), table, columns, "", figure))
    return found


def _figure_of(name: str) -> Any:
    return lambda table: dimension_figure(table, name)


def _text(table: pd.DataFrame, name: str) -> str:
    if table["kind"].iloc[0] == _DRAWN:
        first = f"Test accuracy of every setting by {symbol(name)}, with 95 % intervals."
    else:
        first = f"Test accuracy by {symbol(name)}, with 95 % intervals."
        if table["tried"].gt(1).any():
            first += " Each value is shown with the other settings that validation selects for it."
    return (
        f"{first} Reading off the best value here is a selection on the test set. The ring marks the setting that validation "
        "selects for the comparison with the baseline."
    )
