"""Figures: table in, Plotly figure out; nothing is computed here.

Colours are colour-blind safe (Okabe and Ito): the baseline is always blue with circles, ACL always vermilion with diamonds,
published values are dotted and hollow. Evaluations of the same encoders have colours and marks of their own. Accuracies are
shares in the tables and shown in %.
"""

from typing import Any

import pandas as pd
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from analysis.page_tables import EVALUATION_LABELS
from analysis.published import SUPERVISED
from study import record_names as names

BASELINE, ACL, PUBLISHED = "#0072B2", "#D55E00", "#6b6b6b"
_MARKERS = {"baseline": "circle", "acl": "diamond"}
_COLOURS = {"baseline": BASELINE, "acl": ACL}
_MOST_TICKS = 6  # temperatures that have room below a panel in print
_BANDS = {"baseline": "rgba(0, 114, 178, 0.18)", "acl": "rgba(213, 94, 0, 0.18)"}
_DODGE = {"baseline": -0.012, "acl": 0.012}  # in temperature, lest the intervals of the two lines hide each other
_EVALUATIONS = {  # colour, mark, and where beside alpha the mark stands
    names.EVALUATION_CLASSIFIER: ("#222222", "square", -0.015),
    names.EVALUATION_FINETUNE_NOISY: ("#009E73", "triangle-up", -0.005),
    names.EVALUATION_FINETUNE_CLEAN: ("#CC79A7", "triangle-down", 0.005),
    names.EVALUATION_KNN: ("#E69F00", "pentagon", 0.015),
}


def class_figure(table: pd.DataFrame) -> go.Figure:
    """Fig. 2: class-wise accuracy with 95 % intervals, from `tables.fig2_table`."""
    figure = go.Figure()
    classes = [f"{label.replace('_', ' ')} ({clips})" for label, clips in zip(table["class"], table["clips"], strict=True)]
    for side, name in (("baseline", "baseline (α = 1)"), ("acl", "with margin")):
        figure.add_bar(
            y=classes,
            x=table[f"{side}_accuracy"],
            orientation="h",
            name=name,
            marker_color=_COLOURS[side],
            error_x=interval(table, f"{side}_accuracy", f"{side}_low", f"{side}_high")
            | {"thickness": 1.2, "width": 2, "color": "#222"},
            hovertemplate="%{y}: %{x:.1%}<extra>" + name + "</extra>",
        )
    # Plotly draws the first category at the bottom; the table starts with the lowest baseline.
    figure.update_layout(barmode="group", bargap=0.25, height=140 + 44 * len(table))
    figure.update_yaxes(autorange="reversed", automargin=True)
    figure.update_xaxes(title="test accuracy", tickformat=".0%", range=[0, 1.005])
    return styled(figure).update_layout(legend={"y": 1, "yanchor": "top"}, margin={"b": 60})


def temperature_figure(table: pd.DataFrame) -> go.Figure:
    """Fig. 3: -uniformity, tolerance, patch-weighted accuracy by temperature, from `tables.fig3_table`."""
    titles = ("−uniformity", "tolerance", "accuracy (patch-weighted)")
    figure = make_subplots(1, 3, subplot_titles=titles, horizontal_spacing=0.07)
    ours = table.dropna(subset=["baseline_accuracy", "acl_accuracy"])
    for column, panel in enumerate(("minus_uniformity", "tolerance", "accuracy"), start=1):
        for side, name in (("baseline", "contrastive (α = 1)"), ("acl", "ACL, α picked on validation")):
            line = _temperature_line(ours, side, panel, name)
            if _has_bands(ours):
                figure.add_trace(_band(ours, side, panel, name), row=1, col=column)
            figure.add_trace(line.update(showlegend=column == 1), row=1, col=column)
            published = _published_line(table, side, panel)
            figure.add_trace(published.update(showlegend=column == 1), row=1, col=column)
    printed = {"x": table["temperature"], "y": table["published_acl_tolerance_printed"], "name": "printed value (erratum)"}
    cross = {"symbol": "x-thin", "size": 10, "line": {"color": PUBLISHED, "width": 2.5}}
    figure.add_scatter(**printed, mode="markers", marker=cross, row=1, col=2)
    every = 1 + (len(table) > _MOST_TICKS)
    labels = [f"{value:g}" if not place % every else "" for place, value in enumerate(table["temperature"])]
    figure.update_xaxes(title="temperature τ", tickvals=table["temperature"], ticktext=labels, tickangle=0)
    figure.update_yaxes(tickformat=".0%", col=3)
    figure.update_layout(height=430)
    return styled(figure)


