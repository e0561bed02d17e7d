"""Every setting against its baseline on the test clips, as frames: what may be read off the test results. Pure functions."""

from collections.abc import Sequence
from typing import Any

import pandas as pd

from analysis.comparisons import SettingsComparison, UnpairedComparison, compare_settings, compare_unpaired, largest_gain
from analysis.published import SELF_SUPERVISED, SUPERVISED
from analysis.settings import correct_of_settings, pick
from analysis.statistics import PairedComparison, compare_paired, finding, holm
from analysis.tables import NAN, SUBSETS

_GROUP = ["mode", "subset", "temperature"]
_Comparison = SettingsComparison | PairedComparison | UnpairedComparison


def on_test_table(settings: pd.DataFrame, predictions: pd.DataFrame, accuracies: pd.Series) -> pd.DataFrame:
    """A row for each setting with alpha < 1 that has a baseline of its mode, subset and temperature; the best on test first.

    Looking at all of them on test and naming the best is a selection on test: `p_corrected` accounts for the number of settings of
    the group. Where all of them and the baseline have several seeds it is about settings (`analysis.comparisons.compare_settings`,
    with `low` and `high` that hold for all at once), else about these trained models (`largest_gain`; `low` and `high` are those of
    each pair alone). Column `claim` says which, `finding` is that of the corrected p-value. Where runs of a group have lost their
    predictions (`paired` is False), accuracies are compared (`compare_unpaired`) and Holm's method corrects the p-values.

    Args:
        settings: of `analysis.settings.comparable_settings`, with the trials whose predictions are lost.
        predictions: of `analysis.runs.load_predictions`.
        accuracies: on test, by run_id.
    """
    parts = []
    known = set(predictions["run_id"].unique())
    for mode in (SUPERVISED, SELF_SUPERVISED):
        for subset in SUBSETS:
            own = settings[(settings["mode"] == mode) & (settings["subset"] == subset)] if len(settings) else settings
            for _, group in own.groupby("temperature", dropna=False):
                baseline, others = pick(group).baseline, group[group["alpha"] < 1]
                if baseline is None or others.empty:
                    continue
                run_ids = [baseline["run_ids"], *others["run_ids"]]
                of_settings = min(len(own) for own in run_ids) > 1
                paired = known.issuperset(run_id for own in run_ids for run_id in own)
                compared = (
                    _paired(run_ids, predictions, of_settings=of_settings)
                    if paired
                    else _unpaired(run_ids, accuracies, int(baseline["test_clips"]))
                )
                about: dict[str, Any] = {"claim": "settings" if of_settings else "models", "paired": paired}
                parts += _rows(baseline, others, compared, about)
    return pd.DataFrame(parts)


def _paired(
    run_ids: list[tuple[str, ...]], predictions: pd.DataFrame, *, of_settings: bool
) -> list[tuple[SettingsComparison | PairedComparison, float]]:
    """Each setting against the baseline, the first, and the corrected p-value."""
    first, *sides = correct_of_settings(predictions, run_ids)
    if of_settings:
        return [(each, each.p_value) for each in compare_settings(first, sides)]
    return list(zip((compare_paired(first, side) for side in sides), largest_gain(first, sides), strict=True))


def _unpaired(run_ids: list[tuple[str, ...]], accuracies: pd.Series, clips: int) -> list[tuple[UnpairedComparison, float]]:
    """The same without predictions."""
    first, *sides = (accuracies.loc[list(own)].to_list() for own in run_ids)
    compared = [compare_unpaired(first, side, clips) for side in sides]
    return list(zip(compared, holm(each.p_value for each in compared), strict=True))


def _rows(
    baseline: pd.Series, others: pd.DataFrame, compared: Sequence[tuple[_Comparison, float]], about: dict[str, Any]
) -> list[dict[str, Any]]:
    rows = [
        {
            **{name: setting[name] for name in (*_GROUP, "alpha", "margin", "seeds", "accuracy")},
            "baseline_accuracy": baseline["accuracy"],
            "difference": each.difference,
            "difference_low": each.low,
            "difference_high": each.high,
            "settings_tried": len(others),
            "p_corrected": p_value,
            **about,
            "finding": finding(each.difference, p_value),
            "val_accuracy": setting.get("val_accuracy", NAN),
        }
        for setting, (each, p_value) in zip(others.to_dict("records"), compared, strict=True)
    ]
    return sorted(rows, key=lambda row: -row["difference"])
