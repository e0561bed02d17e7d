"""Sections of what the paper did not do: accuracy by margin, and the negative control. Each is there only where its data are."""

from typing import Any

import pandas as pd

from analysis import beyond_figures, beyond_tables, page_tables, published
from analysis.page_tables import percent, plain, points
from analysis.sections import Section
from analysis.wording import capitalised, in_words, place

ANCHORS = ("margin", "null")


def beyond_sections(settings: pd.DataFrame, trials: pd.DataFrame, predictions: pd.DataFrame) -> list[Section]:
    """Those of the sections, each an anchor of `ANCHORS`, that have a table."""
    margin = beyond_tables.margin_table(settings, predictions)
    null = beyond_tables.null_table(settings, trials, predictions)
    sections = [
        Section(
            "margin",
            "Accuracy by margin",
            _margin_text(margin),
            margin,
            page_tables.MARGIN,
            "",
            beyond_figures.margin_figure,
            folded=True,
        ),
        Section(
            "null",
            "Negative control: the best of N when nothing differs",
            _null_text(null),
            null,
            page_tables.NULL,
            "",
            beyond_figures.null_figure,
        ),
    ]
    return [section for section in sections if not section.frame.empty]


def _margin_text(table: pd.DataFrame) -> str:
    paragraphs = [
        "Test accuracy by margin at one α (that with most margins), 95 % intervals; share of clips in both modes. The paper tried "
        f"{published.margin():g} rad only (dotted). The level line is the baseline (α = 1), the band its interval. Read it as a "
        "curve: picking its highest point is picking on test."
    ]
    for _, group in table.groupby(["mode", "subset"], sort=False) if len(table) else ():
        shown: dict[Any, Any] = group.iloc[0].to_dict()  # the first margin
        label = f"{capitalised(place(shown))}, α {plain(shown['alpha'])}"
        winner: dict[Any, Any] = next(iter(group[group["picked"]].to_dict("records")), {})
        if not winner:
            paragraphs.append(
                f"{label}: each margin has finished with fewer seeds than other settings of its sweep; none is picked."
            )
        elif winner["verdict"]:
            finding, _, reservation = winner["verdict"].partition("; ")
            paragraphs.append(
                f"{label}: margin {plain(winner['margin'])} rad: {finding} ({reservation}); difference in test accuracy "
                f"{points(winner['difference'])} points [{points(winner['difference_low'])}, {points(winner['difference_high'])}]."
            )
        else:
            paragraphs.append(f"{label}: no baseline (α = 1) to compare with has finished.")
    return "\n".join(paragraphs)


def _null_text(table: pd.DataFrame) -> str:
    if table.empty:
        return ""
    paragraphs = [_null_sentences(row) for row in table[table["picked"]].to_dict("records")]
    paragraphs.append(
        "The averages are exact, over which of these runs is the baseline; other seeds give other numbers. The paper's sweeps have "
        "ten α (supervised) or eleven (self-supervised), one seed each. Ties go to the smaller seed. The intervals "
        "are about the choice of clips."
    )
    return "\n".join(paragraphs)


def _null_sentences(picked: dict[Any, Any]) -> str:
    runs = picked["runs"]
    number, others = in_words(runs), in_words(runs - 1)
    differing = {0: "none differs", 1: "one differs"}.get(picked["significant"], f"{in_words(picked['significant'])} differ")
    return (
        f"{capitalised(number)} runs of the same setting ({place(picked)}, α = 1), which differ in the seed only, as if they were "
        f"{number} settings: the one picked on validation scores {percent(picked['accuracy'])} % on test, "
        f"{points(picked['gain_val'])} points against the mean of all {number} ({percent(picked['mean'])} % ± "
        f"{percent(picked['sd'])} SD), and picking on test would have shown {points(picked['gain_test'])} points. "
        f"Where one of them at random is the baseline, the best of the other {others} differs from it by "
        f"{points(picked['gain_val_of_others'])} points on average when picked on validation and by "
        f"{points(picked['gain_test_of_others'])} when picked on test: in a sweep of {number} settings with one seed each, "
        f"differences of this size can be luck alone; of the {others} others compared with the picked run, {differing} "
        "“significantly” (McNemar, 5 %, unadjusted)."
    )
