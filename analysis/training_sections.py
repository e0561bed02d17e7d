"""Sections of the course of trainings. Each is there only where its data are."""

from typing import Any

import pandas as pd

from analysis import training_figures, training_tables
from analysis.page_tables import Column, count, percent, plain
from analysis.sections import Section

ANCHORS = ("stopped", "early")
MIN_TO_JUDGE = 10  # trials that a sentence about early stopping rests on
_AGREES = 0.5  # τ: three of four pairs stand in the same order
_EARLY = [
    Column("Study", lambda row: row["study"], "text"),
    Column("Sweep", lambda row: row["sweep"], "text"),
    Column("Mode", lambda row: row["mode"], "text"),
    Column("Ranked by", lambda row: row["metric"], "text"),
    Column("Objective", lambda row: row["objective"], "text"),
    Column("Trials", lambda row: count(row["trials"])),
    Column("Epochs", lambda row: f"{count(row['epoch'])} of {count(row['epochs'])}"),
    Column("τ", lambda row: f"{row['tau']:.2f} [{row['tau_low']:.2f}, {row['tau_high']:.2f}]"),
    Column("Regret, leader kept", lambda row: _lost(row, "regret")),
    Column("Regret, better third kept", lambda row: _lost(row, "regret_of_third")),
]


def training_sections(history: pd.DataFrame, trials: pd.DataFrame) -> list[Section]:
    """Those of the sections, each an anchor of `ANCHORS`, that have a table.

    Args:
        history: of `analysis.runs.load_history`, of `training_tables.metrics_by_epoch`.
        trials: of `analysis.runs.load_trials`.
    """
    early = training_tables.early_table(history, trials)
    sections = [
        Section(
            "stopped",
            "What early stopping stopped",
            "The figure that the scheduler compared, by epoch (of the epoch selected so far; self-supervised: kNN), a cross where "
            f"a trial was stopped. Of sweeps with more than {training_tables.MOST_CURVES} trials only the longest and best have a "
            "curve, the others their end.",
            training_tables.stopped_table(history, trials),
            [],
            "",
            training_figures.stopped_figure,
        ),
        Section(
            "early",
            "How early the ranking shows",
            _early_text(early),
            early,
            _EARLY,
            "",
            training_figures.early_figure,
            folded=True,
        ),
    ]
    return [section for section in sections if not section.frame.empty]


def _early_text(table: pd.DataFrame) -> str:
    paragraphs = [
        "Over the trials that ran to the end: Kendall's τ between the figure at an epoch and the objective at the end, with a 95 % "
        "bootstrap interval over trials (0.5, dotted: three of four pairs in the same order), and what the objective would have "
        "lost against the best trial if only the leader at that epoch, or the better third, had gone on. Where a scheduler has "
        "stopped the others, these trials are alike and τ is lower than over all."
    ]
    for _, own in table.groupby(["study", "sweep", "mode"], sort=False) if len(table) else ():
        paragraphs.append(early_sentence(own.to_dict("records")))
    return "\n".join(paragraphs)


def early_sentence(rows: list[dict[Any, Any]]) -> str:
    """Whether early stopping looks safe in a sweep, with the rows of `training_tables.early_table` of that sweep.

    It does from that epoch on after which the whole interval of τ lies above 0.5 and the better third has the best trial.
    """
    first = rows[0]
    where = f"{first['study']}, {first['sweep']} ({first['mode']}, {first['trials']} trials)"
    if first["trials"] < MIN_TO_JUDGE:
        return f"{where}: too few trials to say whether early stopping is safe; {MIN_TO_JUDGE} would do."
    safe = None
    for row in reversed(rows[:-1]):  # the last row is the end itself, or close to it
        if not (row["tau_low"] > _AGREES and row["regret_of_third"] == 0):
            break
        safe = row
    if safe is None:
        return f"{where}: early stopping does not look safe here; no epoch before the end ranks the trials as the end does."
    return (
        f"{where}: early stopping looks safe here from {percent(safe['fraction']).removesuffix('.0')} % of the epochs on: there "
        f"Kendall's τ is {safe['tau']:.2f} [{safe['tau_low']:.2f}, {safe['tau_high']:.2f}], and the better third holds the best "
        "trial."
    )


def _lost(row: dict[Any, Any], column: str) -> str:
    if "accuracy" in row["objective"]:
        return f"{percent(row[column])} points"
    return plain(row[column])
