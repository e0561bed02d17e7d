"""Sections of what a search says about its settings. Each is there only where its data are."""

import pandas as pd

from analysis import parallel_figure, search_figures, search_tables
from analysis.importance import TRIALS_PER_TERM
from analysis.page_tables import Column, count, percent, percent_interval, plain
from analysis.search_figures import LABELS
from analysis.sections import Section

ANCHORS = ("maps", "importance", "parallel")
_WHERE = [
    Column("Study", lambda row: row["study"], "text"),
    Column("Sweep", lambda row: row["sweep"], "text"),
    Column("Mode", lambda row: row["mode"], "text"),
    Column("Objective", lambda row: row["objective"], "text"),
]
_MAPS = [
    Column("Mode", lambda row: row["mode"], "text"),
    Column("Subset", lambda row: row["subset"].replace("_", " "), "text"),
    Column("Map", lambda row: f"α × {row['axis']}", "text"),
    Column("α", lambda row: plain(row["alpha"])),
    Column("Margin, rad", lambda row: plain(row["margin"])),
    Column("τ", lambda row: plain(row["temperature"])),
    Column("Seeds", lambda row: count(row["seeds"])),
    Column("Validation, %", lambda row: percent_interval(row, "val_accuracy", "val_low", "val_high")),
    Column("Remark", lambda row: "picked on validation" if row["picked"] else "", "text"),
]
_IMPORTANCE = [
    *_WHERE,
    Column("Setting", lambda row: str(LABELS.get(row["setting"], row["setting"])), "text"),
    Column("Importance, % of the variance", lambda row: percent_interval(row, "importance", "low", "high")),
    Column("All settings together, %", lambda row: percent(row["fit"])),
    Column("Different settings", lambda row: count(row["settings"])),
    Column("Terms", lambda row: count(row["terms"])),
]


def search_sections(settings: pd.DataFrame, trials: pd.DataFrame) -> list[Section]:
    """Those of the sections, each an anchor of `ANCHORS`, that have a table."""
    importance, parallel = search_tables.importance_table(trials), search_tables.parallel_table(trials)
    numbers = not importance.empty and bool((importance["fit"] > 0).any())
    sections = [
        Section(
            "maps",
            "Validation accuracy over α and temperature, α and margin",
            "Mean validation accuracy of each setting over its seeds, in %: a cell each where the values are a grid, a mark each "
            "where they were drawn (a baseline, which has no margin, is at every margin of a grid). The orange frame is the "
            "setting with margin that validation picks. Neighbouring settings that score alike are worth more than a single "
            "high one.",
            search_tables.map_table(settings),
            _MAPS,
            "",
            search_figures.map_figure,
            folded=True,
        ),
        Section(
            "importance",
            "Which settings matter for the objective",
            _importance_text(importance),
            importance,
            _IMPORTANCE,
            "",
            search_figures.importance_figure if numbers else None,
            folded=numbers,
        ),
        Section(
            "parallel",
            "Parallel coordinates of the search",
            "A line for each finished trial through its settings to the objective on validation, which also gives its colour; the "
            "pointer on a line names its trial.",
            parallel,
            [],
            "",
            parallel_figure.parallel_figure,
        ),
    ]
    return [section for section in sections if not section.frame.empty]


def _importance_text(table: pd.DataFrame) -> str:
    paragraphs = [
        "How much worse the objective of a setting that a regression has not seen is predicted when one of the searched settings "
        "is left out of it, as a share of the variance (mean of the seeds; numbers enter linearly and squared, on a logarithmic "
        "scale where they span a decade and lie more evenly on it, names as one term each; slightly penalised; no interactions). "
        "95 % intervals resample the settings. Around 0 a setting is of no use to the prediction; that an interval holds 0 does "
        "not prove it. It is about the values that this search tried, more of which lie where it expected good ones."
    ]
    for _, own in table.groupby(["study", "sweep", "mode", "objective"], sort=False) if len(table) else ():
        first = own.iloc[0]
        where = f"{first['study']}, {first['sweep']} ({first['mode']}), {first['objective']}"
        if not first["enough"]:
            paragraphs.append(
                f"{where}: {first['settings']} different settings have finished, too few for {first['terms']} terms; numbers need "
                f"{TRIALS_PER_TERM} for each."
            )
        elif not first["fit"] > 0:
            paragraphs.append(
                f"{where}: all settings together predict no better than the mean ({first['settings']} settings), so the "
                "importances say nothing here."
            )
        else:
            paragraphs.append(
                f"{where}: all settings together predict {percent(first['fit'])} % of the variance ({first['settings']} settings)."
            )
    return "\n".join(paragraphs)
