"""Tables 1 and 2 of the paper: supervised by training subset, supervised against self-supervised.

Winners are selected on validation (`analysis.settings.pick`); the baseline is alpha 1. Accuracies are shares of the test clips
unless a name says otherwise, `low` and `high` their 95 % interval (see `analysis.stats.intervals`).
"""

from typing import Any

import pandas as pd

from analysis import published
from analysis.formats import count, counted, percent, plain
from analysis.published import SUPERVISED
from analysis.section import (
    ALPHA_COLUMN,
    BOTH_MINUS_PUBLISHED_COLUMN,
    CLAIM_COLUMNS,
    DIFFERENCE_COLUMN,
    MARGIN_COLUMN,
    MINUS_PUBLISHED_COLUMN,
    PATCH_WEIGHTED_COLUMN,
    PUBLISHED_DIFFERENCE_COLUMN,
    SEEDS_COLUMN,
    SETTING_COLUMNS,
    Column,
    Section,
    difference,
    published_column,
    side_column,
    text_column,
)
from analysis.settings import NO_PAIR, Pair, pick, pick_self_supervised

_SIDE = ("accuracy", "low", "high", "seeds", "seed_sd")
WEIGHTED = ("patch_weighted", "patch_weighted_low", "patch_weighted_high")


def table1(settings: pd.DataFrame, predictions: pd.DataFrame) -> pd.DataFrame:
    """Table 1: supervised training on each subset, cross-entropy alone against cross-entropy with margin."""
    supervised = settings[settings["mode"] == SUPERVISED]
    if supervised.empty:
        return pd.DataFrame()
    rows = []
    for row in published.table1():
        pair = pick(supervised[supervised["subset"] == row["subset"]])
        sides = {"baseline": pair.baseline, "acl": pair.acl}
        rows.append(
            {
                "subset": row["subset"],
                **pair_columns(pair, predictions),
                **{name: value for name, value in row.items() if name != "subset"},
                **{
                    f"{name}_minus_published": NAN if side is None else side["accuracy"] - row[f"published_{name}"]
                    for name, side in sides.items()
                },
            }
        )
    return pd.DataFrame(rows)


def table2(settings: pd.DataFrame, predictions: pd.DataFrame) -> pd.DataFrame:
    """Table 2: supervised (subset all) and self-supervised, each without and with ACL.

    `minus_published` compares plain accuracy in the supervised rows and patch-weighted accuracy in the SSL rows, as published.
    """
    supervised = pick(settings[(settings["mode"] == SUPERVISED) & (settings["subset"] == "all")])
    ssl = pick_self_supervised(settings)
    if all(side is None for side in (supervised.baseline, supervised.acl, ssl.baseline, ssl.acl)):
        return pd.DataFrame()
    rows = []
    for pair, prefix, measure in ((supervised, "supervised", "accuracy"), (ssl, "SSL", "patch_weighted")):
        for method, side in ((f"{prefix} baseline", pair.baseline), (f"{prefix} with ACL", pair.acl)):
            values = side_values(side, {name: name for name in (*_SIDE, *WEIGHTED, "alpha", "margin", "temperature")})
            compared = pair if side is pair.acl else NO_PAIR  # the baseline's row has no difference
            expected = published.table2()[method]
            rows.append(
                {
                    "method": method,
                    **values,
                    **difference_columns(compared, predictions),
                    "published": expected,
                    "compared_measure": "patch-weighted" if measure == "patch_weighted" else "plain",
                    "minus_published": values[measure] - expected,
                }
            )
    return pd.DataFrame(rows)


def pair_columns(pair: Pair, predictions: pd.DataFrame) -> dict[str, Any]:
    """Both sides of a pair, the winner's setting, and what may be said about them, as columns."""
    return {
        **side_values(pair.baseline, {f"baseline_{name}": name for name in _SIDE}),
        **side_values(pair.acl, {f"acl_{name}": name for name in _SIDE}),
        **side_values(pair.acl, {"alpha": "alpha", "margin": "margin"}),
        **difference_columns(pair, predictions),
    }


def difference_columns(pair: Pair, predictions: pd.DataFrame) -> dict[str, Any]:
    """What may be said about a winner and its baseline, as columns; NaN and no words where a side is missing.

    `difference_low`, `difference_high`, `p_value` and `resolvable` are those of the claim that can be made: about the settings
    where each has several seeds, else about these trained models. `claim` says which; `finding` is about the settings,
    `models_finding` about the models. `tested_on` is the test set in words.
    """
    found = pair.claim(predictions)
    if found is None:
        empty = ("test_clips", "difference", "difference_low", "difference_high", "p_value", "resolvable", "settings_tried")
        return {
            **dict.fromkeys(empty, NAN),
            "claim": "",
            "finding": "",
            "models_finding": "",
            "verdict": "",
            "tested_on": "",
            "equivalence": NAN,
        }
    low, high = found.interval
    return {
        "test_clips": found.models.clips,
        "tested_on": (found.settings or found.models).clusters.words,
        "difference": found.difference,
        "difference_low": low,
        "difference_high": high,
        "p_value": found.p_value,
        "resolvable": found.resolvable,
        "settings_tried": found.candidates,
        "claim": "models" if found.settings is None else "settings",
        "finding": found.finding,
        "models_finding": found.models.finding,
        "verdict": found.verdict,
        "equivalence": found.equivalence if found.is_equivalent else NAN,
    }


