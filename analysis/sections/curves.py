"""Training curves: of a few trials all, of many some and a band. The CSV file has every point."""

import math
from collections.abc import Collection
from typing import Any

import numpy as np
import pandas as pd
import plotly.graph_objects as go
from plotly.colors import sample_colorscale
from plotly.subplots import make_subplots

from analysis.published import SELF_SUPERVISED, SUPERVISED
from analysis.section import ACL, BASELINE, Section, styled
from analysis.sections.trials import TRIAL_COLUMNS, VALIDATION
from study import names

CURVE_METRICS = {
    SUPERVISED: (names.TRAIN_LOSS, names.VAL_EPOCH_ACCURACY),
    SELF_SUPERVISED: (names.TRAIN_LOSS, names.VAL_EPOCH_KNN_ACCURACY),
}


def curves_table(history: pd.DataFrame, trials: pd.DataFrame) -> pd.DataFrame:
    """Loss and validation accuracy by epoch of every trial, long: run_id, the trial's settings, epoch, metric, value.

    Args:
        history: of `analysis.records.runs.load_history`.
        trials: of `analysis.records.runs.load_trials`.
    """
    table = trials.reindex(columns=["run_id", *TRIAL_COLUMNS]).rename(columns=TRIAL_COLUMNS).merge(history, on="run_id")
    shown = pd.Series(False, index=table.index)
    for mode, metrics in CURVE_METRICS.items():
        shown |= table["mode"].eq(mode) & table["metric"].isin(metrics)
    return table[shown].sort_values(
        ["mode", "metric", "alpha", "run_id", "epoch"], ascending=[False, True, True, True, True], ignore_index=True
    )


DRAWN = 40  # trials of a mode
POINTS = 100  # of a curve
QUANTILES = {"low": 0.1, "median": 0.5, "high": 0.9}
_BASELINE, _WITH_MARGIN, _OTHER = "best baseline", "best with margin", "best other"


