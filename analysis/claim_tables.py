"""Every setting against its baseline on the test clips, as frames: what may be read off the test results. Pure functions."""

from typing import Any

import pandas as pd

from analysis.comparisons import compare_settings, largest_gain
from analysis.published import SELF_SUPERVISED, SUPERVISED
from analysis.settings import correct_of_settings, pick
from analysis.statistics import compare_paired, finding
from analysis.tables import NAN, SUBSETS

_GROUP = ["mode", "subset", "temperature"]


def on_test_table(settings: pd.DataFrame, predictions: pd.DataFrame) -> pd.DataFrame:
    """A row for each setting with alpha < 1 that has a baseline of its mode, subset and temperature; the best on test first.

    Looking at all of them on test and naming the best is a selection on test: `p_corrected` accounts for the number of settings of
    the group. Where all of them and the baseline have several seeds it is about settings (`analysis.comparisons.compare_settings`,
    with `low` and `high` that hold for all at once), else about these trained models (`largest_gain`; `low` and `high` are those of
    each pair alone). Column `claim` says which, `finding` is that of the corrected p-value.
    """
    parts = []
    for mode in (SUPERVISED, SELF_SUPERVISED):
        for subset in SUBSETS:
            own = settings[(settings["mode"] == mode) & (settings["subset"] == subset)] if len(settings) else settings
            for _, group in own.groupby("temperature", dropna=False):
                parts += _rows(group, predictions)
    return pd.DataFrame(parts)


def _rows(group: pd.DataFrame, predictions: pd.DataFrame) -> list[dict[str, Any]]:
    baseline, others = pick(group).baseline, group[group["alpha"] < 1]
    if baseline is None or others.empty:
        return []
    first, *sides = correct_of_settings(predictions, [baseline["run_ids"], *others["run_ids"]])
    of_settings = min(side.shape[1] for side in (first, *sides)) > 1
    compared: list[Any] = compare_settings(first, sides) if of_settings else [compare_paired(first, side) for side in sides]
    corrected = [each.p_value for each in compared] if of_settings else largest_gain(first, sides)
    rows = [
        {
            **{name: setting[name] for name in (*_GROUP, "alpha", "margin", "seeds", "accuracy")},
            "baseline_accuracy": baseline["accuracy"],
            "difference": each.difference,
            "difference_low": each.low,
            "difference_high": each.high,
            "settings_tried": len(sides),
            "p_corrected": p_value,
            "claim": "settings" if of_settings else "models",
            "finding": finding(each.difference, p_value),
            "val_accuracy": setting.get("val_accuracy", NAN),
        }
        for setting, each, p_value in zip(others.to_dict("records"), compared, corrected, strict=True)
    ]
    return sorted(rows, key=lambda row: -row["difference"])
