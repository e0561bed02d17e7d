"""The section of the other evaluations of the self-supervised encoders; there only where a trial has been fine-tuned."""

from collections.abc import Mapping

import pandas as pd

from analysis import figures, page_tables, published
from analysis.evaluation_tables import evaluation_table, fine_tuned_settings
from analysis.sections import Section

ANCHOR = "evaluations"


def evaluation_sections(
    settings: pd.DataFrame, trials: pd.DataFrame, predictions: pd.DataFrame, of_fine_tuning: Mapping[str, pd.DataFrame]
) -> list[Section]:
    """The section in a list, empty where no finished self-supervised trial has been fine-tuned."""
    own, left_out = fine_tuned_settings(settings, trials, predictions)
    table = evaluation_table(own, trials, predictions, of_fine_tuning)
    if table.empty:
        return []
    section = Section(
        ANCHOR,
        "Other evaluations of the same encoders",
        _text(trials[trials["run_id"].isin(own["run_ids"].explode())], left_out),
        table,
        page_tables.EVALUATIONS,
        "",
        figures.evaluation_figure,
        folded=True,
    )
    return [section]


def _text(trials: pd.DataFrame, left_out: list[str] | None) -> str:
    held_out = trials.get("data.validation_fraction", pd.Series(dtype=float)).dropna().unique()
    share = f"{held_out[0] * 100:.3g} % (rounded for each class)" if len(held_out) == 1 else "share"
    text = (
        "Test accuracy of the same encoders by linear evaluation, after fine-tuning of all weights on noisy or on clean clips, and "
        "by kNN; the figure has the patch-weighted accuracy by α at one margin and temperature, with 95 % intervals (published "
        f"values, dotted, are at margin {published.margin():g} rad and temperature {published.temperature():g} only).\n"
        "Fine-tuning on noisy clips is validated on all clean clips and fine-tuning on clean clips on a held-out "
        f"{share} of them, whereas the published fine-tuning on clean clips was validated on its own training clips; validation "
        "figures of different evaluations are in general on different clips (numbers in the table) and do not compare. Picking the "
        "best evaluation or α by its test figure is picking on test."
    )
    if left_out is None:
        return text
    others = "The other self-supervised tables show trials of another protocol, none of which was fine-tuned."
    return f"{text}\n{' '.join([others, *left_out])}"
