"""The sections of the report that hold a table: what each shows, what to mind, and what stands there while it is empty."""

import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import pandas as pd
import plotly.graph_objects as go
from markupsafe import Markup

from analysis import drawn_curves, figures, page_tables, published, tables, trial_figures, trial_tables
from analysis.settings import without_margin_sweeps

_LINEAR_EVALUATION = {
    "cached": " Linear evaluation keeps the encoder in evaluation mode here; in the published one its BatchNorm statistics drift.",
    "published": " Linear evaluation is by the published protocol.",
}


_OVER = "difference is over seeds and test clips where each side has several seeds, else paired over test clips"
# Plotly reads some HTML in texts. Of what stands in angle brackets only these are ours; all else is part of a name.
_NO_TAG = re.compile(r"<(?!/?(?:br|b|i|sub|sup|extra)>)")


@dataclass(frozen=True)
class Section:
    """A part of the page with one table.

    Attributes:
        anchor: id of the section; its table is written to `<anchor>.csv` and `<anchor>.md`.
        title: heading.
        text: what is shown and what to mind, a line for each paragraph.
        frame: the table.
        columns: how it looks on the page.
        missing: the one line that stands there when the table is empty.
        draw: table, or its rows that are drawn -> figure; None where the table stands alone.
        drawn: rows of the table that its figure has, where there can be too many to draw; the page holds the data of these only.
        folded: whether the table is folded away below its figure.
        latex: whether the table is written to `<anchor>.tex`, too.
    """

    anchor: str
    title: str
    text: str
    frame: pd.DataFrame
    columns: list[page_tables.Column]
    missing: str
    draw: Callable[[pd.DataFrame], go.Figure] | None = None
    drawn: pd.DataFrame | None = None
    folded: bool = False
    latex: bool = False

    @cached_property
    def rows(self) -> list[list[page_tables.Cell]]:
        """Formatted cells."""
        return page_tables.formatted(self.frame, self.columns)

    @property
    def plot(self) -> go.Figure | None:
        """The figure, None where the table stands alone or is empty."""
        return None if self.draw is None or self.frame.empty else self.draw(self.frame if self.drawn is None else self.drawn)

    @property
    def figure(self) -> Markup | None:
        """The figure as JSON that may stand in a script element; names from the runs in it are text, not tags."""
        plot = self.plot
        if plot is None:
            return None
        content = _as_text(json.loads(plot.to_json()))
        return Markup(json.dumps(content, separators=(",", ":")).replace("<", "\\u003c"))

    @property
    def label(self) -> str:
        """The section in a sentence, for those who cannot see its figure."""
        first = re.split(r"(?<=[.!?])\s", self.text, maxsplit=1)[0]
        return f"{self.title}. {first}" if first else self.title


def _as_text(content: Any) -> Any:
    """The figure with every "<" escaped that begins no tag of ours."""
    if isinstance(content, dict):
        return {name: _as_text(value) for name, value in content.items()}
    if isinstance(content, list):
        return [_as_text(value) for value in content]
    return _NO_TAG.sub("&lt;", content) if isinstance(content, str) else content


def paper_sections(settings: pd.DataFrame, predictions: pd.DataFrame) -> list[Section]:
    """Sections of the paper's tables and figures, in the paper's order, and accuracy by alpha.

    The margins of a sweep of the margin are no candidates here, but for the published one; they have their own section.
    """
    own = without_margin_sweeps(settings)
    return _table_sections(own, predictions, len(settings) - len(own)) + _figure_sections(own, settings, predictions)


def _table_sections(settings: pd.DataFrame, predictions: pd.DataFrame, left_out: int) -> list[Section]:
    candidates = ""
    if left_out:
        candidates = (
            f" As in the paper the margin is {published.margin():g} rad here: {left_out} settings with other margins are no "
            "candidates, but in “Accuracy by margin”."
        )
    table2 = tables.table2(settings, predictions)
    return [
        Section(
            "table1",
            "Table 1: supervised, by training subset",
            "Test accuracy with 95 % interval. The setting with margin is the one with the highest validation accuracy; the "
            f"{_OVER}. Seeds: baseline / with margin.{candidates}",
            tables.table1(settings, predictions),
            page_tables.TABLE1,
            "No supervised trial has finished.",
            latex=True,
        ),
        Section(
            "table2",
            "Table 2: supervised and self-supervised",
            _table2_text(table2, settings) + candidates,
            table2,
            page_tables.TABLE2,
            "No self-supervised trial has finished, and no supervised one on all training clips.",
            latex=True,
        ),
    ]


