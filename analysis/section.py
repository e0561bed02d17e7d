"""A section of the report: its text, its table with the columns of the page, and the look of its figure.

CSV files hold the same tables unformatted. Colours are colour-blind safe (Okabe and Ito): the baseline is always blue with circles,
ACL always vermilion with diamonds, published values are dotted and hollow. Accuracies are shares in tables and shown in %.
"""

import json
import math
import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property
from numbers import Real
from typing import Any, NamedTuple

import pandas as pd
import plotly.graph_objects as go
from markupsafe import Markup
from plotly.colors import sample_colorscale
from plotly.subplots import make_subplots

from analysis.formats import Row, count, missing, p_value, percent, percent_interval, plain, points
from analysis.stats.intervals import NOT_DISTINGUISHABLE


@dataclass(frozen=True)
class Column:
    """A column of a table on the page.

    Attributes:
        title: heading.
        text: formatted cell of a row of the frame.
        kind: "number" (right-aligned), "text", "prose" (text that wraps), or "published" (a number of the paper).
        value: column of the frame by whose values the table is sorted; empty: by the formatted cells.
        href: where a cell links to, empty for nowhere; None where no cell does.
    """

    title: str
    text: Callable[[Row], str]
    kind: str = "number"
    value: str = ""
    href: Callable[[Row], str] | None = None


class Cell(NamedTuple):
    """A formatted cell: its text, the kind of its column, the number it is sorted by (None: its text), and its link."""

    text: str
    kind: str
    sort: float | None
    href: str


class Heading(NamedTuple):
    """What tells a section from others of its kind: ends of its anchor and of its title."""

    anchor: str = ""
    title: str = ""


ONLY = Heading()  # of its kind


FIGURE_HEIGHT = 450  # px, of figures that do not say
# Plotly reads some HTML in texts. Of what stands in angle brackets only these are ours; all else is part of a name.
_NO_TAG = re.compile(r"<(?!/?(?:br|b|i|sub|sup|extra)>)")


@dataclass(frozen=True)
class Section:
    """A part of the page with one table.

    Attributes:
        anchor: id of the section; its table is written to `<anchor>.csv` and `<anchor>.md`.
        title: heading.
        text: what is shown and what to mind, a line for each paragraph; nothing about the paper's results.
        frame: the table.
        columns: how it looks on the page.
        missing: the one line that stands there when the table is empty.
        draw: table, or its rows that are drawn -> figure; None where the table stands alone.
        drawn: rows of the table that its figure has, where there can be too many to draw; the page holds the data of these only.
        latex: whether the table is written to `<anchor>.tex`, too.
        about_paper: sentences about the paper's results, which follow the first paragraph on pages that show these.
    """

    anchor: str
    title: str
    text: str
    frame: pd.DataFrame
    columns: list[Column]
    missing: str
    draw: Callable[[pd.DataFrame], go.Figure] | None = None
    drawn: pd.DataFrame | None = None
    latex: bool = False
    about_paper: str = ""

    def with_paper(self) -> "Section":
        """The section with what it says about the paper's results as part of its text."""
        if not self.about_paper:
            return self
        first, *others = self.text.split("\n")
        return replace(self, text="\n".join([f"{first} {self.about_paper}".strip(), *others]), about_paper="")

    @cached_property
    def rows(self) -> list[list[Cell]]:
        """Formatted cells."""
        return formatted(self.frame, self.columns)

    @cached_property
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
    def height(self) -> int:
        """Of the figure on the page, px."""
        return int((self.plot.layout.height if self.plot else None) or FIGURE_HEIGHT)

    @property
    def label(self) -> str:
        """The section in a sentence, for those who cannot see its figure."""
        first = re.split(r"(?<=[.!?])\s", self.text, maxsplit=1)[0]
        return f"{self.title}. {first}" if first else self.title


@dataclass(frozen=True)
class Chapter:
    """A chapter of the page.

    Attributes:
        anchor: its id.
        title: heading, and its name in the contents bar.
        shown: sections that a reader sees at once.
        details: sections that are folded below them.
    """

    anchor: str
    title: str
    shown: tuple[Section, ...]
    details: tuple[Section, ...] = ()

    @property
    def sections(self) -> tuple[Section, ...]:
        """All sections, in the order of the page."""
        return (*self.shown, *self.details)