def drawn_curves(curves: pd.DataFrame, trials: pd.DataFrame, baselines: Collection[str] | None = None) -> pd.DataFrame:
    """Rows of the curves that are drawn, and `best`: what the trial is the best of on validation, else empty.

    Of a mode with more than `DRAWN` trials these are the baseline and the other trial that are best on validation, and others
    evenly spaced in the order of validation accuracy. A curve keeps `POINTS` points at the most: the first, the last, and others
    evenly spaced between.

    Args:
        curves: of `analysis.sections.curves.curves_table`.
        trials: of `analysis.records.runs.load_trials`.
        baselines: run ids of the baselines; None: those with alpha 1.
    """
    chosen: dict[str, str] = {}
    own = trials[trials["run_id"].isin(curves["run_id"].unique())]
    sides = (_BASELINE, _WITH_MARGIN if baselines is None else _OTHER)
    for mode, metric in VALIDATION.items():
        of_mode = own[own["mode"] == mode].reindex(columns=["run_id", "loss.alpha", metric])
        is_baseline = of_mode["loss.alpha"].eq(1) if baselines is None else of_mode["run_id"].isin(baselines)
        chosen |= _chosen(of_mode.assign(baseline=is_baseline), metric, sides)
    rows = curves[curves["run_id"].isin(chosen)]
    line = [rows["mode"], rows["metric"], rows["run_id"]]
    place = rows.groupby(line).cumcount().to_numpy()
    length = rows.groupby(line)["epoch"].transform("size").to_numpy()
    # Row i of n is kept where it begins a new one of POINTS - 1 equal steps from the first row to the last.
    steps = np.maximum(length - 1, 1)
    kept = (length <= POINTS) | (place * (POINTS - 1) // steps != (place - 1) * (POINTS - 1) // steps)
    drawn = rows[kept].assign(best=rows["run_id"].map(chosen))
    return drawn if baselines is None else drawn.assign(baseline=drawn["run_id"].isin(baselines))


def curve_bands(curves: pd.DataFrame) -> pd.DataFrame:
    """Quantiles over all trials of a mode with more than `DRAWN`, by epoch: mode, metric, epoch, low, median, high.

    Each epoch has the trials that reached it; of trials that were stopped early those are the better ones. At most `POINTS` epochs.
    """
    many = curves[curves.groupby("mode")["run_id"].transform("nunique") > DRAWN] if len(curves) else curves
    if many.empty:
        return pd.DataFrame(columns=["mode", "metric", "epoch", *QUANTILES])
    last = many.groupby("mode")["epoch"].transform("max")
    many = many[(many["epoch"] % np.ceil(last / POINTS) == 0) | many["epoch"].isin([1, *last.unique()])]
    table = many.groupby(["mode", "metric", "epoch"], sort=True)["value"].quantile([*QUANTILES.values()]).unstack()
    return table.set_axis([*QUANTILES], axis=1).reset_index()


def curves_text(curves: pd.DataFrame, drawn: pd.DataFrame) -> str:
    """What the figure shows, and what it leaves out."""
    other = "other trial" if "baseline" in drawn else "trial with margin"
    text = (
        "One line per trial: blue without margin, shades of orange with. Losses at different α are not comparable, accuracies are."
    )
    if "baseline" in drawn:
        text = "One line per trial: baselines blue, other settings orange. Losses of different settings may not be comparable."
    trials, shown = (frame.groupby("mode", sort=False)["run_id"].nunique().to_dict() for frame in (curves, drawn))
    left_out = [f"{shown[mode]} of {number} {mode}" for mode, number in trials.items() if shown[mode] < number]
    long = len(curves) > 0 and curves.groupby(["metric", "run_id"]).size().max() > POINTS
    if left_out:
        middle = (QUANTILES["high"] - QUANTILES["low"]) * 100
        text += (
            f"\nThe figure has {' and '.join(left_out)} trials: the baseline and the {other} that are best on validation "
            "(thick), and others evenly spaced in the order of validation accuracy. The grey band holds the middle "
            f"{middle:.0f} % of all trials that reached an epoch, the grey line is their median."
        )
    if left_out or long:
        epochs = f" Long curves are drawn with {POINTS} epochs." if long else ""
        text += f"{epochs} Every point of every trial is in curves.csv beside this page."
    return text


def _chosen(trials: pd.DataFrame, metric: str, sides: tuple[str, str]) -> dict[str, str]:
    """What each chosen trial of a mode is the best of, by run_id."""
    if len(trials) <= DRAWN:
        return dict.fromkeys(trials["run_id"], "")
    ranked = trials.sort_values(metric, ascending=False, kind="stable", na_position="last", ignore_index=True)
    has_value, baseline = ranked[metric].notna(), ranked["baseline"].astype(bool)
    best: dict[str, str] = {}
    for name, side in zip(sides, (baseline, ~baseline), strict=True):
        best |= dict.fromkeys(ranked[side & has_value]["run_id"].head(1), name)
    others = ranked.loc[~ranked["run_id"].isin(best), "run_id"]
    spaced = np.linspace(0, len(others) - 1, DRAWN - len(best)).round().astype(int)
    return dict.fromkeys(others.iloc[spaced], "") | best


_ALPHA_SCALE = ["#7a3500", ACL, "#f0b080"]  # shades of ACL's colour; the baseline has its own
_FEW_EPOCHS = 8  # of which each has a mark, and a tick of its own
_LOSS_TICKS = [digit * 10.0**power for power in range(-4, 5) for digit in (1, 2, 5)]
_ALL = "#777"
_THICK, _MEDIAN = 3.5, 2.5  # px
_METRIC_TITLES = {
    names.TRAIN_LOSS: "training loss",
    names.VAL_EPOCH_ACCURACY: "validation accuracy",
    names.VAL_EPOCH_KNN_ACCURACY: "validation kNN accuracy",
}


def curves_figure(table: pd.DataFrame, bands: pd.DataFrame | None = None) -> go.Figure:
    """Training loss and validation accuracy by epoch, a line for each trial.

    Args:
        table: of `drawn_curves`, or of `curves_table` to draw every trial.
        bands: of `curve_bands`.
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
    keys: dict[str, dict[str, object]] = {"baseline (α = 1)": {"color": BASELINE}}
    if "baseline" in table:
        keys = {"baseline": {"color": BASELINE}, "other settings": {"color": ACL}}
    else:
        bar = {"title": "α < 1", "thickness": 12}
        key = {"color": [0], "cmin": 0, "cmax": 1, "colorscale": _ALPHA_SCALE, "showscale": True, "colorbar": bar}
        figure.add_scatter(x=[None], y=[None], mode="markers", marker=key, showlegend=False)
    keys |= {"ended early": {"color": "#555", "dash": "dot"}}
    if bands is not None and len(bands):
        keys |= {"best on validation": {"color": "#555", "width": _THICK}, "median of all": {"color": _ALL, "width": _MEDIAN}}
    for name, line in keys.items():
        figure.add_scatter(x=[None], y=[None], mode="lines", name=name, line=line)
    figure.update_layout(height=90 + 320 * rows)
    return styled(figure)


def _loss_ticks(losses: pd.Series) -> dict[str, Any]:
    """Ticks of a logarithmic axis: 1, 2, 5, 10, … where it spans a decade, else in equal steps."""
    low, high = losses.min(), losses.max()
    if not 0 < low < high < 10 * low:
        return {"tickvals": _LOSS_TICKS}
    least = (high - low) / 5
    power = 10.0 ** math.floor(math.log10(least))
    return {"dtick": f"L{next(digit * power for digit in (1, 2, 5, 10) if digit * power >= least):g}"}


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
    if "baseline" in run:
        colour, setting = (BASELINE, "baseline") if first["baseline"] else (ACL, "other setting")
    else:
        colour = BASELINE if first["alpha"] == 1 else sample_colorscale(_ALPHA_SCALE, [first["alpha"]])[0]
        setting = f"α {first['alpha']:.3g}, margin {first['margin']:.3g}"
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
        hovertemplate=f"{setting}, seed {first['seed']:.0f}<br>epoch %{{x}}: %{{y:.4g}}<extra>%{{fullData.name}}</extra>",
    )


def curves_section(trials: pd.DataFrame, history: pd.DataFrame, baselines: Collection[str] | None = None) -> Section:
    """Training curves of all trials, coloured by alpha; where the question is another, by which of them are baselines (run ids)."""
    curves = curves_table(history, trials)
    drawn, bands = drawn_curves(curves, trials, baselines), curve_bands(curves)
    return Section(
        "curves",
        "Training curves",
        curves_text(curves, drawn),
        curves,
        [],
        "No trial has reported an epoch yet.",
        lambda rows: curves_figure(rows, bands),
        drawn,
    )