def alpha_figure(table: pd.DataFrame) -> go.Figure:
    """Accuracy by alpha, one panel for each mode and subset, from `tables.alpha_table`."""
    groups = list(table.groupby(["mode", "subset"], sort=False))
    columns = min(3, len(groups))
    rows = -(-len(groups) // columns)
    titles = [_alpha_title(group.iloc[0]) for _, group in groups]
    figure = make_subplots(rows, columns, subplot_titles=titles, horizontal_spacing=0.07, vertical_spacing=0.3 / rows)
    named: set[str] = set()
    for index, (_, group) in enumerate(groups):
        for line in _alpha_lines(group):
            line.update(showlegend=line.name not in named)  # once, whichever panel has it first
            named.add(line.name)
            figure.add_trace(line, row=index // columns + 1, col=index % columns + 1)
    figure.update_xaxes(title="α", range=[-0.05, 1.05], dtick=0.2)
    figure.update_yaxes(tickformat=".0%")
    figure.update_layout(height=90 + 320 * rows)
    return styled(figure)


def evaluation_figure(table: pd.DataFrame) -> go.Figure:
    """Patch-weighted accuracy by alpha, a line for each evaluation, from `evaluation_tables.evaluation_table`."""
    figure = go.Figure()
    drawn = table.dropna(subset=["line_margin"])
    for evaluation, group in drawn.groupby("evaluation", sort=False):
        figure.add_traces(_evaluation_lines(str(evaluation), group))
    first = drawn.iloc[0]
    title = f"self-supervised, τ {first['temperature']:g}, margin {first['line_margin']:g}"
    figure.update_layout(title={"text": title, "font_size": 15, "x": 0.5}, height=480)
    figure.update_xaxes(title="α", range=[-0.05, 1.05], dtick=0.1)
    figure.update_yaxes(title="test accuracy (patch-weighted)", tickformat=".0%")
    return styled(figure)


def _evaluation_lines(evaluation: str, group: pd.DataFrame) -> list[go.Scatter]:
    colour, mark, beside = _EVALUATIONS[evaluation]
    name = EVALUATION_LABELS[evaluation]
    ours = go.Scatter(
        x=group["alpha"] + beside,
        y=group["patch_weighted"],
        mode="lines+markers",
        name=name,
        line={"color": colour, "width": 2},
        marker={"symbol": mark, "size": 9},
        error_y=interval(group, "patch_weighted", "patch_weighted_low", "patch_weighted_high"),
        customdata=group[["alpha", "seeds"]],
        hovertemplate="α %{customdata[0]}: %{y:.1%}, seeds: %{customdata[1]}<extra>" + name + "</extra>",
    )
    if group["published_patch_weighted"].isna().all():
        return [ours]
    published = go.Scatter(
        x=group["alpha"],
        y=group["published_patch_weighted"],
        mode="lines+markers",
        name=f"published: {name}",
        opacity=0.8,
        line={"color": colour, "width": 1.5, "dash": "dot"},
        marker={"symbol": f"{mark}-open", "size": 8},
        hovertemplate="α %{x}: %{y:.1%}<extra>published: " + name + "</extra>",
    )
    return [ours, published]


def _has_bands(ours: pd.DataFrame) -> bool:
    """Whether all sides have several seeds, and there are several temperatures for a band to connect."""
    return len(ours) > 1 and bool((ours[["baseline_seeds", "acl_seeds"]] > 1).all(axis=None))


def _band(ours: pd.DataFrame, side: str, panel: str, name: str) -> go.Scatter:
    values = side if panel == "accuracy" else f"{side}_{panel}"
    return go.Scatter(
        x=[*ours["temperature"], *ours["temperature"].iloc[::-1]],
        y=[*ours[f"{values}_high"], *ours[f"{values}_low"].iloc[::-1]],
        fill="toself",
        fillcolor=_BANDS[side],
        mode="lines",
        line={"width": 0},
        name=f"{name.split()[0].strip(',')}: 95 %",
        legendgroup=f"{side} band",
        showlegend=panel == "accuracy",
        hoverinfo="skip",
    )


def _temperature_line(ours: pd.DataFrame, side: str, panel: str, name: str) -> go.Scatter:
    has_interval = panel == "accuracy" and not _has_bands(ours)
    return go.Scatter(
        x=ours["temperature"] + (_DODGE[side] if has_interval else 0),
        y=ours[f"{side}_{panel}"],
        mode="lines+markers",
        name=name,
        legendgroup=side,
        line={"color": _COLOURS[side], "width": 2},
        marker={"symbol": _MARKERS[side], "size": 9},
        error_y=interval(ours, f"{side}_accuracy", f"{side}_low", f"{side}_high") if has_interval else None,
        customdata=ours[["temperature", "alpha"]],
        hovertemplate=f"τ %{{customdata[0]}}: %{{y:.4f}}{'<br>α %{customdata[1]}' if side == 'acl' else ''}<extra>{name}</extra>",
    )


def _published_line(table: pd.DataFrame, side: str, panel: str) -> go.Scatter:
    return go.Scatter(
        x=table["temperature"],
        y=table[f"published_{side}_{panel}"],
        mode="lines+markers",
        name=f"published {'contrastive' if side == 'baseline' else 'ACL'}",
        legendgroup=f"published {side}",
        opacity=0.7,
        line={"color": _COLOURS[side], "width": 1.8, "dash": "dot"},
        marker={"symbol": f"{_MARKERS[side]}-open", "size": 7},
    )


def _alpha_lines(group: pd.DataFrame) -> list[go.Scatter]:
    sides = (
        ("acl", "with margin (α < 1)", group[group["alpha"] < 1]),
        ("baseline", "baseline (α = 1)", group[group["alpha"] == 1]),
    )
    lines = [
        go.Scatter(
            x=own["alpha"],
            y=own["accuracy"],
            mode="lines+markers",
            name=name,
            legendgroup=side,
            line={"color": _COLOURS[side], "width": 1.5},
            marker={"symbol": _MARKERS[side], "size": 9},
            error_y=interval(own, "accuracy", "low", "high"),
            hovertemplate="α %{x}: %{y:.1%}<extra>" + name + "</extra>",
        )
        for side, name, own in sides
    ]
    published = go.Scatter(
        x=group["alpha"],
        y=group["published_accuracy"],
        mode="lines+markers",
        name="published",
        legendgroup="published",
        line={"color": PUBLISHED, "width": 1.2, "dash": "dot"},
        marker={"symbol": "square-open", "size": 7},
        hovertemplate="α %{x}: %{y:.1%}<extra>published</extra>",
    )
    return [*lines, published]


def styled(figure: go.Figure) -> go.Figure:
    """The look that all figures share: white, system font, legend below the panels."""
    figure.update_layout(
        template="plotly_white",
        font={"family": "system-ui, -apple-system, 'Segoe UI', Roboto, sans-serif", "size": 14, "color": "#222"},
        margin={"l": 60, "r": 20, "t": 60, "b": 100},
        legend={"orientation": "h", "y": 0, "yref": "container", "yanchor": "bottom", "x": 0},
        hoverlabel={"font_size": 13},
    )
    figure.update_annotations(font_size=15)
    return figure


def interval(table: pd.DataFrame, value: str, low: str, high: str) -> dict[str, Any]:
    """Error bars from the value to its bounds."""
    return {
        "type": "data",
        "array": table[high] - table[value],
        "arrayminus": table[value] - table[low],
        "thickness": 1.5,
        "width": 4,
    }


def _alpha_title(first: pd.Series) -> str:
    if first["mode"] == SUPERVISED:
        return f"supervised, {first['subset'].replace('_', ' ')}, margin {first['margin']:g}"
    return f"self-supervised, τ {first['temperature']:g}, margin {first['margin']:g}"
