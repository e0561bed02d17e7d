"""Figures of the course of trainings. Table in, Plotly figure out; nothing is computed here."""

import pandas as pd
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from analysis.figures import ACL, BASELINE, interval, styled
from study import record_names as names

_STOPPED = "#8a8a8a"
_PLACE = ["study", "sweep", "mode"]
_THIRD = "#009E73"


def stopped_figure(table: pd.DataFrame) -> go.Figure:
    """Objective by epoch, where each stopped trial ends marked, a panel for each sweep, from `training_tables.stopped_table`."""
    panels = [panel for _, panel in table.groupby(_PLACE, sort=False)]
    columns = min(2, len(panels))
    rows = -(-len(panels) // columns)
    titles = [_title(panel.iloc[0]) for panel in panels]
    figure = make_subplots(rows, columns, subplot_titles=titles, horizontal_spacing=0.1, vertical_spacing=0.25 / rows)
    for index, panel in enumerate(panels):
        place = {"row": index // columns + 1, "col": index % columns + 1}
        stopped, finished = (panel[panel["outcome"] == outcome] for outcome in (names.STOPPED, names.FINISHED))
        for trace in (
            _lines(stopped, "stopped", {"color": _STOPPED, "width": 1}),
            _lines(finished, "ran to the end", {"color": BASELINE, "width": 1.6}),
            _ends(stopped, "where it was stopped", {"symbol": "x-thin", "size": 9, "line": {"color": ACL, "width": 2}}),
            _ends(finished, "its last epoch", {"symbol": "circle", "size": 7, "color": BASELINE}),
        ):
            figure.add_trace(trace.update(showlegend=index == 0), **place)
        metric = panel["metric"].iloc[0]
        figure.update_yaxes(title=metric, tickformat=".0%" if "accuracy" in metric else None, **place)
    figure.update_xaxes(title="epoch", rangemode="tozero")
    figure.update_layout(height=120 + 360 * rows)
    return styled(figure)


def early_figure(table: pd.DataFrame) -> go.Figure:
    """Agreement of early rankings with the final one, and the regret of stopping, from `training_tables.early_table`."""
    panels = [panel for _, panel in table.groupby(_PLACE, sort=False)]
    titles = [title for panel in panels for title in (f"{_title(panel.iloc[0])}, {panel['trials'].iloc[0]} trials", "regret")]
    figure = make_subplots(len(panels), 2, subplot_titles=titles, horizontal_spacing=0.12, vertical_spacing=0.25 / len(panels))
    for row, panel in enumerate(panels, start=1):
        shared = {"x": panel["fraction"], "mode": "lines+markers", "showlegend": row == 1}
        tau = go.Scatter(
            **shared,
            y=panel["tau"],
            name="τ, early ranking against the final one",
            line={"color": BASELINE, "width": 2},
            marker={"symbol": "circle", "size": 9},
            error_y=interval(panel, "tau", "tau_low", "tau_high"),
            customdata=panel["epoch"],
            hovertemplate="epoch %{customdata}: τ %{y:.2f}<extra></extra>",
        )
        leader = go.Scatter(
            **shared,
            y=panel["regret"],
            name="regret, only the leader kept",
            line={"color": ACL, "width": 2},
            marker={"symbol": "diamond", "size": 9},
            hovertemplate="%{y:.4f}<extra>only the leader kept</extra>",
        )
        third = go.Scatter(
            **shared,
            y=panel["regret_of_third"],
            name="regret, the better third kept",
            line={"color": _THIRD, "width": 2, "dash": "dash"},
            marker={"symbol": "triangle-up", "size": 10},
            hovertemplate="%{y:.4f}<extra>the better third kept</extra>",
        )
        for trace, column in ((tau, 1), (leader, 2), (third, 2)):
            figure.add_trace(trace, row=row, col=column)
        figure.add_hline(y=0.5, line={"color": "#222", "width": 1, "dash": "dot"}, row=row, col=1)
        figure.update_yaxes(title="Kendall's τ", range=[min(-0.1, panel["tau_low"].min() - 0.05), 1.05], row=row, col=1)
        share = "accuracy" in panel["objective"].iloc[0]
        figure.update_yaxes(title="lost at the end", tickformat="~%" if share else None, rangemode="tozero", row=row, col=2)
    figure.update_xaxes(title="share of the epochs", tickformat=".0%", range=[0, 1.05], dtick=0.2)
    figure.update_layout(height=120 + 340 * len(panels))
    return styled(figure)


def _lines(own: pd.DataFrame, name: str, line: dict[str, object]) -> go.Scatter:
    """All curves as one trace, with a gap after each, which keeps the page small."""
    xs: list[object] = []
    ys: list[object] = []
    labels: list[object] = []
    for _, run in own.groupby("run_id", sort=False):
        if len(run) > 1:
            xs += [*run["epoch"], None]
            ys += [*run["value"].round(5), None]
            labels += [_label(run.iloc[0])] * len(run) + [None]
    return go.Scatter(
        x=xs,
        y=ys,
        text=labels,
        mode="lines",
        name=name,
        legendgroup=name,
        line=line,
        hovertemplate="%{text}<br>epoch %{x}: %{y:.4f}<extra></extra>",
    )


def _ends(own: pd.DataFrame, name: str, marker: dict[str, object]) -> go.Scatter:
    ends = own[own["is_end"]]
    return go.Scatter(
        x=ends["epoch"],
        y=ends["value"],
        text=[_label(row) for _, row in ends.iterrows()],
        mode="markers",
        name=name,
        legendgroup=name,
        marker=marker,
        hovertemplate="%{text}<br>epoch %{x}: %{y:.4f}<extra>" + name + "</extra>",
    )


def _label(row: pd.Series) -> str:
    temperature = "" if pd.isna(row["temperature"]) else f", τ {row['temperature']:.3g}"
    return f"{row['trial_id']}: α {row['alpha']:.3g}, margin {row['margin']:.3g}{temperature}"


def _title(first: pd.Series) -> str:
    return f"{first['study']}, {first['sweep']}"
