"""The course of trainings, as frames: what the scheduler stopped, and how early the ranking shows. Pure functions."""

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from analysis.statistics import LEVEL
from study import record_names as names

MIN_TRIALS = 5  # with fewer there is no ranking to speak of
MOST_CURVES = 60  # of a sweep; all others are their last point
MOST_POINTS = 60  # of a curve
_FRACTIONS = np.arange(1, 11) / 10
_KEPT = 1 / 3  # share that successive halving with its usual reduction factor of 3 keeps
_DRAWS = 1000
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
        history: of `analysis.runs.load_history`, of `metrics_by_epoch`.
        trials: of `analysis.runs.load_trials`.
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
        history: of `analysis.runs.load_history`, of `metrics_by_epoch`.
        trials: of `analysis.runs.load_trials`.
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

    Over the trials that ran to the end: `tau` is Kendall's τ-b between the metric at `epoch` and the objective at the end, with a
    bootstrap interval over trials (95 %, percentiles). `regret` is what the objective loses at the end if only the trial that
    leads at `epoch` is kept, `regret_of_third` if the better third (rounded up) is, both against the best trial.

    Args:
        history: of `analysis.runs.load_history`, of `metrics_by_epoch`.
        trials: of `analysis.runs.load_trials`.
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


def kendall_interval(first: np.ndarray, second: np.ndarray) -> tuple[float, float, float]:
    """Kendall's τ-b with its 95 % bootstrap interval over the pairs of values; NaN where one side is all ties.

    With the counts w of a resample, and the signs A, B of all differences on either side, τ-b = wᵀ(A∘B)w / √(wᵀA²w · wᵀB²w).

    >>> [round(value, 2) for value in kendall_interval(np.array([1.0, 2, 3, 4]), np.array([1.0, 2, 3, 4]))]
    [1.0, 1.0, 1.0]
    """
    # Sums of whole numbers up to n² are exact in float32 for n ≤ 4096.
    signs = [np.sign(side[:, None] - side[None, :]).astype(np.float32) for side in (first, second)]
    number = len(first)
    counts = np.random.default_rng(0).multinomial(number, np.full(number, 1 / number), size=_DRAWS).astype(np.float32)
    counts = np.concatenate([np.ones((1, number), np.float32), counts])
    products = (signs[0] * signs[1], signs[0] ** 2, signs[1] ** 2)
    both, *alone = ((counts @ product * counts).sum(axis=1, dtype=float) for product in products)
    with np.errstate(divide="ignore", invalid="ignore"):
        taus = both / np.sqrt(alone[0] * alone[1])
    if np.isnan(taus[0]):
        return np.nan, np.nan, np.nan
    low, high = np.nanquantile(taus[1:], [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return float(taus[0]), float(low), float(high)
