"""Winner and baseline in detail, as frames: embeddings' uniformity and tolerance, confusions, cost. Pure functions.

Accuracies are shares of the test clips unless a name says otherwise, `low` and `high` their 95 % interval.
"""

from typing import Any

import numpy as np
import pandas as pd

from analysis import published
from analysis.published import SELF_SUPERVISED
from analysis.settings import TEST, pick
from analysis.tables import class_pair, difference_columns
from study import record_names as names

OURS, PUBLISHED = "ours", "published"
HOURS, GPU_HOURS = "hours", "GPU-hours"


def plane_table(settings: pd.DataFrame) -> pd.DataFrame:
    """Uniformity and tolerance of the self-supervised settings and of the published Fig. 3.

    Columns: source (`OURS` or `PUBLISHED`), side ("baseline" or "acl"), temperature, alpha, margin, seeds, minus_uniformity,
    tolerance, accuracy (patch-weighted, as published). Empty without a setting of ours.

    Args:
        settings: of `analysis.settings.comparable_settings`.
    """
    own = settings[settings["mode"] == SELF_SUPERVISED]
    own = own.dropna(subset=["uniformity", "tolerance"]) if len(own) else own
    if own.empty:
        return pd.DataFrame()
    ours = own.assign(
        source=OURS,
        side=np.where(own["alpha"] == 1, "baseline", "acl"),
        minus_uniformity=-own["uniformity"],
        accuracy=own["patch_weighted"],
    )
    paper = published.fig3()
    measures = ["minus_uniformity", "tolerance", "accuracy"]
    parts = [ours]
    for side in ("baseline", "acl"):
        part = paper[[f"published_{side}_{name}" for name in measures]].set_axis(measures, axis=1)
        alpha = 1.0 if side == "baseline" else paper["published_alpha"]
        parts.append(part.assign(source=PUBLISHED, side=side, temperature=paper["temperature"], alpha=alpha))
    columns = ["source", "side", "temperature", "alpha", "margin", "seeds", *measures]
    return pd.concat([part.reindex(columns=columns).astype({"seeds": float}) for part in parts], ignore_index=True)


def confusion_table(settings: pd.DataFrame, predictions: pd.DataFrame) -> pd.DataFrame:
    """How often test clips of a class are taken for another, by baseline and winner of Fig. 2: a row for each pair of classes.

    Columns: mode, true, predicted, clips (of the true class), baseline and acl (mean number over seeds), difference (acl −
    baseline; the differences of a class add up to 0).

    Args:
        settings: of `analysis.settings.comparable_settings`.
        predictions: of `analysis.runs.load_predictions`.
    """
    pair, mode = class_pair(settings)
    if pair.baseline is None or pair.acl is None:
        return pd.DataFrame()
    test = predictions[predictions["split"] == TEST]
    sides = {name: _confusions(test, side["run_ids"]) for name, side in (("baseline", pair.baseline), ("acl", pair.acl))}
    classes = sorted({label for matrix in sides.values() for axis in (matrix.index, matrix.columns) for label in axis})
    matrices = {name: matrix.reindex(index=classes, columns=classes, fill_value=0.0) for name, matrix in sides.items()}
    table = (
        pd.DataFrame({name: matrix.stack() for name, matrix in matrices.items()}).rename_axis(["true", "predicted"]).reset_index()
    )
    clips = table.groupby("true")["baseline"].transform("sum").round().astype(int)
    table.insert(2, "clips", clips)
    table.insert(0, "mode", mode)
    return table.assign(difference=table["acl"] - table["baseline"])


def cost_table(settings: pd.DataFrame, trials: pd.DataFrame, history: pd.DataFrame, predictions: pd.DataFrame) -> pd.DataFrame:
    """What a run of each setting takes, and what a point over the baseline costs.

    `hours` is the mean over the setting's runs of Σ train.epoch_seconds / 3600. Where every trial had a share of a GPU, all hours
    are GPU-hours, those on the clock times the share; `unit` says which. `baseline` marks the baseline that validation picks
    in that mode and subset, `gain` is the accuracy over it, `hours_per_point` are the hours of a run for each of its percentage
    points where it is positive. `all_trials` and `all_hours` are all trials of that mode and subset, whatever their outcome. The
    row that validation picked (`picked`) has the columns of `analysis.tables.difference_columns`, too.

    Args:
        settings: of `analysis.settings.comparable_settings`.
        trials: of `analysis.runs.load_trials`.
        history: of `analysis.runs.load_history`, with `train.epoch_seconds`.
        predictions: of `analysis.runs.load_predictions`.
    """
    seconds = history[history["metric"] == names.EPOCH_SECONDS].groupby("run_id")["value"].sum()
    hours = trials["run_id"].map(seconds) / 3600
    of_gpus = bool((trials.loc[hours.notna(), "gpu_share"] > 0).all())
    hours = hours * trials["gpu_share"] if of_gpus else hours
    by_run = dict(zip(trials["run_id"], hours, strict=True))
    rows: list[dict[str, Any]] = []
    for (mode, subset), own in settings.groupby(["mode", "subset"], sort=False):
        pair = pick(own)
        everything = hours[(trials["mode"] == mode) & (trials["data.subset"] == subset)].dropna()
        for name, setting in own.iterrows():
            of_runs = [by_run[run_id] for run_id in setting["run_ids"]]
            gain = np.nan if pair.baseline is None else setting["accuracy"] - pair.baseline["accuracy"]
            picked = pair.acl is not None and name == pair.acl.name
            rows.append(
                {
                    **{column: setting[column] for column in ("mode", "subset", "alpha", "margin", "temperature", "seeds")},
                    "unit": GPU_HOURS if of_gpus else HOURS,
                    "hours": float(np.mean(of_runs)),
                    **{column: setting[column] for column in ("val_accuracy", "accuracy", "low", "high")},
                    "gain": gain,
                    "hours_per_point": np.mean(of_runs) / (100 * gain) if gain > 0 else np.nan,
                    "baseline": pair.baseline is not None and name == pair.baseline.name,
                    "picked": picked,
                    "all_trials": len(everything),
                    "all_hours": float(everything.sum()),
                    **(difference_columns(pair, predictions) if picked else {}),
                }
            )
    table = pd.DataFrame(rows)
    return table.dropna(subset=["hours"]).reset_index(drop=True) if len(table) else table


def _confusions(test: pd.DataFrame, run_ids: tuple[str, ...]) -> pd.DataFrame:
    own = test[test["run_id"].isin(run_ids)]
    return pd.crosstab(own["label"], own["predicted"]) / len(run_ids)
