"""Figures of what a search says about its settings. Table in, Plotly figure out; nothing is computed here."""

import pandas as pd
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from analysis.figures import ACL, styled
from analysis.page_tables import percent, percent_interval, plain
from analysis.published import SUPERVISED

LABELS = {"loss.alpha": "α", "loss.margin": "margin, rad", "loss.temperature": "τ", "data.subset": "subset"}
_AXES = {"temperature": "temperature τ", "margin": "margin (rad)"}
_SCALE = "Cividis"
_CELLS = [[0, "#f7fbff"], [0.5, "#b3d1e8"], [1, "#4292c6"]]  # light enough for dark numbers, also in print
_PICKED = {"color": ACL, "width": 3}
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
        is_grid = panel["kind"].iloc[0] == "grid"
        figure.add_trace(_cells(panel, axis) if is_grid else _points(panel, axis), **place)
        figure.update_xaxes(title="α", **place)
        figure.update_yaxes(title=_AXES[panel["axis"].iloc[0]], **place)
        if is_grid:
            figure.update_xaxes(type="category", showgrid=False, **place)
            figure.update_yaxes(type="category", showgrid=False, **place)
            _frame_picked(figure, panel, place)
        elif panel["axis"].iloc[0] == "temperature":
            figure.update_yaxes(type="log", tickvals=[0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5], **place)
        across, up = (getattr(figure.get_subplot(**place), name).domain for name in ("xaxis", "yaxis"))
        bar = {"x": across[1] + 0.005, "y": sum(up) / 2, "len": up[1] - up[0], "tickformat": ".0%", "thickness": 12, "xpad": 2}
        figure.update_layout({axis: {"colorscale": _CELLS if is_grid else _SCALE, "colorbar": bar}})
    figure.update_layout(height=110 + 390 * rows)
    return styled(figure)


def importance_figure(table: pd.DataFrame) -> go.Figure:
    """Importance of each setting with its interval, a panel for each search, from `search_tables.importance_table`."""
    shown = table[table["enough"] & (table["fit"] > 0)]
    panels = [panel for _, panel in shown.groupby(["study", "sweep", "mode", "objective"], sort=False)]
    titles = [search_title(panel.iloc[0]) for panel in panels]
    heights = [len(panel) + 0.6 for panel in panels]
    gap = 75 / (75 * len(titles) + 36 * sum(heights))
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
    figure.update_layout(height=int(130 + 75 * len(titles) + 36 * sum(heights)))
    return styled(figure).update_layout(margin_b=60)


def _cells(panel: pd.DataFrame, axis: str) -> go.Heatmap:
    cells = panel.pivot(index="y", columns="alpha", values="val_accuracy").sort_index().sort_index(axis=1)
    seeds = panel.pivot(index="y", columns="alpha", values="seeds").reindex_like(cells)
    return go.Heatmap(
        x=[plain(float(value)) for value in cells.columns],
        y=[plain(float(value)) for value in cells.index],
        z=cells.to_numpy(),
        coloraxis=axis,
        text=[[percent(value).replace("–", "") for value in row] for row in cells.to_numpy()],
        texttemplate="%{text}" if len(cells.columns) <= _MOST_TEXTS else None,
        textfont={"size": 14, "color": "#111"},
        customdata=seeds.to_numpy(),
        xgap=1,
        ygap=1,
        hoverongaps=False,
        hovertemplate="α %{x}, " + panel["axis"].iloc[0] + " %{y}: %{text} % on validation<br>seeds: %{customdata}<extra></extra>",
    )


def _frame_picked(figure: go.Figure, panel: pd.DataFrame, place: dict[str, int]) -> None:
    """A frame around the cell that validation picks; categories stand at 0, 1, …"""
    alphas, ys = (sorted(panel[name].unique()) for name in ("alpha", "y"))
    for alpha, y in zip(*(panel.loc[panel["picked"], name] for name in ("alpha", "y")), strict=True):
        column, row = alphas.index(alpha), ys.index(y)
        corners = {"x0": column - 0.48, "x1": column + 0.48, "y0": row - 0.48, "y1": row + 0.48}
        figure.add_shape(
            type="rect",
            **corners,
            line=_PICKED,
            name="picked on validation",
            legendgroup="picked",
            showlegend=not any(shape.showlegend for shape in figure.layout.shapes),
            **place,
        )


def _points(panel: pd.DataFrame, axis: str) -> go.Scatter:
    intervals = [percent_interval(row, "val_accuracy", "val_low", "val_high") for row in panel.to_dict("records")]
    return go.Scatter(
        x=panel["alpha"],
        y=panel["y"],
        mode="markers",
        showlegend=False,
        marker={
            "symbol": "diamond",
            "opacity": 1,
            "size": [18 if picked else 12 for picked in panel["picked"]],
            "color": panel["val_accuracy"],
            "coloraxis": axis,
            "line": {"color": ACL, "width": [3 if picked else 0 for picked in panel["picked"]]},
        },
        customdata=panel[["margin", "temperature", "seeds"]].assign(accuracy=intervals),
        hovertemplate="α %{x:.3f}, margin %{customdata[0]:.3f}, τ %{customdata[1]:.3f}<br>%{customdata[3]} % on validation, "
        "seeds: %{customdata[2]}<extra></extra>",
    )


def _map_title(panel: pd.DataFrame) -> str:
    first = panel.iloc[0]
    title = f"{first['mode']}, {first['subset'].replace('_', ' ')}"
    if first["kind"] == "drawn":
        return title
    if first["axis"] == "temperature":
        return f"{title}, margin {panel['margin'].dropna().iloc[0]:g}"
    return title if first["mode"] == SUPERVISED else f"{title}, τ {first['temperature']:g}"


def search_title(first: pd.Series) -> str:
    return f"{first['study']}, {first['sweep']} ({first['mode']}), {first['objective']}"
