"""Picture of the answer: the forest plot as a PNG, for places that show no page, such as a run in MLflow.

Matplotlib draws it, which MLflow brings along, since Plotly needs a browser for bitmaps.
"""

import os
import textwrap
import warnings
from pathlib import Path

import pandas as pd
from matplotlib.figure import Figure

from analysis.formats import capitalised
from analysis.section import ACL, PUBLISHED
from analysis.sections.forest import CONFIRMED, FRESH, MODELS, SETTINGS

PICTURE_FILE = "answer.png"  # of a report's folder
_WIDEST = 36  # letters of a label in a line
_INCHES, _DPI = 7.4, 100  # wide; MLflow shows a picture in a run's description as large as it is
_MARKS = {CONFIRMED: ("D", ACL), FRESH: ("D", "white"), SETTINGS: ("D", "white"), MODELS: ("o", "white")}


def write_picture(table: pd.DataFrame, question: str, path: Path) -> Path:
    """Write the forest plot below the question.

    Args:
        table: of `analysis.sections.forest.forest_table`; not empty.
        question: of the study.
        path: ends in .png; replaced.
    """
    title = textwrap.wrap(_text(question), 88)
    figure = Figure(figsize=(_INCHES, 0.95 + 0.2 * len(title) + 0.32 * len(table)), layout="constrained", facecolor="white")
    figure.suptitle("\n".join(title), x=0.01, ha="left", size=10.5, weight="bold")
    axes = figure.subplots()
    for place, row in zip(reversed(range(len(table))), table.to_dict("records"), strict=True):
        if pd.notna(row["detectable"]):
            axes.barh(place, 200 * row["detectable"], 0.62, left=-100 * row["detectable"], color="#e4e4e4", zorder=1)
        mark, face = _MARKS[row["about"]]
        bounds = [
            [max(0.0, 100 * gap)] for gap in (row["difference"] - row["difference_low"], row["difference_high"] - row["difference"])
        ]
        axes.errorbar(
            100 * row["difference"],
            place,
            xerr=bounds,
            fmt=mark,
            color=ACL,
            markerfacecolor=face,
            markersize=7,
            capsize=3,
            zorder=3,
        )
        if pd.notna(row["published"]):
            axes.plot(100 * row["published"], place, "x", color=PUBLISHED, markersize=8, markeredgewidth=2, zorder=2)
    axes.axvline(0, color="#222", linewidth=1)
    axes.set_yticks(range(len(table)), [_label(label) for label in reversed(table["label"].tolist())])
    axes.set_ylim(-0.6, len(table) - 0.4)
    keys = ["95 % intervals", *["grey: power below 80 %"] * bool(table["detectable"].notna().any())]
    keys += ["×: published"] * bool(table["published"].notna().any())
    axes.set_xlabel(f"difference to the baseline, points ({'; '.join(keys)})", size=8.5)
    axes.grid(axis="x", color="#e8e8e8", zorder=0)
    axes.spines[["top", "right", "left"]].set_visible(False)
    axes.tick_params(left=False, labelsize=9)
    partial = path.with_name(f".{path.name}.partial")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # signs that the font lacks are boxes
        figure.savefig(partial, dpi=_DPI, format="png")
    os.replace(partial, path)
    return path


def _label(label: str) -> str:
    """A label in at most two lines, so that the plot keeps its room."""
    first, *rest = textwrap.wrap(capitalised(label), _WIDEST) or [""]
    return _text("\n".join([first, *([textwrap.shorten(" ".join(rest), _WIDEST, placeholder=" …")] if rest else [])]))


def _text(words: str) -> str:
    """Words in which Matplotlib finds no formula."""
    return words.replace("$", r"\$")
