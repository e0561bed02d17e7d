"""Robustness: baseline and setting with margin at each rate of injected label noise. There only where the rate was varied."""

import pandas as pd

from analysis.formats import percent, percent_interval
from analysis.published import SELF_SUPERVISED, SUPERVISED
from analysis.records.runs import SUBSETS
from analysis.section import Column, Section
from analysis.sections.paper_tables import TABLE1_COLUMNS, pair_columns
from analysis.settings import comparable_settings, pick, pick_self_supervised

RATE, KIND = "noise.rate", "noise.kind"
_BOUNDS = ("accuracy", "low", "high")
_COLUMNS = [
    Column("Mode", lambda row: row["mode"], "text"),
    Column("Subset", lambda row: row["subset"].replace("_", " "), "text"),
    Column("Injected noise", lambda row: row["kind"], "text"),
    Column("Rate, %", lambda row: percent(row["rate"]), "number", "rate"),
    Column(
        "Baseline, %", lambda row: percent_interval(row, *(f"baseline_{name}" for name in _BOUNDS)), "number", "baseline_accuracy"
    ),
    Column("With margin, %", lambda row: percent_interval(row, *(f"acl_{name}" for name in _BOUNDS)), "number", "acl_accuracy"),
    *(column for column in TABLE1_COLUMNS[3:] if column.kind != "published"),
]


def noise_sections(trials: pd.DataFrame, predictions: pd.DataFrame) -> list[Section]:
    """The section, where trials have several rates."""
    table = noise_table(trials, predictions)
    if table.empty:
        return []
    text = (
        "Test accuracy with 95 % interval by the rate of label noise that was injected into training and validation clips, not "
        "into test clips. At each rate the setting with margin is the one with the highest validation accuracy, with noise, too."
    )
    return [Section("noise", "Accuracy by injected label noise", text, table, _COLUMNS, "")]


def noise_table(trials: pd.DataFrame, predictions: pd.DataFrame) -> pd.DataFrame:
    """A row for each mode, subset, kind of noise and rate with a finished setting; rate 0 is of every kind.

    Args:
        trials: of `analysis.records.runs.load_trials`, those on folds pooled.
        predictions: of `analysis.records.runs.load_predictions`.
    """
    rows = []
    if RATE not in trials or trials[RATE].nunique() < 2:
        return pd.DataFrame()
    for kind in sorted(trials.loc[trials[RATE] > 0, KIND].unique()):
        of_kind = trials[trials[KIND].eq(kind) | trials[RATE].eq(0)].assign(**{KIND: kind})
        for rate, at_rate in of_kind.groupby(RATE):
            settings, _ = comparable_settings(at_rate, predictions)
            for mode, picked in ((SUPERVISED, pick), (SELF_SUPERVISED, pick_self_supervised)):
                for subset in SUBSETS:
                    pair = picked(settings[(settings["mode"] == mode) & (settings["subset"] == subset)])
                    if pair.baseline is not None or pair.acl is not None:
                        place = {"mode": mode, "subset": subset, "kind": kind, "rate": rate}
                        rows.append({**place, **pair_columns(pair, predictions)})
    order = ["mode", "subset", "kind", "rate"]
    return pd.DataFrame(rows).sort_values(order, ascending=[False, True, True, True], ignore_index=True) if rows else pd.DataFrame()
