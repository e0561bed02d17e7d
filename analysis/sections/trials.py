"""All trials: the search's landscape and counts by outcome."""

import math
from dataclasses import replace

import pandas as pd
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from analysis.formats import capitalised, count, percent_interval
from analysis.published import SELF_SUPERVISED, SUPERVISED
from analysis.question import words
from analysis.records.runs import parameter_names
from analysis.section import (
    GROUP_COLUMNS,
    MARK_SCALE,
    OUTLINE,
    SETTING_COLUMNS,
    Column,
    Section,
    all_columns,
    interval_column,
    number_column,
    styled,
)
from analysis.stats.clips import TEST, VAL, independent_clips_of_runs
from analysis.stats.intervals import wilson_intervals
from study import names

# The validation accuracy that every trial of the mode has, also one that was stopped early.
VALIDATION = {SUPERVISED: names.VAL_ACCURACY, SELF_SUPERVISED: names.VAL_KNN_ACCURACY}
_SHARES = {names.VAL_ACCURACY: VAL, names.VAL_KNN_ACCURACY: VAL, names.TEST_ACCURACY: TEST}  # shares of the split's clips
TRIAL_COLUMNS = {
    "study": "study",
    "sweep": "sweep",
    "trial_id": "trial_id",
    "outcome": "outcome",
    "mode": "mode",
    "data.subset": "subset",
    "loss.alpha": "alpha",
    "loss.margin": "margin",
    "loss.temperature": "temperature",
    "seed": "seed",
}


def with_intervals(trials: pd.DataFrame, predictions: pd.DataFrame) -> pd.DataFrame:
    """The trials with the 95 % Wilson interval of each share of clips, and the objective of each trial with its interval.

    Adds `<metric>_low` and `<metric>_high` of the validation, validation kNN and test accuracy, and `objective_value` with
    `objective_value_low` and `_high`. A macro accuracy is a mean over classes, not a share of clips, and has no such interval. A
    trial that was stopped has no predictions: its clips are those of a finished trial with the same mode, corpus and data
    settings; where there is none, the interval is empty.

    Args:
        trials: of `analysis.records.runs.load_trials`.
        predictions: of `analysis.records.runs.load_predictions`, of the finished trials at least.
    """
    trials = trials.copy()
    for metric, split in _SHARES.items():
        if metric in trials.columns:
            clips = _clips_of_trials(trials, predictions, split)
            trials[f"{metric}_low"], trials[f"{metric}_high"] = wilson_intervals(trials[metric].to_numpy(), clips.to_numpy())
    for bound in ("", "_low", "_high"):
        sources = (trials["objective"] + bound).items()
        values = [trials.at[index, source] if source in trials.columns else None for index, source in sources]
        trials[f"objective_value{bound}"] = pd.Series(values, index=trials.index, dtype=float)
    return trials


def search_table(trials: pd.DataFrame, predictions: pd.DataFrame) -> pd.DataFrame:
    """Every trial as a point of the search: settings, outcome, objective and last accuracies (the test's for reading only).

    Objective and accuracies have the intervals of `with_intervals`, which also says what the arguments are.
    """
    accuracies = {
        "objective_value": "objective_value",
        names.VAL_ACCURACY: "val_accuracy",
        names.VAL_KNN_ACCURACY: "val_knn_accuracy",
        names.TEST_ACCURACY: "test_accuracy",
    }
    columns = {**TRIAL_COLUMNS, "objective": "objective"}
    for source, name in accuracies.items():
        columns |= {f"{source}{bound}": f"{name}{bound}" for bound in ("", "_low", "_high")}
    table = with_intervals(trials, predictions).reindex(columns=list(columns)).rename(columns=columns)
    return table.sort_values(["mode", "study", "sweep", "trial_id"], ignore_index=True)


def counts_table(trials: pd.DataFrame) -> pd.DataFrame:
    """Number of trials by study and sweep: finished, stopped, failed, any other outcome, total."""
    counts = trials.groupby(["study", "sweep", "outcome"]).size().unstack(fill_value=0)
    counts = counts.reindex(
        columns=[*names.OUTCOMES, *(name for name in counts.columns if name not in names.OUTCOMES)], fill_value=0
    )
    return counts.assign(total=counts.sum(axis=1)).reset_index().rename_axis(columns=None)


def _clips_of_trials(trials: pd.DataFrame, predictions: pd.DataFrame, split: str) -> pd.Series:
    """Independent clips of the split by trial: its own, or those of a trial with the same mode, corpus and data settings."""
    own = trials["run_id"].map(independent_clips_of_runs(predictions, split)).astype(float)
    data = [name for name in trials.columns if name.startswith("data.") and name != "data.root"]
    return own.fillna(own.groupby([trials[name] for name in ("mode", "corpus", *data)], dropna=False).transform("first"))


