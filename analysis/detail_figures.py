"""Figures of winner and baseline in detail. Table in, Plotly figure out; nothing is computed here."""

import pandas as pd
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from analysis.detail_tables import OURS, PUBLISHED
from analysis.figures import ACL, BASELINE, interval, styled
from analysis.page_tables import percent_interval
from analysis.published import SUPERVISED

_MARKS = {"baseline": "circle", "acl": "diamond"}
_NAMES = {"baseline": "contrastive (α = 1)", "acl": "ACL (α < 1)"}
_DIVERGING = [[0, BASELINE], [0.5, "#ffffff"], [1, ACL]]
_MOST_INTERVALS = 12  # with more settings only the picked one has its interval drawn; the pointer shows the others
_MOST_LABELS = 8  # settings whose temperatures are written beside their marks


def plane_figure(table: pd.DataFrame) -> go.Figure:
    """Tolerance over −uniformity, coloured by patch-weighted accuracy, from `detail_tables.plane_table`."""
    figure = go.Figure()
    for source in (PUBLISHED, OURS):  # ours on top
        for side, mark in _MARKS.items():
            own = table[(table["source"] == source) & (table["side"] == side)].sort_values("temperature")
            hollow = source == PUBLISHED
            labelled = (table["source"] == OURS).sum() <= _MOST_LABELS and not hollow
            figure.add_scatter(
                x=own["minus_uniformity"],
                y=own["tolerance"],
                mode="lines+markers" if hollow else "markers+text" if labelled else "markers",
                name=f"published {_NAMES[side].split(' ')[0]}" if hollow else _NAMES[side],
                text=[f"τ {value:g}" for value in own["temperature"]],
                textposition="top center",
                textfont={"size": 14},
                line={"color": "#b5b5b5", "width": 1, "dash": "dot"},
                marker={
                    "symbol": f"{mark}-open" if hollow else mark,
                    "size": 11 if hollow else 14,
                    "color": own["accuracy"],
                    "coloraxis": "coloraxis",
                    "line": {"width": 2.5} if hollow else {"width": 1, "color": "#222"},
                },
                customdata=own[["temperature", "alpha", "margin", "accuracy"]],
                hovertemplate="τ %{customdata[0]}, α %{customdata[1]:.3g}, margin %{customdata[2]}<br>−uniformity %{x:.3f}, "
                "tolerance %{y:.3f}<br>accuracy (patch-weighted) %{customdata[3]:.1%}<extra>%{fullData.name}</extra>",
            )
    bar = {"title": "accuracy", "tickformat": ".0%", "thickness": 14}
    figure.update_layout(height=540, coloraxis={"colorscale": "Cividis", "colorbar": bar})
    figure.update_xaxes(title="−uniformity (farther right: more uniform)")
    figure.update_yaxes(title="tolerance (higher: more tolerant)")
    return styled(figure)


def confusion_figure(table: pd.DataFrame) -> go.Figure:
    """Difference in counts, with margin − baseline, by true and predicted class, from `detail_tables.confusion_table`."""
    counts = {name: table.pivot(index="true", columns="predicted", values=name) for name in ("difference", "baseline", "acl")}
    changed = counts["difference"]
    classes = [str(label).replace("_", " ") for label in changed.index]
    most = max(1.0, float(changed.abs().to_numpy().max()))
    figure = go.Figure(
        go.Heatmap(
            x=classes,
            y=classes,
            z=changed,
            zmin=-most,
            zmax=most,
            colorscale=_DIVERGING,
            text=[[_whole(value) for value in row] for row in changed.to_numpy()],
            texttemplate="%{text}",
            textfont={"size": 14, "color": "#111"},
            customdata=pd.concat([counts["baseline"], counts["acl"]]).to_numpy().reshape(2, *changed.shape).transpose(1, 2, 0),
            xgap=1,
            ygap=1,
            colorbar={"title": {"text": "clips", "side": "right"}, "thickness": 14},
            hovertemplate="%{y} taken for %{x}<br>baseline %{customdata[0]:.3g}, "
            "with margin %{customdata[1]:.3g} clips<extra></extra>",
        )
    )
    for place in range(len(classes)):
        corners = {"x0": place - 0.5, "x1": place + 0.5, "y0": place - 0.5, "y1": place + 0.5}
        figure.add_shape(type="rect", **corners, line={"color": "#222", "width": 1.2})
    figure.update_xaxes(title="predicted", tickangle=-60, automargin=True, showgrid=False, dtick=1)
    figure.update_yaxes(title="true", autorange="reversed", automargin=True, showgrid=False, dtick=1)
    figure.update_layout(height=260 + 34 * max(6, len(classes)))
    return styled(figure).update_layout(margin={"t": 30, "b": 60})