def side_values(side: pd.Series | None, sources: dict[str, str]) -> dict[str, Any]:
    """Column -> value of a setting under its source name; NaN where there is no such setting."""
    return {column: NAN if side is None else side[source] for column, source in sources.items()}


NAN = float("nan")
TABLE1_COLUMNS = [
    text_column("Subset", "subset"),
    side_column("Cross-entropy, %", "baseline_"),
    side_column("With margin, %", "acl_"),
    ALPHA_COLUMN,
    MARGIN_COLUMN,
    Column("Difference, points", difference, "number", "difference"),
    *CLAIM_COLUMNS,
    Column("Seeds", lambda row: f"{count(row['baseline_seeds'])} / {count(row['acl_seeds'])}", "number", "baseline_seeds"),
    published_column("Published: cross-entropy", "published_baseline"),
    published_column("with margin", "published_acl"),
    published_column("α", "published_alpha", plain),
    PUBLISHED_DIFFERENCE_COLUMN,
    BOTH_MINUS_PUBLISHED_COLUMN,
]
TABLE2_COLUMNS = [
    Column("Training method", lambda row: row["method"], "text"),
    side_column("Accuracy, %", ""),
    PATCH_WEIGHTED_COLUMN,
    *SETTING_COLUMNS,
    DIFFERENCE_COLUMN,
    *CLAIM_COLUMNS,
    SEEDS_COLUMN,
    Column("Published", lambda row: f"{percent(row['published'])} ({row['compared_measure']})", "published", "published"),
    MINUS_PUBLISHED_COLUMN,
]
_OVER = "difference is over seeds and test clips where each side has several seeds, otherwise paired over test clips"
_LINEAR_EVALUATION = {
    "cached": " Linear evaluation keeps the encoder in evaluation mode.",
    "published": " Linear evaluation is by the published protocol.",
}


def paper_table_sections(settings: pd.DataFrame, predictions: pd.DataFrame, left_out: int) -> list[Section]:
    """Table 1 and Table 2, of settings without those `left_out` of a sweep of the margin."""
    candidates = ""
    if left_out:
        candidates = (
            f" Only settings with a margin of {published.margin():g} rad are compared here; “Accuracy by margin” has the "
            f"{counted(left_out, 'setting')} with other margins."
        )
    frame = table2(settings, predictions)
    return [
        Section(
            "table1",
            "Table 1: supervised, by training subset",
            "Test accuracy with 95 % interval. The setting with margin is the one with the highest validation accuracy. The "
            f"{_OVER}. Seeds: baseline / with margin.{candidates}",
            table1(settings, predictions),
            TABLE1_COLUMNS,
            "No supervised trial has finished.",
            latex=True,
        ),
        Section(
            "table2",
            "Table 2: supervised and self-supervised",
            _table2_text(frame, settings) + candidates,
            frame,
            TABLE2_COLUMNS,
            "No self-supervised trial has finished, and no supervised one on all training clips.",
            latex=True,
            about_paper=_about_table2(frame, settings),
        ),
    ]


def _table2_text(table2: pd.DataFrame, settings: pd.DataFrame) -> str:
    text = f"Test accuracy with 95 % interval. Each ACL row is the setting with the highest validation accuracy. Its {_OVER}."
    text += "".join(_LINEAR_EVALUATION[protocol] for protocol in _protocols(settings))
    others = [value for value in _temperatures(table2) if value != published.temperature()]
    if not others:
        return text
    return f"{text} SSL rows are at temperature {' and '.join(map(plain, others))}, selected on validation."


def _about_table2(table2: pd.DataFrame, settings: pd.DataFrame) -> str:
    """How the published Table 2 was made."""
    text = "Published SSL accuracies weigh each clip by its number of patches, so the SSL rows compare patch-weighted accuracies."
    if "cached" in _protocols(settings):
        text += " In the published linear evaluation the encoder's BatchNorm statistics drift."
    temperatures = _temperatures(table2)
    if not temperatures:
        return text
    if temperatures == [published.temperature()]:
        return f"{text} SSL rows are at the published temperature {published.temperature():g}."
    return f"{text} The published temperature is {published.temperature():g}."


def _protocols(settings: pd.DataFrame) -> list[str]:
    return sorted(set(settings["linear_evaluation"].dropna())) if "linear_evaluation" in settings else []


def _temperatures(table2: pd.DataFrame) -> list[float]:
    return [] if table2.empty else [float(value) for value in table2["temperature"].dropna().unique()]