SEARCH_COLUMNS = [
    Column("Sweep", lambda row: row["sweep"], "text"),
    Column("Trial", lambda row: row["trial_id"], "text"),
    Column("Outcome", lambda row: row["outcome"], "text"),
    *GROUP_COLUMNS,
    *SETTING_COLUMNS,
    number_column("Seed", "seed", count),
    Column("Objective", lambda row: row["objective"], "text"),
    interval_column("Value, %", "objective_value", "objective_value_low", "objective_value_high"),
    interval_column("Test, %", "test_accuracy", "test_accuracy_low", "test_accuracy_high"),
]
OTHER_SEARCH_COLUMNS = [
    *SEARCH_COLUMNS[:3],
    Column("Mode", lambda row: row["mode"], "text"),
    Column("Settings", lambda row: row["settings"] or "–", "prose"),
    *SEARCH_COLUMNS[-4:],
]
_NOT_SHOWN = ("mode", "seed", *names.PLACE_SETTINGS)
_NARROWEST = 0.04  # of a colour bar, share: on a narrower one ticks of whole percents would repeat
_AXIS_TITLES = {"margin": "margin (rad)", "temperature": "temperature τ"}
# The validation accuracy that every trial of the mode has, also one that was stopped early.
_VALUES = {SUPERVISED: "val_accuracy", SELF_SUPERVISED: "val_knn_accuracy"}


def search_figure(table: pd.DataFrame) -> go.Figure:
    """Search landscape: trials at their alpha, margin and temperature, from `search_table`.

    Coloured by validation accuracy (self-supervised: kNN accuracy). Only the subset with most trials of each mode is shown, since
    subsets differ more than settings. Hollow marks are trials that were stopped early, with that of the epoch selected so far.
    """
    panels = [(SUPERVISED, "margin"), (SELF_SUPERVISED, "temperature"), (SELF_SUPERVISED, "margin")]
    shown = {mode: _largest_subset(table[(table["mode"] == mode) & table[value].notna()]) for mode, value in _VALUES.items()}
    panels = [(mode, axis) for mode, axis in panels if not shown[mode].empty]
    titles = [f"{mode}, {shown[mode]['subset'].iloc[0].replace('_', ' ')}: α × {axis}" for mode, axis in panels]
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
        axis_of_colour = {"colorscale": MARK_SCALE, "colorbar": {**bar, "nticks": 6}, "cmin": low, "cmax": high}
        figure.update_layout({_color_axis(mode): axis_of_colour})
    for outcome, symbol in (("finished", "circle"), ("stopped early", "circle-open")):
        marker = {"symbol": symbol, "size": 12, "color": "#555", "line_width": 2}
        figure.add_scatter(x=[None], y=[None], mode="markers", name=outcome, marker=marker)
    figure.update_xaxes(title="α", range=[-0.05, 1.05])
    figure.update_layout(height=430)
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


def _color_axis(mode: str) -> str:
    return "coloraxis" if mode == SUPERVISED else "coloraxis2"


def _points(trials: pd.DataFrame, mode: str, axis: str, symbol: str) -> go.Scatter:
    value = _VALUES[mode]
    outline = {"width": 2} if symbol.endswith("-open") else OUTLINE
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


def landscape_section(trials: pd.DataFrame, predictions: pd.DataFrame, *, has_map: bool = True) -> Section:
    """The search's landscape: every trial at its settings; `has_map`: whether alpha, margin and temperature are what varies."""
    if not has_map:
        table = search_table(trials, predictions)
        varied = [name for name in parameter_names(trials) if name not in _NOT_SHOWN and trials[name].nunique(dropna=False) > 1]
        settings = trials.set_index("run_id")[varied].to_dict("index")
        places = {(row["study"], row["trial_id"]): row["run_id"] for row in trials.to_dict("records")}
        of_trials = [settings[places[row["study"], row["trial_id"]]] for row in table.to_dict("records")]
        texts = [words({str(name): value for name, value in own.items() if pd.notna(value)}) for own in of_trials]
        return Section("search", "All trials", "", table.assign(settings=texts), OTHER_SEARCH_COLUMNS, "")
    table = search_table(trials, predictions)
    has_values = bool(table[[*_VALUES.values()]].notna().any(axis=None))
    return Section(
        "search",
        "Search landscape",
        "Each mark is a trial, coloured by its validation accuracy at the best epoch (self-supervised: kNN accuracy, since trials "
        "that were stopped early have no other). The figure has the training subset with most trials, the table has all.",
        table,
        SEARCH_COLUMNS,
        "",
        search_figure if has_values else None,
    )


def counts_section(trials: pd.DataFrame) -> Section:
    """Trials by outcome."""
    counts = counts_table(trials)
    columns = [replace(column, title=capitalised(column.title)) for column in all_columns(counts)]
    return Section("counts", "Trials by outcome", "", counts, columns, "")
