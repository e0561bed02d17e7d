"""How the tables look on the page: headings and formatted cells. The CSV files hold the same tables unformatted."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pandas as pd

from study import record_names as names

EVALUATION_LABELS = {
    names.EVALUATION_CLASSIFIER: "linear",
    names.EVALUATION_FINETUNE_NOISY: "fine-tuned, noisy clips",
    names.EVALUATION_FINETUNE_CLEAN: "fine-tuned, clean clips",
    names.EVALUATION_KNN: "kNN",
}
Row = dict[Any, Any]  # column -> value


@dataclass(frozen=True)
class Column:
    """A column of a table on the page.

    Attributes:
        title: heading.
        text: formatted cell of a row of the frame.
        kind: "number" (right-aligned), "text", or "published" (a number of the paper).
    """

    title: str
    text: Callable[[Row], str]
    kind: str = "number"


def percent(value: float) -> str:
    """Share in %, one decimal.

    >>> percent(0.7361), percent(float("nan"))
    ('73.6', '–')
    """
    return "–" if _missing(value) else f"{value * 100:.1f}"


def percent_interval(row: Row, value: str, low: str, high: str) -> str:
    """Share in % with its interval, where it has one.

    >>> percent_interval({"a": 0.736, "l": 0.707, "h": 0.763}, "a", "l", "h")
    '73.6 [70.7, 76.3]'
    """
    if _missing(row[value]) or _missing(row[low]):
        return percent(row[value])
    return f"{percent(row[value])} [{percent(row[low])}, {percent(row[high])}]"


def points(value: float) -> str:
    """Signed difference of two shares in percentage points.

    >>> points(0.0351), points(-0.01)
    ('+3.5', '−1.0')
    """
    return "–" if _missing(value) else f"{value * 100:+.1f}".replace("-", "−")


def plain(value: object, digits: int = 3) -> str:
    """Text, or a number with `digits` significant digits.

    >>> plain(0.30000001), plain(None), plain("all")
    ('0.3', '–', 'all')
    """
    if _missing(value):
        return "–"
    return f"{value:.{digits}g}" if isinstance(value, float) else str(value)


def count(value: float) -> str:
    """Whole number."""
    return "–" if _missing(value) else f"{value:.0f}"


def p_value(value: float) -> str:
    """Probability, three decimals.

    >>> p_value(0.0002), p_value(0.0312)
    ('< 0.001', '0.031')
    """
    if _missing(value):
        return "–"
    return "< 0.001" if value < 0.001 else f"{value:.3f}"


def _missing(value: object) -> bool:
    return value is None or (isinstance(value, float) and math.isnan(value))


def difference(row: Row) -> str:
    """Difference to the baseline in points, with its interval."""
    if _missing(row["difference"]):
        return "–"
    return f"{points(row['difference'])} [{points(row['difference_low'])}, {points(row['difference_high'])}]"


def _side(side: str) -> Callable[[Row], str]:
    return lambda row: percent_interval(row, f"{side}accuracy", f"{side}low", f"{side}high")


def _remarks(flags: dict[str, str]) -> Callable[[Row], str]:
    return lambda row: ", ".join(text for flag, text in flags.items() if row[flag])


def _with_erratum(row: Row) -> str:
    printed = row["published_acl_tolerance_printed"]
    value = plain(row["published_acl_tolerance"], 4)
    return value if _missing(printed) else f"{value} (printed: {plain(printed, 4)})"


def _verdict(row: Row) -> str:
    if row["claim"] == "models":
        return f"one seed; as models {row['models_finding']}"
    return str(row["finding"]) or "–"


_CLAIM = [
    Column("p", lambda row: p_value(row["p_value"])),
    Column("Could resolve, points", lambda row: percent(row["resolvable"])),
    Column("Verdict", _verdict, "text"),
]
TABLE1 = [
    Column("Subset", lambda row: row["subset"].replace("_", " "), "text"),
    Column("Cross-entropy, %", _side("baseline_")),
    Column("With margin, %", _side("acl_")),
    Column("α", lambda row: plain(row["alpha"])),
    Column("Margin, rad", lambda row: plain(row["margin"])),
    Column("Difference, points", difference),
    *_CLAIM,
    Column("Seeds", lambda row: f"{count(row['baseline_seeds'])} / {count(row['acl_seeds'])}"),
    Column("Published: cross-entropy", lambda row: percent(row["published_baseline"]), "published"),
    Column("with margin", lambda row: percent(row["published_acl"]), "published"),
    Column("α", lambda row: plain(row["published_alpha"]), "published"),
    Column("difference", lambda row: points(row["published_difference"]), "published"),
]
TABLE2 = [
    Column("Training method", lambda row: row["method"], "text"),
    Column("Accuracy, %", _side("")),
    Column("Patch-weighted, %", lambda row: percent_interval(row, "patch_weighted", "patch_weighted_low", "patch_weighted_high")),
    Column("α", lambda row: plain(row["alpha"])),
    Column("Margin, rad", lambda row: plain(row["margin"])),
    Column("τ", lambda row: plain(row["temperature"])),
    Column("Difference to baseline, points", difference),
    *_CLAIM,
    Column("Seeds", lambda row: count(row["seeds"])),
    Column("Published", lambda row: f"{percent(row['published'])} ({row['compared_measure']})", "published"),
    Column("ours − published", lambda row: points(row["minus_published"]), "published"),
]
FIG2 = [
    Column("Class", lambda row: row["class"].replace("_", " "), "text"),
    Column("Test clips", lambda row: count(row["clips"])),
    Column("Baseline, %", _side("baseline_")),
    Column("With margin, %", _side("acl_")),
    Column("Difference, points", lambda row: points(row["difference"])),
]
FIG3 = [
    Column("τ", lambda row: plain(row["temperature"])),
    Column("α of ACL", lambda row: plain(row["alpha"])),
    Column("−U contr.", lambda row: plain(row["baseline_minus_uniformity"], 4)),
    Column("−U ACL", lambda row: plain(row["acl_minus_uniformity"], 4)),
    Column("T contr.", lambda row: plain(row["baseline_tolerance"], 4)),
    Column("T ACL", lambda row: plain(row["acl_tolerance"], 4)),
    Column("Patch-weighted contr., %", _side("baseline_")),
    Column("Patch-weighted ACL, %", _side("acl_")),
    Column(
        "Plain contr., %", lambda row: percent_interval(row, "baseline_plain_accuracy", "baseline_plain_low", "baseline_plain_high")
    ),
    Column("Plain ACL, %", lambda row: percent_interval(row, "acl_plain_accuracy", "acl_plain_low", "acl_plain_high")),
    Column("Published: α", lambda row: plain(row["published_alpha"]), "published"),
    Column("−U contr.", lambda row: plain(row["published_baseline_minus_uniformity"], 4), "published"),
    Column("−U ACL", lambda row: plain(row["published_acl_minus_uniformity"], 4), "published"),
    Column("T contr.", lambda row: plain(row["published_baseline_tolerance"], 4), "published"),
    Column("T ACL", _with_erratum, "published"),
    Column("contr., %", lambda row: percent(row["published_baseline_accuracy"]), "published"),
    Column("ACL, %", lambda row: percent(row["published_acl_accuracy"]), "published"),
]
_GROUP = [
    Column("Mode", lambda row: row["mode"], "text"),
    Column("Subset", lambda row: row["subset"].replace("_", " "), "text"),
]
_SETTING = [
    Column("α", lambda row: plain(row["alpha"])),
    Column("Margin, rad", lambda row: plain(row["margin"])),
    Column("τ", lambda row: plain(row["temperature"])),
]
_SEEDS = Column("Seeds", lambda row: count(row["seeds"]))
_VAL = Column("Validation, %", lambda row: percent_interval(row, "val_accuracy", "val_low", "val_high"))
_TEST = Column("Test, %", _side(""))
ALPHA = [
    *_GROUP,
    *_SETTING,
    _SEEDS,
    _VAL,
    _TEST,
    Column("Measure", lambda row: row["measure"], "text"),
    Column("Published, %", lambda row: percent(row["published_accuracy"]), "published"),
]
EVALUATIONS = [
    *_SETTING,
    Column("Evaluation", lambda row: EVALUATION_LABELS[row["evaluation"]], "text"),
    _SEEDS,
    Column("Validation clips", lambda row: count(row["val_clips"])),
    _VAL,
    _TEST,
    Column("Patch-weighted, %", lambda row: percent_interval(row, "patch_weighted", "patch_weighted_low", "patch_weighted_high")),
    Column("Published, patch-weighted", lambda row: percent(row["published_patch_weighted"]), "published"),
    Column("ours − published", lambda row: points(row["minus_published"]), "published"),
]
NULL = [
    *_GROUP,
    Column("τ", lambda row: plain(row["temperature"])),
    Column("Seed", lambda row: count(row["seed"])),
    _VAL,
    Column("Rank on validation", lambda row: count(row["val_rank"])),
    _TEST,
    Column("Test − mean, points", lambda row: points(row["minus_mean"])),
    Column("McNemar p against the picked run", lambda row: p_value(row["mcnemar_p"])),
    Column("Remark", _remarks({"picked": "picked on validation", "best_on_test": "best on test"}), "text"),
]
MARGIN = [
    *_GROUP,
    *_SETTING,
    _SEEDS,
    _VAL,
    _TEST,
    Column("Difference to baseline, points", difference),
    *_CLAIM,
    Column("Remark", _remarks({"baseline": "baseline", "picked": "picked on validation", "papers": "the paper's margin"}), "text"),
]
SEARCH = [
    Column("Sweep", lambda row: row["sweep"], "text"),
    Column("Trial", lambda row: row["trial_id"], "text"),
    Column("Outcome", lambda row: row["outcome"], "text"),
    Column("Mode", lambda row: row["mode"], "text"),
    Column("Subset", lambda row: plain(row["subset"]), "text"),
    *_SETTING,
    Column("Seed", lambda row: count(row["seed"])),
    Column("Objective", lambda row: row["objective"], "text"),
    Column("Value, %", lambda row: percent_interval(row, "objective_value", "objective_value_low", "objective_value_high")),
    Column("Test, %", lambda row: percent_interval(row, "test_accuracy", "test_accuracy_low", "test_accuracy_high")),
]


def all_columns(frame: pd.DataFrame) -> list[Column]:
    """Every column of a frame as it is, numbers with three digits."""

    def column(name: str) -> Column:
        is_number = pd.api.types.is_numeric_dtype(frame[name])
        return Column(name.replace("_", " "), lambda row: plain(row[name]), "number" if is_number else "text")

    return [column(str(name)) for name in frame.columns]


def formatted(frame: pd.DataFrame, columns: list[Column]) -> list[list[tuple[str, str]]]:
    """Rows of (text, kind of the column)."""
    return [[(column.text(row), column.kind) for column in columns] for row in frame.to_dict("records")]
