"""Figures of what a search says about its settings. Table in, Plotly figure out; nothing is computed here."""

from typing import Any

import numpy as np
import pandas as pd
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from analysis.figures import ACL, styled
from analysis.page_tables import percent, percent_interval, plain
from analysis.published import SUPERVISED

LABELS = {"loss.alpha": "α", "loss.margin": "margin, rad", "loss.temperature": "τ", "data.subset": "subset"}
_TICKS = [digit * 10.0**power for power in range(-8, 9) for digit in (1, 2, 5)]
_AXES = {"temperature": "temperature τ", "margin": "margin (rad)"}
_SCALE = "Cividis"
_PICKED = {"symbol": "square-open", "size": 30, "color": ACL, "line_width": 3}
_MOST_TEXTS = 12  # values of alpha with which the accuracies fit into the cells


def map_figure(table: pd.DataFrame) -> go.Figure:
    """Validation accuracy over alpha and temperature or margin, a panel each, from `search_tables.map_table`."""
    panels = [panel for _, panel in table.groupby(["mode", "subset", "axis"], sort=False)]
    columns = min(2, len(panels))
    rows = -(-len(panels) // columns)
    titles = [_map_title(panel) for panel in panels]
    figure = make_subplots(rows, columns, subplot_titles=titles, horizontal_spacing=0.17, vertical_spacing=0.26 / rows)
    for index, panel in enumerate(panels):
        place = {"row": index // columns + 1, "col": index % columns + 1}
        axis = f"coloraxis{index + 1 if index else ''}"
        for trace in _grid_traces(panel, axis) if panel["kind"].iloc[0] == "grid" else _drawn_traces(panel, axis):
            figure.add_trace(trace.update(showlegend=trace.showlegend and index == 0), **place)
        figure.update_xaxes(title="α", **place)
        figure.update_yaxes(title=_AXES[panel["axis"].iloc[0]], **place)
        if panel["kind"].iloc[0] == "grid":
            figure.update_xaxes(type="category", showgrid=False, **place)
            figure.update_yaxes(type="category", showgrid=False, **place)
        elif panel["axis"].iloc[0] == "temperature":
            figure.update_yaxes(type="log", tickvals=[0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5], **place)
        across, up = (getattr(figure.get_subplot(**place), name).domain for name in ("xaxis", "yaxis"))
        bar = {"x": across[1] + 0.005, "y": sum(up) / 2, "len": up[1] - up[0], "tickformat": ".0%", "thickness": 12, "xpad": 2}
        figure.update_layout({axis: {"colorscale": _SCALE, "colorbar": bar}})
    figure.update_layout(height=110 + 390 * rows)
    return styled(figure)


def importance_figure(table: pd.DataFrame) -> go.Figure:
    """Importance of each setting with its interval, a panel for each search, from `search_tables.importance_table`."""
    shown = table[table["enough"]]
    panels = [panel for _, panel in shown.groupby(["study", "sweep", "mode", "objective"], sort=False)]
    titles = [_search_title(panel.iloc[0]) for panel in panels] or ["too few trials for numbers"]
    heights = [len(panel) + 0.6 for panel in panels] or [1.0]
    gap = min(0.3, 90 / (90 * len(titles) + 45 * sum(heights)))
    figure = make_subplots(len(titles), 1, subplot_titles=titles, row_heights=heights, vertical_spacing=gap, shared_xaxes=True)
    for row, panel in enumerate(panels, start=1):
        bars = go.Scatter(
            x=panel["importance"],
            y=[LABELS.get(name, name) for name in panel["setting"]],
            mode="markers",
            marker={"symbol": "circle", "size": 11, "color": "#0072B2"},
            error_x={
                "type": "data",
                "array": panel["high"] - panel["importance"],
                "arrayminus": panel["importance"] - panel["low"],
                "thickness": 2,
                "width": 6,
            },
            showlegend=False,
            hovertemplate="%{y}: %{x:.0%} of the variance<extra></extra>",
        )
        figure.add_trace(bars, row=row, col=1)
        figure.add_vline(x=0, line={"color": "#222", "width": 1, "dash": "dot"}, row=row, col=1)
        figure.update_yaxes(autorange="reversed", automargin=True, type="category", row=row, col=1)
    figure.update_xaxes(tickformat=".0%", showticklabels=True)
    figure.update_xaxes(title="share of the variance of the objective that is lost without the setting", row=len(titles), col=1)
    figure.update_layout(height=int(140 + 90 * len(titles) + 45 * sum(heights)))
    return styled(figure).update_layout(margin_b=60)


def parallel_figure(table: pd.DataFrame) -> go.Figure:
    """Parallel coordinates: a line for each trial of a search through its settings, from `search_tables.parallel_table`."""
    figure = go.Figure()
    panels = [panel for _, panel in table.groupby(["study", "sweep", "mode", "objective"], sort=False)]
    height = 430 * len(panels)
    for place, panel in enumerate(panels):
        top, bottom = 1 - (place + 105 / 430) / len(panels), 1 - (place + 1 - 35 / 430) / len(panels)
        settings = [name for name in panel.columns[7:] if panel[name].nunique() > 1]
        tickformat = ".1%" if "accuracy" in panel["objective"].iloc[0] else ".3f"
        dimensions = [_dimension(LABELS.get(name, name), panel[name]) for name in settings]
        dimensions.append({"label": panel["objective"].iloc[0], "values": panel["value"], "tickformat": tickformat})
        bar = {"y": (top + bottom) / 2, "len": top - bottom, "thickness": 12, "tickformat": tickformat}
        figure.add_parcoords(
            dimensions=dimensions,
            domain={"x": [0, 1], "y": [bottom, top]},
            line={"color": panel["value"], "colorscale": _SCALE, "showscale": True, "colorbar": bar},
            labelfont={"size": 15},
            tickfont={"size": 14},
            rangefont={"size": 14, "color": "rgba(0,0,0,0)"},  # the ticks say it
        )
        title = f"{_search_title(panel.iloc[0])}: {len(panel)} trials"
        figure.add_annotation(
            text=title, x=0, xanchor="left", xref="paper", y=1 - place / len(panels), yanchor="top", yref="paper", showarrow=False
        )
    return styled(figure).update_layout(height=height, margin={"l": 70, "r": 50, "t": 10, "b": 10})


def _grid_traces(panel: pd.DataFrame, axis: str) -> list[Any]:
    cells = panel.pivot(index="y", columns="alpha", values="val_accuracy").sort_index().sort_index(axis=1)
    alphas, ys = ([plain(float(value)) for value in values] for values in (cells.columns, cells.index))
    seeds = panel.pivot(index="y", columns="alpha", values="seeds").reindex_like(cells)
    texts = [[percent(value) if value == value else "" for value in row] for row in cells.to_numpy()]
    heatmap = go.Heatmap(
        x=alphas,
        y=ys,
        z=cells.to_numpy(),
        coloraxis=axis,
        text=texts,
        texttemplate="%{text}" if len(alphas) <= _MOST_TEXTS else None,
        textfont={"size": 14},
        customdata=seeds.to_numpy(),
        xgap=1,
        ygap=1,
        showlegend=False,
        hoverongaps=False,
        hovertemplate="α %{x}, " + panel["axis"].iloc[0] + " %{y}: %{text} % on validation<br>seeds: %{customdata}<extra></extra>",
    )
    picked = panel[panel["picked"]]
    ring = go.Scatter(
        x=[plain(float(value)) for value in picked["alpha"]],
        y=[plain(float(value)) for value in picked["y"]],
        mode="markers",
        name="picked on validation",
        legendgroup="picked",
        marker=_PICKED,
        hoverinfo="skip",
        showlegend=True,
    )
    return [heatmap, ring]


def _drawn_traces(panel: pd.DataFrame, axis: str) -> list[Any]:
    intervals = [percent_interval(row, "val_accuracy", "val_low", "val_high") for row in panel.to_dict("records")]
    points = go.Scatter(
        x=panel["alpha"],
        y=panel["y"],
        mode="markers",
        marker={"symbol": "diamond", "size": 12, "color": panel["val_accuracy"], "coloraxis": axis},
        customdata=panel[["margin", "temperature", "seeds"]].assign(accuracy=intervals),
        showlegend=False,
        hovertemplate="α %{x:.3f}, margin %{customdata[0]:.3f}, τ %{customdata[1]:.3f}<br>%{customdata[3]} % on validation, "
        "seeds: %{customdata[2]}<extra></extra>",
    )
    picked = panel[panel["picked"]]
    ring = go.Scatter(
        x=picked["alpha"],
        y=picked["y"],
        mode="markers",
        name="picked on validation",
        legendgroup="picked",
        marker=_PICKED | {"size": 20},
        hoverinfo="skip",
        showlegend=True,
    )
    return [points, ring]


def _dimension(label: str, values: pd.Series) -> dict[str, Any]:
    """An axis of the parallel coordinates: numbers, their logarithms where they span a decade, or the places of names."""
    if not pd.api.types.is_numeric_dtype(values) or pd.api.types.is_bool_dtype(values):
        known = sorted(values.astype(str).unique())
        places = [known.index(str(value)) for value in values]
        texts = [name.replace("_", " ") for name in known]
        return {"label": label, "values": places, "tickvals": list(range(len(known))), "ticktext": texts}
    if values.min() > 0 and values.max() >= 10 * values.min():
        low, high = np.log10(values.min()), np.log10(values.max())
        ticks = [power for power in np.log10(_TICKS) if low <= power <= high]
        return {"label": label, "values": np.log10(values), "tickvals": ticks, "ticktext": [f"{10**tick:.3g}" for tick in ticks]}
    return {"label": label, "values": values}


def _map_title(panel: pd.DataFrame) -> str:
    first = panel.iloc[0]
    title = f"{first['mode']}, {first['subset'].replace('_', ' ')}"
    if first["kind"] == "drawn":
        return title
    if first["axis"] == "temperature":
        return f"{title}, margin {panel['margin'].dropna().iloc[0]:g}"
    return title if first["mode"] == SUPERVISED else f"{title}, τ {first['temperature']:g}"


def _search_title(first: pd.Series) -> str:
    return f"{first['study']}, {first['sweep']} ({first['mode']}), {first['objective']}"