def _figure_sections(candidates: pd.DataFrame, settings: pd.DataFrame, predictions: pd.DataFrame) -> list[Section]:
    fig2 = tables.fig2_table(candidates, predictions)
    return [
        Section(
            "fig2",
            "Fig. 2: class-wise accuracy",
            _fig2_text(fig2),
            fig2,
            page_tables.FIG2,
            "There is no finished baseline and setting with margin to compare.",
            figures.class_figure,
            folded=True,
        ),
        Section(
            "fig3",
            "Fig. 3: uniformity, tolerance and accuracy by temperature",
            "At each temperature the ACL setting with the highest validation accuracy, against contrastive loss alone. U: "
            "uniformity, T: tolerance, of the projected test embeddings. Accuracies in the figure weigh each clip by its number of "
            "patches, as the published ones do; bars or bands are 95 % intervals: of accuracies over clips, and with several seeds "
            f"over seeds and clips; of U and T over seeds. {published.fig3_erratum()}",
            tables.fig3_table(candidates),
            page_tables.FIG3,
            "No temperature has both a finished baseline and a finished ACL trial.",
            figures.temperature_figure,
            folded=True,
        ),
        Section(
            "alpha",
            "Accuracy by α",
            "Test accuracy at one margin and temperature, 95 % intervals. Read it as a curve: picking its highest point is "
            "picking on test. Self-supervised accuracies are patch-weighted, as the published ones.",
            tables.alpha_table(settings),
            page_tables.ALPHA,
            "No trial has finished.",
            figures.alpha_figure,
            folded=True,
        ),
    ]


def trial_sections(trials: pd.DataFrame, history: pd.DataFrame, predictions: pd.DataFrame) -> list[Section]:
    """Sections about the trials themselves: search landscape, training curves, counts."""
    curves = trial_tables.curves_table(history, trials)
    drawn, bands = drawn_curves.drawn_curves(curves, trials), drawn_curves.curve_bands(curves)
    counts = trial_tables.counts_table(trials)
    return [
        Section(
            "search",
            "Search landscape",
            "Each mark is a trial, coloured by validation accuracy (self-supervised: kNN accuracy, which trials that were "
            "stopped early have too) of the epoch selected so far. Shown is the subset with most trials; the table has all, with "
            "95 % intervals.",
            trial_tables.search_table(trials, predictions),
            page_tables.SEARCH,
            "",
            trial_figures.search_figure,
            folded=True,
        ),
        Section(
            "curves",
            "Training curves",
            drawn_curves.curves_text(curves, drawn),
            curves,
            [],
            "No trial has reported an epoch yet.",
            lambda rows: trial_figures.curves_figure(rows, bands),
            drawn,
        ),
        Section("counts", "Trials by outcome", "", counts, page_tables.all_columns(counts), ""),
    ]


def _table2_text(table2: pd.DataFrame, settings: pd.DataFrame) -> str:
    text = f"Test accuracy with 95 % interval; each ACL row is the best on validation, its {_OVER}. "
    text += "Published SSL accuracies weigh each clip by its number of patches, so those rows compare the patch-weighted figures."
    protocols = set(settings["linear_evaluation"].dropna()) if "linear_evaluation" in settings else set()
    text += "".join(_LINEAR_EVALUATION[protocol] for protocol in sorted(protocols))
    temperature = table2["temperature"].dropna() if not table2.empty else pd.Series(dtype=float)
    if temperature.empty:
        return text
    if (temperature == published.temperature()).all():
        return f"{text} SSL rows are at the published temperature {published.temperature():g}."
    shown = " and ".join(f"{value:g}" for value in temperature.unique())
    return f"{text} SSL rows are at temperature {shown}, not the published {published.temperature():g}: picked on validation."


def _fig2_text(fig2: pd.DataFrame) -> str:
    if fig2.empty:
        return ""
    paper = published.fig2()
    better = int((fig2["difference"] > 0).sum())
    return (
        f"Test accuracy of each class, {fig2['mode'].iloc[0]} baseline and validation winner, with 95 % intervals (number of test "
        f"clips in brackets). {better} of {len(fig2)} classes improve; published: {paper['classes_improved']} of "
        f"{paper['classes']}. With so few clips a class, single classes rarely differ beyond chance."
    )
