"""Figures of all trials: the search's landscape and the training curves. Table in, Plotly figure out; nothing is computed here."""

import math
from typing import Any

import numpy as np
import pandas as pd
import plotly.graph_objects as go
from plotly.colors import sample_colorscale
from plotly.subplots import make_subplots

from analysis.figures import ACL, BASELINE, styled
from analysis.page_tables import percent_interval
from analysis.published import SELF_SUPERVISED, SUPERVISED
from study import record_names as names

_SCALE = sample_colorscale("Cividis", [0.15, 0.4, 0.65, 0.9])  # without its ends, which a dark or a light page would hide
_ALPHA_SCALE = ["#7a3500", ACL, "#f0b080"]  # shades of ACL's colour; the baseline has its own
_NARROWEST = 0.04  # of a colour bar, share: on a narrower one ticks of whole percents would repeat
_FEW_EPOCHS = 8  # of which each has a mark, and a tick of its own
_LOSS_TICKS = [digit * 10.0**power for power in range(-4, 5) for digit in (1, 2, 5)]
_AXIS_TITLES = {"margin": "margin (rad)", "temperature": "temperature τ"}
# The validation accuracy that every trial of the mode has, also one that was stopped early.
_VALUES = {SUPERVISED: "val_accuracy", SELF_SUPERVISED: "val_knn_accuracy"}
_ALL = "#777"
_THICK, _MEDIAN = 3.5, 2.5  # px
_METRIC_TITLES = {
    names.TRAIN_LOSS: "training loss",
    names.VAL_EPOCH_ACCURACY: "validation accuracy",
    names.VAL_EPOCH_KNN_ACCURACY: "validation kNN accuracy",
}


def search_figure(table: pd.DataFrame) -> go.Figure:
    """Search landscape: trials at their alpha, margin and temperature, from `trial_tables.search_table`.

    Coloured by validation accuracy (self-supervised: kNN accuracy). Only the subset with most trials of each mode is shown, since
    subsets differ more than settings. Hollow marks are trials that were stopped early, with that of the epoch selected so far.
    """
    panels = [(SUPERVISED, "margin"), (SELF_SUPERVISED, "temperature"), (SELF_SUPERVISED, "margin")]
    shown = {mode: _largest_subset(table[(table["mode"] == mode) & table[value].notna()]) for mode, value in _VALUES.items()}
    panels = [(mode, axis) for mode, axis in panels if not shown[mode].empty]
    titles = [f"{mode}, {shown[mode]['subset'].iloc[0].replace('_', ' ')}: α × {axis}" for mode, axis in panels]
    titles = titles or ["no trial has a validation figure yet"]
    figure = make_subplots(1, len(titles), subplot_titles=titles, horizontal_spacing=0.17)
    for column, (mode, axis) in enumerate(panels, start=1):
        for outcome, symbol in ((names.FINISHED, "circle"), (names.STOPPED, "circle-open")):
            own = shown[mode][shown[mode]["outcome"] == outcome]
            figure.add_trace(_points(own, mode, axis, symbol), row=1, col=column)
        figure.update_yaxes(title=_AXIS_TITLES[axis], rangemode="tozero", row=1, col=column)
        if axis == "temperature":
            figure.update_yaxes(type="log", tickvals=[0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5], row=1, col=column)
        bar = {"x": figure.get_subplot(1, column).xaxis.domain[1] + 0.005, "tickformat": ".0%", "thickness": 10, "xpad": 2}
        low, high = _bar_range(shown[mode][_VALUES[mode]])
        axis_of_colour = {"colorscale": _SCALE, "colorbar": {**bar, "nticks": 6}, "cmin": low, "cmax": high}
        figure.update_layout({_color_axis(mode): axis_of_colour})
    for outcome, symbol in (("finished", "circle"), ("stopped early", "circle-open")):
        marker = {"symbol": symbol, "size": 12, "color": "#555", "line_width": 2}
        figure.add_scatter(x=[None], y=[None], mode="markers", name=outcome, marker=marker)
    figure.update_xaxes(title="α", range=[-0.05, 1.05])
    figure.update_layout(height=430)
    return styled(figure)


