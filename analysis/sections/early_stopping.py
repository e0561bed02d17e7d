"""The course of trainings: what the scheduler stopped, and how early the ranking shows."""

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from analysis.formats import count, percent, plain
from analysis.section import ACL, BASELINE, Column, Section, interval, styled
from analysis.stats.rank_correlation import kendall_interval
from study import names

MIN_TRIALS = 5  # with fewer there is no ranking to speak of
MOST_CURVES = 60  # of a sweep; all others are their last point
MOST_POINTS = 60  # of a curve
_FRACTIONS = np.arange(1, 11) / 10
_KEPT = 1 / 3  # share that successive halving with its usual reduction factor of 3 keeps
_SMALLER_IS_BETTER = (names.VAL_UNIFORMITY, names.VAL_ALIGNMENT)
_BY_EPOCH = (names.VAL_KNN_ACCURACY, names.VAL_ACCURACY)
_PLACE = ["study", "sweep", "mode"]
_SETTING = {"loss.alpha": "alpha", "loss.margin": "margin", "loss.temperature": "temperature"}


class Course(NamedTuple):
    """The trials of a sweep and mode by epoch.

    Attributes:
        objective: what the sweep searches for (the first, if there are several).
        metric: the objective, or in its place the validation accuracy that each epoch has.
        values: of the metric, epoch as index, a column for each run; empty where a run had ended.
        trials: of these runs.
    """

    objective: str
    metric: str
    values: pd.DataFrame
    trials: pd.DataFrame


def metrics_by_epoch(trials: pd.DataFrame) -> set[str]:
    """Metrics whose history these tables need."""
    objectives = {name for several in trials["objective"] for name in several.split(", ") if name}
    return {*_BY_EPOCH, *objectives, names.TRAIN_LOSS, names.EPOCH_SECONDS}


def courses(history: pd.DataFrame, trials: pd.DataFrame) -> Iterator[Course]:
    """Each sweep and mode with an objective, or a validation accuracy in its place, that more than one epoch has.

    Epochs of fine-tuning or linear evaluation, after the training itself, are left out. So are trials that changed their settings.

    Args:
        history: of `analysis.records.runs.load_history`, of `metrics_by_epoch`.
        trials: of `analysis.records.runs.load_trials`.
    """
    trained = history[history["metric"] == names.TRAIN_LOSS].groupby("run_id")["epoch"].max()
    history = history[history["epoch"] <= history["run_id"].map(trained).astype(float)]
    for _, own in trials[~trials["changed_settings"].astype(bool)].groupby(_PLACE, sort=False):
        objective = own["objective"].iloc[0].split(", ")[0]
        of_sweep = history[history["run_id"].isin(own["run_id"])]
        for metric in (objective, *_BY_EPOCH):
            points = of_sweep[of_sweep["metric"] == metric]
            if points["epoch"].nunique() > 1 and points.groupby("run_id").size().max() > 1:
                values = points.pivot_table(index="epoch", columns="run_id", values="value", aggfunc="last")
                yield Course(objective, metric, values, own[own["run_id"].isin(values.columns)])
                break


def stopped_table(history: pd.DataFrame, trials: pd.DataFrame) -> pd.DataFrame:
    """The objective by epoch in the sweeps that stopped trials, long: the trial's settings, metric, epoch, value, `is_end`.

    Of `MOST_CURVES` trials (those that went furthest, then the best) `MOST_POINTS` epochs, spread evenly, of the others the last.

    Args:
        history: of `analysis.records.runs.load_history`, of `metrics_by_epoch`.
        trials: of `analysis.records.runs.load_trials`.
    """
    parts = []
    for course in courses(history, trials):
        stopped = course.trials["outcome"] == names.STOPPED
        if not stopped.any():
            continue
        shown = course.trials[stopped | (course.trials["outcome"] == names.FINISHED)]
        runs = course.values[shown["run_id"]]
        ends = pd.DataFrame({"epoch": _last_epochs(runs), "value": runs.ffill().iloc[-1]})
        drawn = ends.sort_values(["epoch", "value"], ascending=False).index[:MOST_CURVES]
        for run_id, values in runs[drawn].items():
            points = values.dropna()
            before_end = np.unique(np.linspace(0, len(points) - 1, MOST_POINTS).round().astype(int))[:-1]
            points = points.iloc[before_end]
            part = pd.DataFrame({"run_id": run_id, "metric": course.metric, "epoch": points.index, "value": points.to_numpy()})
            parts.append(part.assign(is_end=False))
        parts.append(ends.rename_axis("run_id").reset_index().assign(metric=course.metric, is_end=True))
    if not parts:
        return pd.DataFrame()
    of_trials = trials.reindex(columns=["run_id", *_PLACE, "trial_id", "outcome", *_SETTING, "seed"]).rename(columns=_SETTING)
    rows = pd.concat(parts, ignore_index=True).sort_values(by="epoch", kind="stable")
    return of_trials.merge(rows[["run_id", "metric", "epoch", "value", "is_end"]], on="run_id")


