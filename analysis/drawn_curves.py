"""Which training curves the page draws: of a few trials all of them, of many some and a band. The CSV file has every point."""

import numpy as np
import pandas as pd

from analysis.trial_tables import VALIDATION

DRAWN = 40  # trials of a mode
POINTS = 100  # of a curve
QUANTILES = {"low": 0.1, "median": 0.5, "high": 0.9}
_BASELINE, _WITH_MARGIN = "best baseline", "best with margin"


def drawn_curves(curves: pd.DataFrame, trials: pd.DataFrame) -> pd.DataFrame:
    """Rows of the curves that are drawn, and `best`: what the trial is the best of on validation, else empty.

    Of a mode with more than `DRAWN` trials these are the baseline and the trial with margin that are best on validation, and others
    evenly spaced in the order of validation accuracy. A curve keeps `POINTS` points at the most: the first, the last, and others
    evenly spaced between.

    Args:
        curves: of `analysis.trial_tables.curves_table`.
        trials: of `analysis.runs.load_trials`.
    """
    chosen: dict[str, str] = {}
    own = trials[trials["run_id"].isin(curves["run_id"].unique())]
    for mode, metric in VALIDATION.items():
        chosen |= _chosen(own[own["mode"] == mode].reindex(columns=["run_id", "loss.alpha", metric]), metric)
    rows = curves[curves["run_id"].isin(chosen)]
    line = [rows["mode"], rows["metric"], rows["run_id"]]
    place = rows.groupby(line).cumcount().to_numpy()
    length = rows.groupby(line)["epoch"].transform("size").to_numpy()
    # Row i of n is kept where it begins a new one of POINTS - 1 equal steps from the first row to the last.
    steps = np.maximum(length - 1, 1)
    kept = (length <= POINTS) | (place * (POINTS - 1) // steps != (place - 1) * (POINTS - 1) // steps)
    return rows[kept].assign(best=rows["run_id"].map(chosen))


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
    text = "A line for each trial: blue without margin, shades of orange with. Losses of different α do not compare, accuracies do."
    trials, shown = (frame.groupby("mode", sort=False)["run_id"].nunique().to_dict() for frame in (curves, drawn))
    left_out = [f"{shown[mode]} of {number} {mode}" for mode, number in trials.items() if shown[mode] < number]
    long = len(curves) > 0 and curves.groupby(["metric", "run_id"]).size().max() > POINTS
    if left_out:
        middle = (QUANTILES["high"] - QUANTILES["low"]) * 100
        text += (
            f"\nDrawn are {' and '.join(left_out)} trials: the baseline and the trial with margin that are best on validation "
            "(thick), and others evenly spaced in the order of validation accuracy. The grey band holds the middle "
            f"{middle:.0f} % of all trials at each epoch, as far as they got; the grey line is their median."
        )
    if left_out or long:
        epochs = f" Of long curves {POINTS} epochs are drawn." if long else ""
        text += f"{epochs} Every point of every trial is in curves.csv beside this page."
    return text


def _chosen(trials: pd.DataFrame, metric: str) -> dict[str, str]:
    """What each chosen trial of a mode is the best of, by run_id."""
    if len(trials) <= DRAWN:
        return dict.fromkeys(trials["run_id"], "")
    ranked = trials.sort_values(metric, ascending=False, kind="stable", na_position="last", ignore_index=True)
    has_value, baseline = ranked[metric].notna(), ranked["loss.alpha"] == 1
    best: dict[str, str] = {}
    for name, side in ((_BASELINE, baseline), (_WITH_MARGIN, ~baseline)):
        best |= dict.fromkeys(ranked[side & has_value]["run_id"].head(1), name)
    others = ranked.loc[~ranked["run_id"].isin(best), "run_id"]
    spaced = np.linspace(0, len(others) - 1, DRAWN - len(best)).round().astype(int)
    return dict.fromkeys(others.iloc[spaced], "") | best
