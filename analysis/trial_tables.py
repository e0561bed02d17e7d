"""All trials as frames: points of the search, training curves, counts by outcome. Pure functions, trials in, one frame out."""

import pandas as pd

from analysis.published import SELF_SUPERVISED, SUPERVISED
from analysis.settings import TEST, VAL, clips_of_runs
from analysis.statistics import wilson_intervals
from study import record_names as names

CURVE_METRICS = {
    SUPERVISED: (names.TRAIN_LOSS, names.VAL_EPOCH_ACCURACY),
    SELF_SUPERVISED: (names.TRAIN_LOSS, names.VAL_EPOCH_KNN_ACCURACY),
}
# The validation accuracy that every trial of the mode has, also one that was stopped early.
VALIDATION = {SUPERVISED: names.VAL_ACCURACY, SELF_SUPERVISED: names.VAL_KNN_ACCURACY}
_SHARES = {names.VAL_ACCURACY: VAL, names.VAL_KNN_ACCURACY: VAL, names.TEST_ACCURACY: TEST}  # shares of the split's clips
_COLUMNS = {
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
        trials: of `analysis.runs.load_trials`.
        predictions: of `analysis.runs.load_predictions`, of the finished trials at least.
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
    columns = {**_COLUMNS, "objective": "objective"}
    for source, name in accuracies.items():
        columns |= {f"{source}{bound}": f"{name}{bound}" for bound in ("", "_low", "_high")}
    table = with_intervals(trials, predictions).reindex(columns=list(columns)).rename(columns=columns)
    return table.sort_values(["mode", "study", "sweep", "trial_id"], ignore_index=True)


def curves_table(history: pd.DataFrame, trials: pd.DataFrame) -> pd.DataFrame:
    """Loss and validation accuracy by epoch of every trial, long: run_id, the trial's settings, epoch, metric, value.

    Args:
        history: of `analysis.runs.load_history`.
        trials: of `analysis.runs.load_trials`.
    """
    table = trials.reindex(columns=["run_id", *_COLUMNS]).rename(columns=_COLUMNS).merge(history, on="run_id")
    shown = pd.Series(False, index=table.index)
    for mode, metrics in CURVE_METRICS.items():
        shown |= table["mode"].eq(mode) & table["metric"].isin(metrics)
    return table[shown].sort_values(
        ["mode", "metric", "alpha", "run_id", "epoch"], ascending=[False, True, True, True, True], ignore_index=True
    )


def counts_table(trials: pd.DataFrame) -> pd.DataFrame:
    """Number of trials by study and sweep: finished, stopped, failed, any other outcome, total."""
    counts = trials.groupby(["study", "sweep", "outcome"]).size().unstack(fill_value=0)
    first = [names.FINISHED, names.STOPPED, names.FAILED]
    counts = counts.reindex(columns=[*first, *(name for name in counts.columns if name not in first)], fill_value=0)
    return counts.assign(total=counts.sum(axis=1)).reset_index().rename_axis(columns=None)


def _clips_of_trials(trials: pd.DataFrame, predictions: pd.DataFrame, split: str) -> pd.Series:
    """Clips of the split by trial: its own, or those of a trial with the same mode, corpus and data settings."""
    own = trials["run_id"].map(clips_of_runs(predictions, split)).astype(float)
    data = [name for name in trials.columns if name.startswith("data.") and name != "data.root"]
    return own.fillna(own.groupby([trials[name] for name in ("mode", "corpus", *data)], dropna=False).transform("first"))