def early_table(history: pd.DataFrame, trials: pd.DataFrame) -> pd.DataFrame:
    """How well an early epoch ranks the final result, by tenths of the epochs; a row for each sweep and tenth.

    Over the trials that ran to the end: `tau` is Kendall's τ-b between the metric at `epoch` and the objective at the end, with the
    95 % interval of `analysis.stats.rank_correlation`. `regret` is what the objective loses at the end if only the trial that
    leads at `epoch` is kept, `regret_of_third` if the better third (rounded up) is, both against the best trial.

    Args:
        history: of `analysis.records.runs.load_history`, of `metrics_by_epoch`.
        trials: of `analysis.records.runs.load_trials`.
    """
    rows: list[dict[str, Any]] = []
    for course in courses(history, trials):
        finished = course.trials[course.trials["outcome"] == names.FINISHED]
        if course.objective not in finished:
            continue
        final = finished.set_index("run_id")[course.objective].dropna()
        values = course.values[final.index].dropna(how="all")
        epochs = _last_epochs(values)
        values, final = values.loc[:, epochs == epochs.max()], final[epochs == epochs.max()]  # one length
        if len(final) < MIN_TRIALS or len(values) <= len(_FRACTIONS) / 2 or final.nunique() == 1:
            continue
        end = final.to_numpy(float) * (-1 if course.objective in _SMALLER_IS_BETTER else 1)
        sign = -1 if course.metric in _SMALLER_IS_BETTER else 1
        shared = {name: finished[name].iloc[0] for name in _PLACE}
        shared |= {"objective": course.objective, "metric": course.metric, "trials": len(end), "epochs": int(epochs.max())}
        for fraction in _FRACTIONS:
            epoch = max(1, int(np.ceil(round(fraction * epochs.max(), 9))))
            if rows and rows[-1]["epoch"] == epoch and all(rows[-1][name] == shared[name] for name in _PLACE):
                continue  # a few epochs have no ten tenths
            early = values.loc[:epoch].iloc[-1].to_numpy(float) * sign if len(values.loc[:epoch]) else np.full(len(end), np.nan)
            if np.isnan(early).any():
                continue
            tau, low, high = kendall_interval(early, end)
            order = np.argsort(-early, kind="stable")
            regrets = [float(end.max() - end[order[:number]].max()) for number in (1, int(np.ceil(len(end) * _KEPT)))]
            rows.append(
                {**shared, "fraction": float(fraction), "epoch": epoch, "tau": tau, "tau_low": low, "tau_high": high}
                | dict(zip(("regret", "regret_of_third"), regrets, strict=True))
            )
    return pd.DataFrame(rows)


def _last_epochs(values: pd.DataFrame) -> pd.Series:
    """Last epoch of each run; its epochs have no gaps at the end."""
    if values.empty:
        return pd.Series(index=values.columns, dtype=int)
    present = values.notna().to_numpy()
    return pd.Series(values.index[len(values) - 1 - present[::-1].argmax(axis=0)], index=values.columns, dtype=int)


_STOPPED = "#8a8a8a"
_THIRD = "#009E73"


def stopped_figure(table: pd.DataFrame) -> go.Figure:
    """Objective by epoch, where each stopped trial ends marked, a panel for each sweep, from `stopped_table`."""
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
    figure.update_xaxes(title="epoch", rangemode="tozero", tickformat="d")
    figure.update_layout(height=120 + 360 * rows)
    return styled(figure)


