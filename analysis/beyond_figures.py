"""Figures of what the paper did not do: the negative control and the margin. Table in, Plotly figure out; nothing is computed here.

Colours and marks are those of `analysis.figures`; what a mark is picked for is said by a ring around it, not by its colour.
"""

import pandas as pd
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from analysis.figures import ACL, BASELINE, PUBLISHED, interval, styled
from analysis.page_tables import percent, plain
from analysis.wording import place

_BAND = "rgba(0, 114, 178, 0.15)"  # BASELINE
_PICKED = {"symbol": "circle-open", "size": 18, "color": "#222", "line_width": 2}
_BEST_ON_TEST = {"symbol": "square-open", "size": 26, "color": "#222", "line_width": 1.5}


def null_figure(table: pd.DataFrame) -> go.Figure:
    """Test accuracies of the runs of one setting with their mean, a panel each, from `beyond_tables.null_table`."""
    groups = [group for _, group in table.groupby(["mode", "subset", "temperature"], sort=False, dropna=False)]
    figure = _panels([f"{place(group.iloc[0].to_dict())}, α 1, {group['runs'].iloc[0]} seeds" for group in groups])
    for index, group in enumerate(groups):
        runs = [f"{plain(seed)}" for seed in group["seed"]]
        traces = [
            go.Scatter(
                x=runs,
                y=group["accuracy"],
                mode="markers",
                name="a run (α = 1)",
                legendgroup="run",
                marker={"symbol": "circle", "size": 9, "color": BASELINE},
                error_y=interval(group, "accuracy", "low", "high"),
                customdata=group[["val_accuracy", "val_rank"]],
                hovertemplate="seed %{x}: %{y:.1%} on test<br>"
                "%{customdata[0]:.1%} on validation, rank %{customdata[1]}<extra></extra>",
            ),
            go.Scatter(
                x=runs,
                y=group["mean"],
                mode="lines",
                name="mean of the runs",
                legendgroup="mean",
                line={"color": BASELINE, "width": 1.5, "dash": "dash"},
                hovertemplate="mean %{y:.1%}<extra></extra>",
            ),
            _ring(runs, group, "picked", "picked on validation", _PICKED),
            _ring(runs, group, "best_on_test", "best on test", _BEST_ON_TEST),
        ]
        _add(figure, traces, index)
        figure.update_xaxes(type="category", row=index // 2 + 1, col=index % 2 + 1)
    figure.update_xaxes(title="seed, highest validation accuracy first")
    return _finished(figure, len(groups))


def margin_figure(table: pd.DataFrame) -> go.Figure:
    """Test accuracy by margin at one alpha, a panel for each mode and subset, from `beyond_tables.margin_table`."""
    groups = [group for _, group in table.groupby(["mode", "subset"], sort=False)]
    figure = _panels([f"{place(group.iloc[0].to_dict())}, α {plain(group['alpha'].iloc[0])}" for group in groups])
    for index, group in enumerate(groups):
        line = group[~group["baseline"]]
        for _, baseline in group[group["baseline"]].iterrows():
            _add(figure, _baseline(baseline, line["margin"]), index)
        with_margin = go.Scatter(
            x=line["margin"],
            y=line["accuracy"],
            mode="lines+markers",
            name="with margin",
            legendgroup="acl",
            line={"color": ACL, "width": 1.5},
            marker={"symbol": "diamond", "size": 9},
            error_y=interval(line, "accuracy", "low", "high"),
            customdata=line[["val_accuracy", "seeds"]],
            hovertemplate="margin %{x} rad: %{y:.1%} on test<br>%{customdata[0]:.1%} on validation, "
            "seeds: %{customdata[1]}<extra></extra>",
        )
        picked = _ring(line["margin"], line, "picked", "picked on validation", _PICKED)
        _add(figure, [with_margin, picked], index)
        for margin in line.loc[line["papers"], "margin"]:
            figure.add_vline(
                x=margin,
                line={"color": PUBLISHED, "width": 1.5, "dash": "dot"},
                layer="above",
                name="the only margin that the paper tried",
                legendgroup="papers",
                showlegend=not any(shape.showlegend for shape in figure.layout.shapes),
                row=index // 2 + 1,
                col=index % 2 + 1,
            )
    figure.update_xaxes(title="margin (rad)", rangemode="tozero", dtick=0.25)
    return _finished(figure, len(groups))


def _baseline(baseline: pd.Series, margins: pd.Series) -> list[go.Scatter]:
    """The baseline, which has no margin, as a level line with its interval as a band."""
    ends = [margins.iloc[0], margins.iloc[-1]]
    band = go.Scatter(
        x=[*ends, *reversed(ends)],
        y=[baseline["low"]] * 2 + [baseline["high"]] * 2,
        fill="toself",
        fillcolor=_BAND,
        line={"width": 0},
        mode="lines",
        name="its 95 % interval",
        legendgroup="band",
        hoverinfo="skip",
    )
    line = go.Scatter(
        x=ends,
        y=[baseline["accuracy"]] * 2,
        mode="lines",
        name="baseline (α = 1)",
        legendgroup="baseline",
        line={"color": BASELINE, "width": 2},
        hovertemplate=f"baseline: {percent(baseline['accuracy'])} %<extra></extra>",
    )
    return [line, band]


def _ring(x: pd.Series | list[str], table: pd.DataFrame, flag: str, name: str, marker: dict[str, object]) -> go.Scatter:
    """A ring around the marks whose flag is set."""
    own = pd.Series(list(x), index=table.index)[table[flag]]
    return go.Scatter(
        x=own, y=table.loc[table[flag], "accuracy"], mode="markers", name=name, legendgroup=flag, marker=marker, hoverinfo="skip"
    )


def _panels(titles: list[str]) -> go.Figure:
    columns = min(2, len(titles))
    rows = -(-len(titles) // columns)
    return make_subplots(rows, columns, subplot_titles=titles, horizontal_spacing=0.08, vertical_spacing=0.3 / rows)


def _add(figure: go.Figure, traces: list[go.Scatter], index: int) -> None:
    """Add the traces to a panel; the legend has each group once."""
    shown = {trace.legendgroup for trace in figure.data}
    for trace in traces:
        figure.add_trace(trace.update(showlegend=trace.legendgroup not in shown), row=index // 2 + 1, col=index % 2 + 1)


def _finished(figure: go.Figure, panels: int) -> go.Figure:
    figure.update_yaxes(title="test accuracy", tickformat=".0%", col=1)
    figure.update_yaxes(tickformat=".0%")
    figure.update_layout(height=110 + 320 * -(-panels // 2))
    return styled(figure)