def _whole(clips: float) -> str:
    """Signed whole number for a cell, which has no room for parts of a clip.

    >>> _whole(-1.5), _whole(0.5)
    ('−2', '')
    """
    rounded = int(abs(clips) + 0.5)
    return "" if abs(clips) < 1 else f"{'−' if clips < 0 else '+'}{rounded}"


def cost_figure(table: pd.DataFrame) -> go.Figure:
    """Test accuracy over hours of a run, a panel for each mode and subset, from `detail_tables.cost_table`."""
    panels = [panel for _, panel in table.groupby(["mode", "subset"], sort=False)]
    columns = min(2, len(panels))
    rows = -(-len(panels) // columns)
    titles = [f"{panel['mode'].iloc[0]}, {panel['subset'].iloc[0].replace('_', ' ')}" for panel in panels]
    figure = make_subplots(rows, columns, subplot_titles=titles, horizontal_spacing=0.1, vertical_spacing=0.25 / rows)
    for index, panel in enumerate(panels):
        place = {"row": index // columns + 1, "col": index % columns + 1}
        baseline = panel["alpha"] == 1
        for side, own, colour in (("acl", panel[~baseline], ACL), ("baseline", panel[baseline], BASELINE)):
            intervals = [percent_interval(row, "accuracy", "low", "high") for row in own.to_dict("records")]
            points = go.Scatter(
                x=own["hours"],
                y=own["accuracy"],
                mode="markers",
                name="baseline (α = 1)" if side == "baseline" else "with margin (α < 1)",
                legendgroup=side,
                showlegend=index == 0,
                marker={"symbol": _MARKS[side], "size": 10, "color": colour},
                error_y=interval(own, "accuracy", "low", "high") | {"visible": len(panel) <= _MOST_INTERVALS, "width": 3},
                customdata=own[["alpha", "margin", "temperature", "seeds"]].assign(accuracy=intervals),
                hovertemplate="α %{customdata[0]:.3g}, margin %{customdata[1]}"
                + ("" if panel["mode"].iloc[0] == SUPERVISED else ", τ %{customdata[2]}")
                + "<br>%{x:.3g} "
                + table["unit"].iloc[0]
                + " a run, seeds: %{customdata[3]}<br>%{customdata[4]} % on test<extra></extra>",
            )
            figure.add_trace(points, **place)
        picked = panel[panel["picked"]]
        ring = go.Scatter(
            x=picked["hours"],
            y=picked["accuracy"],
            error_y=interval(picked, "accuracy", "low", "high") | {"color": "#222"},
            mode="markers",
            name="picked on validation",
            legendgroup="picked",
            showlegend=index == 0,
            marker={"symbol": "circle-open", "size": 20, "color": "#222", "line_width": 2},
            hoverinfo="skip",
        )
        figure.add_trace(ring, **place)
    figure.update_xaxes(title=f"{table['unit'].iloc[0]} of one run")
    figure.update_yaxes(title="test accuracy", tickformat=".0%", col=1)
    figure.update_yaxes(tickformat=".0%")
    figure.update_layout(height=120 + 320 * rows)
    return styled(figure)
