"""How the tables look on the page: headings and formatted cells. The CSV files hold the same tables unformatted."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from numbers import Real
from typing import Any, NamedTuple

import pandas as pd

from analysis.formats import Row, count, missing, p_value, percent, percent_interval, plain, points, precise
from study import record_names as names

EVALUATION_LABELS = {
    names.EVALUATION_CLASSIFIER: "linear",
    names.EVALUATION_FINETUNE_NOISY: "fine-tuned, noisy clips",
    names.EVALUATION_FINETUNE_CLEAN: "fine-tuned, clean clips",
    names.EVALUATION_KNN: "kNN",
}


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


def difference(row: Row) -> str:
    """Difference to the baseline in points, with its interval."""
    if missing(row["difference"]):
        return "–"
    return f"{points(row['difference'])} [{points(row['difference_low'])}, {points(row['difference_high'])}]"


def _remarks(flags: dict[str, str]) -> Callable[[Row], str]:
    return lambda row: ", ".join(text for flag, text in flags.items() if row[flag])


def _with_erratum(row: Row) -> str:
    printed = row["published_acl_tolerance_printed"]
    value = precise(row["published_acl_tolerance"])
    return value if missing(printed) else f"{value} (printed: {precise(printed)})"


def _verdict(row: Row) -> str:
    if row["claim"] == "models":
        return f"one seed; as models {row['models_finding']}"
    return str(row["finding"]) or "–"


def _shown(title: str, value: str, shown: Callable[[Any], str], kind: str = "number") -> Column:
    """A column of the frame, formatted."""
    return Column(title, lambda row: shown(row[value]), kind, value)


def _words(title: str, value: str) -> Column:
    return _shown(title, value, lambda text: plain(text).replace("_", " "), "text")


def _published(title: str, value: str, shown: Callable[[Any], str] = percent) -> Column:
    return _shown(title, value, shown, "published")


def _with_interval(title: str, value: str, low: str, high: str) -> Column:
    return Column(title, lambda row: percent_interval(row, value, low, high), "number", value)


def _side(title: str, side: str) -> Column:
    return _with_interval(title, f"{side}accuracy", f"{side}low", f"{side}high")


_ALPHA, _MARGIN = _shown("α", "alpha", plain), _shown("Margin, rad", "margin", plain)
_TEMPERATURE = _shown("τ", "temperature", plain)
_SETTING = [_ALPHA, _MARGIN, _TEMPERATURE]
_GROUP = [_words("Mode", "mode"), _words("Subset", "subset")]
_SEEDS = _shown("Seeds", "seeds", count)
_VAL = _with_interval("Validation, %", "val_accuracy", "val_low", "val_high")
_TEST = _side("Test, %", "")
_WEIGHTED = _with_interval("Patch-weighted, %", "patch_weighted", "patch_weighted_low", "patch_weighted_high")
_DIFFERENCE = Column("Difference to baseline, points", difference, "number", "difference")
_MINUS_PUBLISHED = _published("ours − published", "minus_published", points)
_PUBLISHED_DIFFERENCE = _published("difference", "published_difference", points)
_BOTH_MINUS_PUBLISHED = Column(
    "ours − published",
    lambda row: f"{points(row['baseline_minus_published'])} / {points(row['acl_minus_published'])}",
    "published",
    "acl_minus_published",
)
DIFFERENCES_TO_PUBLISHED = (
    _MINUS_PUBLISHED,
    _BOTH_MINUS_PUBLISHED,
    _PUBLISHED_DIFFERENCE,
)  # which mean nothing on another corpus
_CLAIM = [
    _shown("p", "p_value", p_value),
    _shown("Could resolve, points", "resolvable", percent),
    Column("Verdict", _verdict, "prose"),
]
TABLE1 = [
    _words("Subset", "subset"),
    _side("Cross-entropy, %", "baseline_"),
    _side("With margin, %", "acl_"),
    _ALPHA,
    _MARGIN,
    Column("Difference, points", difference, "number", "difference"),
    *_CLAIM,
    Column("Seeds", lambda row: f"{count(row['baseline_seeds'])} / {count(row['acl_seeds'])}", "number", "baseline_seeds"),
    _published("Published: cross-entropy", "published_baseline"),
    _published("with margin", "published_acl"),
    _published("α", "published_alpha", plain),
    _PUBLISHED_DIFFERENCE,
    _BOTH_MINUS_PUBLISHED,
]
TABLE2 = [
    Column("Training method", lambda row: row["method"], "text"),
    _side("Accuracy, %", ""),
    _WEIGHTED,
    *_SETTING,
    _DIFFERENCE,
    *_CLAIM,
    _SEEDS,
    Column("Published", lambda row: f"{percent(row['published'])} ({row['compared_measure']})", "published", "published"),
    _MINUS_PUBLISHED,
]
FIG2 = [
    _words("Class", "class"),
    _shown("Test clips", "clips", count),
    _side("Baseline, %", "baseline_"),
    _side("With margin, %", "acl_"),
    _shown("Difference, points", "difference", points),
]
FIG3 = [
    _TEMPERATURE,
    _shown("α of ACL", "alpha", plain),
    _shown("−U contr.", "baseline_minus_uniformity", precise),
    _shown("−U ACL", "acl_minus_uniformity", precise),
    _shown("T contr.", "baseline_tolerance", precise),
    _shown("T ACL", "acl_tolerance", precise),
    _side("Patch-weighted contr., %", "baseline_"),
    _side("Patch-weighted ACL, %", "acl_"),
    _with_interval("Plain contr., %", "baseline_plain_accuracy", "baseline_plain_low", "baseline_plain_high"),
    _with_interval("Plain ACL, %", "acl_plain_accuracy", "acl_plain_low", "acl_plain_high"),
    _published("Published: α", "published_alpha", plain),
    _published("−U contr.", "published_baseline_minus_uniformity", precise),
    _published("−U ACL", "published_acl_minus_uniformity", precise),
    _published("T contr.", "published_baseline_tolerance", precise),
    Column("T ACL", _with_erratum, "published", "published_acl_tolerance"),
    _published("contr., %", "published_baseline_accuracy"),
    _published("ACL, %", "published_acl_accuracy"),
]
ALPHA = [
    *_GROUP,
    *_SETTING,
    _SEEDS,
    _VAL,
    _TEST,
    _words("Measure", "measure"),
    _published("Published, %", "published_accuracy"),
]
EVALUATIONS = [
    *_SETTING,
    Column("Evaluation", lambda row: EVALUATION_LABELS[row["evaluation"]], "text"),
    _SEEDS,
    _shown("Validation clips", "val_clips", count),
    _VAL,
    _TEST,
    _WEIGHTED,
    _published("Published, patch-weighted", "published_patch_weighted"),
    _MINUS_PUBLISHED,
]
NULL = [
    *_GROUP,
    _TEMPERATURE,
    _shown("Seed", "seed", count),
    _VAL,
    _shown("Rank on validation", "val_rank", count),
    _TEST,
    _shown("Test − mean, points", "minus_mean", points),
    _shown("McNemar p against the picked run", "mcnemar_p", p_value),
    Column("Remark", _remarks({"picked": "picked on validation", "best_on_test": "best on test"}), "text"),
]
MARGIN = [
    *_GROUP,
    *_SETTING,
    _SEEDS,
    _VAL,
    _TEST,
    _DIFFERENCE,
    *_CLAIM,
    Column("Remark", _remarks({"baseline": "baseline", "picked": "picked on validation", "papers": "the paper's margin"}), "text"),
]
SEARCH = [
    Column("Sweep", lambda row: row["sweep"], "text"),
    Column("Trial", lambda row: row["trial_id"], "text"),
    Column("Outcome", lambda row: row["outcome"], "text"),
    *_GROUP,
    *_SETTING,
    _shown("Seed", "seed", count),
    Column("Objective", lambda row: row["objective"], "text"),
    _with_interval("Value, %", "objective_value", "objective_value_low", "objective_value_high"),
    _with_interval("Test, %", "test_accuracy", "test_accuracy_low", "test_accuracy_high"),
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