def curves_figure(table: pd.DataFrame, bands: pd.DataFrame | None = None) -> go.Figure:
    """Training loss and validation accuracy by epoch, a line for each trial.

    Args:
        table: of `drawn_curves.drawn_curves`, or of `trial_tables.curves_table` to draw every trial.
        bands: of `drawn_curves.curve_bands`.
    """
    panels = list(table.groupby(["mode", "metric"], sort=False))
    titles = [f"{panel['mode'].iloc[0]}: {_METRIC_TITLES[panel['metric'].iloc[0]]}" for _, panel in panels]
    rows = -(-len(panels) // 2)
    figure = make_subplots(rows, 2, subplot_titles=titles, vertical_spacing=0.16)
    for index, ((mode, metric), panel) in enumerate(panels):
        place = {"row": index // 2 + 1, "col": index % 2 + 1}
        band = None if bands is None else bands[(bands["mode"] == mode) & (bands["metric"] == metric)]
        lines = _band(band) if band is not None else []
        lines += [_curve(run) for _, run in panel.groupby("run_id", sort=False)]
        figure.add_traces(sorted(lines, key=lambda line: line.line.width == _THICK), rows=place["row"], cols=place["col"])
        # Losses of different alpha and temperature are of different size, so their axis is logarithmic.
        axis = (
            {"type": "log", **_loss_ticks(panel["value"])}
            if metric == names.TRAIN_LOSS
            else {"tickformat": ".0%", "minallowed": -0.02, "maxallowed": 1.02}
        )
        figure.update_yaxes(axis, **place)
        figure.update_xaxes({"dtick": 1} if panel["epoch"].max() <= _FEW_EPOCHS else {}, **place)
    figure.update_xaxes(title="epoch")
    key = {
        "color": [0],
        "cmin": 0,
        "cmax": 1,
        "colorscale": _ALPHA_SCALE,
        "showscale": True,
        "colorbar": {"title": "α < 1", "thickness": 12},
    }
    figure.add_scatter(x=[None], y=[None], mode="markers", marker=key, showlegend=False)
    keys: dict[str, dict[str, object]] = {"baseline (α = 1)": {"color": BASELINE}, "ended early": {"color": "#555", "dash": "dot"}}
    if bands is not None and len(bands):
        keys |= {"best on validation": {"color": "#555", "width": _THICK}, "median of all": {"color": _ALL, "width": _MEDIAN}}
    for name, line in keys.items():
        figure.add_scatter(x=[None], y=[None], mode="lines", name=name, line=line)
    figure.update_layout(height=90 + 320 * rows)
    return styled(figure)


def _largest_subset(trials: pd.DataFrame) -> pd.DataFrame:
    if trials.empty:
        return trials
    return trials[trials["subset"] == trials["subset"].value_counts(sort=True).index[0]]


def _bar_range(values: pd.Series) -> tuple[float, float]:
    """Whole percents around the values."""
    low, high = math.floor(values.min() * 100) / 100, math.ceil(values.max() * 100) / 100
    missing = max(0.0, _NARROWEST - (high - low)) / 2
    low, high = max(0.0, low - missing), min(1.0, high + missing)
    return (low, max(high, low + _NARROWEST)) if low == 0 else (min(low, high - _NARROWEST), high)


def _loss_ticks(losses: pd.Series) -> dict[str, Any]:
    """Ticks of a logarithmic axis: 1, 2, 5, 10, … where it spans a decade, else in equal steps."""
    low, high = losses.min(), losses.max()
    if not 0 < low < high < 10 * low:
        return {"tickvals": _LOSS_TICKS}
    least = (high - low) / 5
    power = 10.0 ** math.floor(math.log10(least))
    return {"dtick": f"L{next(digit * power for digit in (1, 2, 5, 10) if digit * power >= least):g}"}


def _color_axis(mode: str) -> str:
    return "coloraxis" if mode == SUPERVISED else "coloraxis2"


def _points(trials: pd.DataFrame, mode: str, axis: str, symbol: str) -> go.Scatter:
    value = _VALUES[mode]
    outline = {"width": 2} if symbol.endswith("-open") else {"width": 1, "color": "#777"}
    accuracies = [percent_interval(row, value, f"{value}_low", f"{value}_high") for row in trials.to_dict("records")]
    return go.Scatter(
        x=trials["alpha"],
        y=trials[axis],
        mode="markers",
        showlegend=False,
        marker={"symbol": symbol, "size": 12, "color": trials[value], "coloraxis": _color_axis(mode), "line": outline},
        customdata=trials[["sweep", "margin", "temperature"]].assign(accuracy=accuracies),
        hovertemplate="%{customdata[0]}<br>α %{x:.3f}, margin %{customdata[1]:.3f}"
        + ("" if mode == SUPERVISED else ", τ %{customdata[2]:.3f}")
        + "<br>validation, %: %{customdata[3]}<extra></extra>",
    )


def _band(band: pd.DataFrame) -> list[go.Scatter]:
    """Lower and upper quantile with the space between them shaded, and the median."""
    common = {"x": band["epoch"].to_numpy(np.int32), "mode": "lines", "showlegend": False, "hoverinfo": "skip"}
    low, median, high = (band[name].to_numpy(np.float32) for name in ("low", "median", "high"))
    return [
        go.Scatter(y=low, line={"width": 0}, **common),
        go.Scatter(y=high, line={"width": 0}, fill="tonexty", fillcolor="rgba(120, 120, 120, 0.25)", **common),
        go.Scatter(y=median, line={"color": _ALL, "width": _MEDIAN}, **common),
    ]


def _curve(run: pd.DataFrame) -> go.Scatter:
    first = run.iloc[0]
    colour = BASELINE if first["alpha"] == 1 else sample_colorscale(_ALPHA_SCALE, [first["alpha"]])[0]
    dash = "solid" if first["outcome"] == names.FINISHED else "dot"
    best = first.get("best", "")
    return go.Scatter(
        x=run["epoch"].to_numpy(np.int32),
        y=run["value"].to_numpy(np.float32),
        mode="lines+markers" if len(run) <= _FEW_EPOCHS else "lines",
        marker={"size": 5},
        showlegend=False,
        line={"color": colour, "width": _THICK if best else 1.5, "dash": dash},
        name=f"{first['sweep']} {first['trial_id']}{best and f', {best}'}",
        hovertemplate=f"α {first['alpha']:.3g}, margin {first['margin']:.3g}, seed {first['seed']:.0f}"
        "<br>epoch %{x}: %{y:.4g}<extra>%{fullData.name}</extra>",
    )
