"""Objectives: the validation metrics that a sweep may search for, and their directions."""

from collections.abc import Sequence
from typing import Literal

from acl.system.text import close_to
from analysis.formats import percent
from study import names

Direction = Literal["max", "min"]

DIRECTIONS: dict[str, Direction] = {
    names.VAL_ACCURACY: "max",
    names.VAL_MACRO_ACCURACY: "max",
    names.VAL_KNN_ACCURACY: "max",
    names.VAL_KNN_MACRO_ACCURACY: "max",
    names.VAL_TOLERANCE: "max",
    names.VAL_UNIFORMITY: "min",
    names.VAL_ALIGNMENT: "min",
}
_KNN = (names.VAL_KNN_ACCURACY, names.VAL_KNN_MACRO_ACCURACY)
_SUPERVISED = (names.VAL_ACCURACY, names.VAL_MACRO_ACCURACY)


def value_text(metric: str, value: float) -> str:
    """
    >>> value_text("val.accuracy", 0.5), value_text("val.tolerance", 0.5)
    ('50.0 %', '0.500')
    """
    return f"{percent(value)} %" if "accuracy" in metric else f"{value:.3f}"


def check_objective(objective: str) -> None:
    """Only validation metrics that compare across all settings choose between them.

    Raises:
        ValueError: a test metric, a loss, or no metric at all.
    """
    if objective.startswith("test."):
        raise ValueError(f"{objective} is a test metric; test results never choose settings, use {names.VAL_ACCURACY}")
    if objective not in DIRECTIONS:
        rule = f"must be one of {', '.join(DIRECTIONS)} (losses of different alphas do not compare), got {objective!r}"
        raise ValueError(rule + close_to(objective, DIRECTIONS, "; "))


def exists(objective: str, *, self_supervised: bool) -> bool:
    """Whether runs of the mode have the metric at all."""
    return self_supervised or objective in _SUPERVISED


def exists_each_epoch(objective: str, *, self_supervised: bool) -> bool:
    """Whether epochs before the last have the metric: of a self-supervised run, only the kNN accuracies of pre-training."""
    return objective in (_KNN if self_supervised else _SUPERVISED)


def pareto_front(values: Sequence[Sequence[float]], directions: Sequence[Direction]) -> list[int]:
    """Positions of the rows that no other row beats: at least as good in every objective, and better in one.

    >>> pareto_front([[0.9, 3.0], [0.8, 1.0], [0.7, 2.0]], ["max", "min"])
    [0, 1]
    """
    signs = [1 if direction == "max" else -1 for direction in directions]
    gains = [[sign * value for sign, value in zip(signs, row, strict=True)] for row in values]

    def beats(one: list[float], other: list[float]) -> bool:
        return one != other and all(mine >= its for mine, its in zip(one, other, strict=True))

    return [place for place, row in enumerate(gains) if not any(beats(other, row) for other in gains)]
