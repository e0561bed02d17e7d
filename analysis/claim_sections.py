"""Sections about claims: what may be read off the test results, and what the paper's own tables show."""

import pandas as pd

from analysis.claim_tables import on_test_table
from analysis.page_tables import Column, count, difference, p_value, percent, plain, points
from analysis.published_claims import published_sentences, published_table
from analysis.sections import Section
from analysis.wording import capitalised, place

ON_TEST = [
    Column("Mode", lambda row: row["mode"], "text"),
    Column("Subset", lambda row: row["subset"].replace("_", " "), "text"),
    Column("α", lambda row: plain(row["alpha"])),
    Column("Margin, rad", lambda row: plain(row["margin"])),
    Column("τ", lambda row: plain(row["temperature"])),
    Column("Seeds", lambda row: count(row["seeds"])),
    Column("Test, %", lambda row: percent(row["accuracy"])),
    Column("Difference to baseline, points", difference),
    Column("p, corrected", lambda row: p_value(row["p_corrected"])),
    Column("Settings tried", lambda row: count(row["settings_tried"])),
    Column("Claim about", lambda row: row["claim"], "text"),
    Column("Finding", lambda row: row["finding"], "text"),
]
PUBLISHED = [
    Column("Comparison", lambda row: row["comparison"], "text"),
    Column("α", lambda row: plain(row["alpha"])),
    Column("Settings tried", lambda row: count(row["settings_tried"])),
    Column("Baseline, %", lambda row: percent(row["baseline"]), "published"),
    Column("Best, %", lambda row: percent(row["acl"]), "published"),
    Column("Difference, points", lambda row: f"{points(row['difference'])} [{points(row['low'])}, {points(row['high'])}]"),
    Column("p alone", lambda row: p_value(row["p_value"])),
    Column("p, corrected", lambda row: p_value(row["p_corrected"])),
    Column("Finding", lambda row: row["finding"], "text"),
]
_PUBLISHED = (
    "Differences with 95 % intervals of independent shares, p-values of the score test, alone and corrected by Holm for the "
    "settings tried at the same subset or temperature. Self-supervised accuracies weigh clips by patches and are taken as shares "
    "of as many clips, which makes them look more certain than they are."
)


def claim_sections(settings: pd.DataFrame, predictions: pd.DataFrame, accuracies: pd.Series) -> list[Section]:
    """Every setting against its baseline, and the published gains; the arguments are those of `on_test_table`."""
    on_test = on_test_table(settings, predictions, accuracies)
    return [
        Section(
            "on-test",
            "Any setting against the baseline, read off the test results",
            _on_test_text(on_test),
            on_test,
            ON_TEST,
            "No baseline (α = 1) has finished beside a setting with margin.",
            folded=True,
        ),
        Section(
            "published",
            "The published gains, looked at anew",
            "\n".join([*published_sentences(), _PUBLISHED]),
            published_table(),
            PUBLISHED,
            "",
        ),
    ]


def _on_test_text(table: pd.DataFrame) -> str:
    paragraphs = [
        "The tables above name the setting that validation picked. Whoever looks at all settings on test and names the best has "
        "selected on test: here the p-values account for the number of settings that were looked at."
    ]
    if len(table) and (table["claim"] == "models").any():
        paragraphs[0] += " Where a side has one seed, it is about trained models: that says nothing about settings."
    if len(table) and not table["paired"].all():
        paragraphs[0] += (
            " Where some runs have lost their predictions, accuracies are compared, unpaired, and the p-values corrected by Holm."
        )
    for _, group in table.groupby(["mode", "subset", "temperature"], sort=False, dropna=False) if len(table) else ():
        best = group.iloc[0].to_dict()
        tried = f"best of {best['settings_tried']}" if best["settings_tried"] > 1 else "the only one"
        about = "" if best["claim"] == "settings" else ", as trained models"
        unpaired = "" if best["paired"] else ", unpaired"
        paragraphs.append(
            f"{capitalised(place(best))}: α {best['alpha']:.3g}, {tried}, has {points(best['difference'])} points against the "
            f"baseline: {best['finding']}{about} ({_corrected(best['p_corrected'])}{unpaired})."
        )
    return "\n".join(paragraphs)


def _corrected(value: float) -> str:
    shown = p_value(value)
    return f"corrected p {shown}" if shown.startswith("<") else f"corrected p = {shown}"