def _as_text(content: Any) -> Any:
    """The figure with every "<" escaped that begins no tag of ours."""
    if isinstance(content, dict):
        return {name: _as_text(value) for name, value in content.items()}
    if isinstance(content, list):
        return [_as_text(value) for value in content]
    return _NO_TAG.sub("&lt;", content) if isinstance(content, str) else content


def difference(row: Row) -> str:
    """Difference to the baseline in points, with its interval."""
    if missing(row["difference"]):
        return "–"
    return f"{points(row['difference'])} [{points(row['difference_low'])}, {points(row['difference_high'])}]"


def number_column(title: str, value: str, shown: Callable[[Any], str], kind: str = "number") -> Column:
    """A column of the frame, formatted."""
    return Column(title, lambda row: shown(row[value]), kind, value)


def text_column(title: str, value: str) -> Column:
    return number_column(title, value, lambda text: plain(text).replace("_", " "), "text")


def published_column(title: str, value: str, shown: Callable[[Any], str] = percent) -> Column:
    return number_column(title, value, shown, "published")


def interval_column(title: str, value: str, low: str, high: str) -> Column:
    return Column(title, lambda row: percent_interval(row, value, low, high), "number", value)


def side_column(title: str, side: str) -> Column:
    return interval_column(title, f"{side}accuracy", f"{side}low", f"{side}high")


def flag_texts(flags: dict[str, str]) -> Callable[[Row], str]:
    return lambda row: ", ".join(text for flag, text in flags.items() if row[flag])


def finding_text(finding: str) -> str:
    """A finding as it stands in a cell or a sentence.

    >>> finding_text("not distinguishable"), finding_text("better"), finding_text("")
    ('no significant difference', 'better', '–')
    """
    return "no significant difference" if finding == NOT_DISTINGUISHABLE else finding or "–"


MODELS_ONLY = "too few seeds: trained models only"  # beside a finding that says nothing about settings


def _verdict(row: Row) -> str:
    if row["claim"] == "models":
        return f"{finding_text(row['models_finding'])} ({MODELS_ONLY})"
    return finding_text(str(row["finding"]))


ALPHA_COLUMN, MARGIN_COLUMN = number_column("α", "alpha", plain), number_column("Margin, rad", "margin", plain)
TEMPERATURE_COLUMN = number_column("τ", "temperature", plain)
SETTING_COLUMNS = [ALPHA_COLUMN, MARGIN_COLUMN, TEMPERATURE_COLUMN]
GROUP_COLUMNS = [text_column("Mode", "mode"), text_column("Subset", "subset")]
SEEDS_COLUMN = number_column("Seeds", "seeds", count)
VALIDATION_COLUMN = interval_column("Validation, %", "val_accuracy", "val_low", "val_high")
TEST_COLUMN = side_column("Test, %", "")
PATCH_WEIGHTED_COLUMN = interval_column("Patch-weighted, %", "patch_weighted", "patch_weighted_low", "patch_weighted_high")
DIFFERENCE_COLUMN = Column("Difference to baseline, points", difference, "number", "difference")
MINUS_PUBLISHED_COLUMN = published_column("ours − published", "minus_published", points)
PUBLISHED_DIFFERENCE_COLUMN = published_column("difference", "published_difference", points)
BOTH_MINUS_PUBLISHED_COLUMN = Column(
    "ours − published",
    lambda row: f"{points(row['baseline_minus_published'])} / {points(row['acl_minus_published'])}",
    "published",
    "acl_minus_published",
)
DIFFERENCES_TO_PUBLISHED = (
    MINUS_PUBLISHED_COLUMN,
    BOTH_MINUS_PUBLISHED_COLUMN,
    PUBLISHED_DIFFERENCE_COLUMN,
)  # which mean nothing on another corpus
CLAIM_COLUMNS = [
    number_column("p", "p_value", p_value),
    number_column("Could detect, points", "resolvable", percent),
    Column("Verdict", _verdict, "prose"),
]


def all_columns(frame: pd.DataFrame) -> list[Column]:
    """Every column of a frame as it is, numbers with three digits."""

    def column(name: str) -> Column:
        is_number = pd.api.types.is_numeric_dtype(frame[name])
        return Column(name.replace("_", " "), lambda row: plain(row[name]), "number" if is_number else "text", name)

    return [column(str(name)) for name in frame.columns]


