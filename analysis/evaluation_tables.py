"""The evaluations of the self-supervised encoders side by side, as a frame: linear, fine-tuned, nearest neighbours. Pure functions.

Accuracies are shares, `low` and `high` their 95 % interval (see `analysis.statistics`).
"""

from collections.abc import Mapping
from typing import Any

import pandas as pd

from analysis import published
from analysis.published import SELF_SUPERVISED
from analysis.settings import TEST, VAL, clips_of_runs, comparable_settings
from analysis.statistics import effective_clips, interval_over_seeds
from analysis.tables import line_over_alpha
from study import record_names as names

FINE_TUNINGS = (names.EVALUATION_FINETUNE_NOISY, names.EVALUATION_FINETUNE_CLEAN)
EVALUATIONS = (names.EVALUATION_CLASSIFIER, *FINE_TUNINGS, names.EVALUATION_KNN)
_NAN = float("nan")
_ORDER = ["temperature", "alpha", "margin"]


def fine_tuned_trials(trials: pd.DataFrame) -> pd.DataFrame:
    """The finished self-supervised trials that have a result of fine-tuning."""
    tested = trials.reindex(columns=[_columns(evaluation)["accuracy"] for evaluation in FINE_TUNINGS]).notna().any(axis=1)
    return trials[tested & (trials["outcome"] == names.FINISHED) & (trials["mode"] == SELF_SUPERVISED)]


def fine_tuned_settings(
    settings: pd.DataFrame, trials: pd.DataFrame, predictions: pd.DataFrame
) -> tuple[pd.DataFrame, list[str] | None]:
    """Self-supervised settings of a protocol with fine-tuning, empty without one, and None: it is that of the other tables.

    Whether a trial is fine-tuned, and how, is part of its protocol. If the protocol of the other tables has no fine-tuned trial,
    the settings are those of the fine-tuned trials by themselves, and in place of None stands what was left out of them.

    Args:
        settings: of `analysis.settings.comparable_settings`.
        trials: of `analysis.runs.load_trials`.
        predictions: of `analysis.runs.load_predictions`, the headline's.
    """
    fine_tuned = fine_tuned_trials(trials)
    own = settings[settings["mode"] == SELF_SUPERVISED]
    if fine_tuned.empty or own.empty or fine_tuned["run_id"].isin(own["run_ids"].explode()).any():
        return (own.iloc[:0] if fine_tuned.empty else own), None
    return comparable_settings(fine_tuned, predictions)


def evaluation_table(
    settings: pd.DataFrame, trials: pd.DataFrame, predictions: pd.DataFrame, of_fine_tuning: Mapping[str, pd.DataFrame]
) -> pd.DataFrame:
    """A row for each setting and evaluation that one of its trials has; means over the seeds that have it.

    `val_clips` are those that the evaluation was validated on. `line_margin` is empty but for the rows of the figure: those at the
    margin and temperature where most alphas were fine-tuned; the baseline has no margin and gets that of the line. Published values
    are given only at the published margin and temperature, at which the baseline is whatever the margin.

    Args:
        settings: of `fine_tuned_settings`.
        trials: of `analysis.runs.load_trials`; the settings' runs are looked up here.
        predictions: of `analysis.runs.load_predictions`, the headline's.
        of_fine_tuning: the same of each of `FINE_TUNINGS`.
    """
    if settings.empty:
        return pd.DataFrame()
    headline = clips_of_runs(predictions, VAL)  # kNN is validated on the same clips
    val_clips = {name: clips_of_runs(of_fine_tuning[name], VAL) if name in of_fine_tuning else headline for name in EVALUATIONS}
    effective = predictions[predictions["split"] == TEST].groupby("run_id")["patches"].agg(effective_clips)
    rows = []
    for setting in settings.sort_values(_ORDER).to_dict("records"):
        for evaluation in EVALUATIONS:
            columns = _columns(evaluation)
            runs = trials[trials["run_id"].isin(setting["run_ids"])].reindex(columns=["run_id", *columns.values()]).dropna()
            if runs.empty:
                continue
            first = runs["run_id"].iloc[0]
            means = {column: float(runs[metric].mean()) for column, metric in columns.items()}
            clips = {"val_clips": val_clips[evaluation].get(first, _NAN), "test_clips": setting["test_clips"]}
            rows.append(
                {
                    **{column: setting[column] for column in ("subset", "alpha", "margin", "temperature")},
                    "evaluation": evaluation,
                    "seeds": len(runs),
                    **clips,
                    **means,
                    **_interval("val", runs[columns["val_accuracy"]], clips["val_clips"]),
                    **_interval("", runs[columns["accuracy"]], clips["test_clips"]),
                    "seed_sd": runs[columns["accuracy"]].std(ddof=1),
                    **_interval("patch_weighted", runs[columns["patch_weighted"]], effective[first]),
                }
            )
    table = pd.DataFrame(rows)
    fine_tuned = table[table["evaluation"].isin(FINE_TUNINGS)]
    return pd.DataFrame() if fine_tuned.empty else _with_published(_with_line(table, line_over_alpha(fine_tuned).iloc[0]))


def _columns(evaluation: str) -> dict[str, str]:
    """Column -> metric of an evaluation."""
    prefix = "" if evaluation == names.EVALUATION_CLASSIFIER else f"{evaluation}_"
    return {
        "val_accuracy": f"val.{prefix}accuracy",
        "accuracy": f"test.{prefix}accuracy",
        "patch_weighted": f"test.{prefix}patch_weighted_accuracy",
    }


def _interval(name: str, shares: pd.Series, clips: float) -> dict[str, Any]:
    low, high = interval_over_seeds(shares, clips)
    prefix = f"{name}_" if name else ""
    return {f"{prefix}low": low, f"{prefix}high": high}


def _with_line(table: pd.DataFrame, line: pd.Series) -> pd.DataFrame:
    drawn = (table["temperature"] == line["temperature"]) & (table["margin"].isna() | (table["margin"] == line["margin"]))
    return table.assign(line_margin=drawn.map({True: line["margin"], False: _NAN}))


def _with_published(table: pd.DataFrame) -> pd.DataFrame:
    table = table.merge(published.evaluations_by_alpha(), on=["subset", "evaluation", "alpha"], how="left")
    elsewhere = table["temperature"] != published.temperature()
    elsewhere |= table["margin"].notna() & (table["margin"] != published.margin())
    table.loc[elsewhere, "published_patch_weighted"] = _NAN
    return table.assign(minus_published=table["patch_weighted"] - table["published_patch_weighted"])