def early_figure(table: pd.DataFrame) -> go.Figure:
    """Agreement of early rankings with the final one, and the regret of stopping, from `early_table`."""
    panels = [panel for _, panel in table.groupby(_PLACE, sort=False)]
    titles = [title for panel in panels for title in (f"{_title(panel.iloc[0])}, {panel['trials'].iloc[0]} trials", "regret")]
    figure = make_subplots(len(panels), 2, subplot_titles=titles, horizontal_spacing=0.12, vertical_spacing=0.25 / len(panels))
    for row, panel in enumerate(panels, start=1):
        shared = {"x": panel["fraction"], "mode": "lines+markers", "showlegend": row == 1}
        tau = go.Scatter(
            **shared,
            y=panel["tau"],
            name="rank correlation with the end",
            line={"color": BASELINE, "width": 2},
            marker={"symbol": "circle", "size": 9},
            error_y=interval(panel, "tau", "tau_low", "tau_high"),
            customdata=panel["epoch"],
            hovertemplate="epoch %{customdata}: rank correlation %{y:.2f}<extra></extra>",
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
        figure.update_yaxes(title="rank correlation", range=[min(-0.1, panel["tau_low"].min() - 0.05), 1.05], row=row, col=1)
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


MIN_TO_JUDGE = 10  # trials that a sentence about early stopping rests on
_AGREES = 0.5  # τ: three of four pairs stand in the same order


def _correlation_text(row: dict[Any, Any]) -> str:
    return f"{row['tau']:.2f} [{row['tau_low']:.2f}, {row['tau_high']:.2f}]".replace("-", "−")


_EARLY = [
    Column("Study", lambda row: row["study"], "text"),
    Column("Sweep", lambda row: row["sweep"], "text"),
    Column("Mode", lambda row: row["mode"], "text"),
    Column("Ranked by", lambda row: row["metric"], "text"),
    Column("Objective", lambda row: row["objective"], "text"),
    Column("Trials", lambda row: count(row["trials"])),
    Column("Epochs", lambda row: f"{count(row['epoch'])} of {count(row['epochs'])}"),
    Column("Kendall's rank correlation", _correlation_text),
    Column("Regret, leader kept", lambda row: _lost(row, "regret")),
    Column("Regret, better third kept", lambda row: _lost(row, "regret_of_third")),
]


def training_sections(history: pd.DataFrame, trials: pd.DataFrame) -> list[Section]:
    """The sections that have a table.

    Args:
        history: of `analysis.records.runs.load_history`, of `metrics_by_epoch`.
        trials: of `analysis.records.runs.load_trials`.
    """
    early = early_table(history, trials)
    sections = [
        Section(
            "stopped",
            "Trials stopped early",
            "The value that the scheduler compared, by epoch: of the best epoch so far (self-supervised: kNN accuracy). A cross "
            f"marks where a trial was stopped. In a sweep with more than {MOST_CURVES} trials, only the longest and best have a "
            "curve; the others have a mark at their end.",
            stopped_table(history, trials),
            [],
            "",
            stopped_figure,
        ),
        Section(
            "early",
            "How early an epoch predicts the final ranking",
            _early_text(early),
            early,
            _EARLY,
            "",
            early_figure,
        ),
    ]
    return [section for section in sections if not section.frame.empty]


def _early_text(table: pd.DataFrame) -> str:
    paragraphs = [
        "For the trials that ran to the end: Kendall's rank correlation of the value at an epoch with the objective at the end, "
        "with a 95 % interval. At 0.5 (dotted), three of four pairs are in the same order. Regret is what "
        "the objective loses against the best trial if only the leader at that epoch, or the better third, goes on. Where a "
        "scheduler has stopped other trials, those that are left are alike, and the correlation is lower than over all trials."
    ]
    for _, own in table.groupby(["study", "sweep", "mode"], sort=False) if len(table) else ():
        paragraphs.append(early_sentence(own.to_dict("records")))
    return "\n".join(paragraphs)


def early_sentence(rows: list[dict[Any, Any]]) -> str:
    """Whether early stopping looks safe in a sweep, with the rows of `early_table` of that sweep.

    It does from that epoch on after which the whole interval of τ lies above 0.5 and the better third has the best trial.
    """
    first = rows[0]
    where = f"{first['study']}, {first['sweep']} ({first['mode']}, {first['trials']} trials)"
    if first["trials"] < MIN_TO_JUDGE:
        return f"{where}: too few trials to say whether early stopping is safe; it takes {MIN_TO_JUDGE}."
    safe = None
    for row in reversed(rows[:-1]):  # the last row is the end itself, or close to it
        if not (row["tau_low"] > _AGREES and row["regret_of_third"] == 0):
            break
        safe = row
    if safe is None:
        return f"{where}: early stopping does not look safe. No epoch before the end ranks the trials as the end does."
    return (
        f"{where}: early stopping looks safe from {percent(safe['fraction']).removesuffix('.0')} % of the epochs on: there "
        f"Kendall's rank correlation is {_correlation_text(safe)}, and the better third "
        "holds the best trial."
    )


def _lost(row: dict[Any, Any], column: str) -> str:
    if "accuracy" in row["objective"]:
        return f"{percent(row[column])} points"
    return plain(row[column])