def formatted(frame: pd.DataFrame, columns: list[Column]) -> list[list[Cell]]:
    """Rows of cells."""

    def cell(column: Column, row: Row) -> Cell:
        value = row.get(column.value)
        number = float(value) if isinstance(value, Real) and not math.isnan(value) else None
        return Cell(column.text(row), column.kind, number, column.href(row) if column.href else "")

    return [[cell(column, row) for column in columns] for row in frame.to_dict("records")]


BASELINE, ACL, PUBLISHED = "#0072B2", "#D55E00", "#6b6b6b"
# Scales of colour that can be read on a light and on a dark page: of marks without the ends of Cividis, which one of the two would
# hide; of cells translucent, so that their numbers, in the colour of the page's text, stand out on all of them.
MARK_SCALE = sample_colorscale("Cividis", [0.2, 0.45, 0.7, 0.95])
CELL_SCALE = [[0, "rgba(0, 114, 178, 0.04)"], [1, "rgba(0, 114, 178, 0.5)"]]
DIFFERENCE_SCALE = [
    [0, "rgba(0, 114, 178, 0.6)"],
    [0.5, "rgba(0, 114, 178, 0)"],
    [0.5, "rgba(213, 94, 0, 0)"],
    [1, "rgba(213, 94, 0, 0.6)"],
]
OUTLINE = {"width": 1, "color": "#777"}  # of marks whose colour is a value
MARKERS = {"baseline": "circle", "acl": "diamond"}
COLOURS = {"baseline": BASELINE, "acl": ACL}


def styled(figure: go.Figure) -> go.Figure:
    """The look that all figures share: white, system font, legend below the panels."""
    figure.update_layout(
        template="plotly_white",
        font={"family": "system-ui, -apple-system, 'Segoe UI', Roboto, sans-serif", "size": 14, "color": "#222"},
        margin={"l": 60, "r": 20, "t": 60, "b": 100},
        legend={"orientation": "h", "y": 0, "yref": "container", "yanchor": "bottom", "x": 0},
        hoverlabel={"font_size": 13},
    )
    figure.update_annotations(font_size=15)
    return figure


def interval(table: pd.DataFrame, value: str, low: str, high: str) -> dict[str, Any]:
    """Error bars from the value to its bounds."""
    return {
        "type": "data",
        "array": table[high] - table[value],
        "arrayminus": table[value] - table[low],
        "thickness": 1.5,
        "width": 4,
    }


PANEL_KEYS = ["mode", "subset", "temperature"]
ACCURACY_VALUES = ["val_accuracy", "val_low", "val_high", "accuracy", "low", "high"]
SELECTED_RING = {"symbol": "circle-open", "size": 18, "color": "#222", "line_width": 2}


def ring(x: pd.Series | list[str], table: pd.DataFrame, flag: str, name: str, marker: dict[str, object]) -> go.Scatter:
    """A ring around the marks whose flag is set."""
    own = pd.Series(list(x), index=table.index)[table[flag]]
    return go.Scatter(
        x=own, y=table.loc[table[flag], "accuracy"], mode="markers", name=name, legendgroup=flag, marker=marker, hoverinfo="skip"
    )


def accuracy_panels(titles: list[str]) -> go.Figure:
    columns = min(2, len(titles))
    rows = -(-len(titles) // columns)
    return make_subplots(rows, columns, subplot_titles=titles, horizontal_spacing=0.08, vertical_spacing=0.3 / rows)


def add_to_panel(figure: go.Figure, traces: list[go.Scatter], index: int) -> None:
    """Add the traces to a panel; the legend has each group once."""
    shown = {trace.legendgroup for trace in figure.data}
    for trace in traces:
        figure.add_trace(trace.update(showlegend=trace.legendgroup not in shown), row=index // 2 + 1, col=index % 2 + 1)


def finished_panels(figure: go.Figure, panels: int) -> go.Figure:
    figure.update_yaxes(title="test accuracy", tickformat=".0%", col=1)
    figure.update_yaxes(tickformat=".0%")
    figure.update_layout(height=110 + 320 * -(-panels // 2))
    return styled(figure)
