"""Search spaces as data: what a study file says about one setting, and the points that grid and random search try."""

import itertools
import math
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from pydantic import Field, field_validator, model_validator

from acl.config import Section
from study.errors import FieldError

Scalar = bool | int | float | str
Point = dict[str, Any]  # dotted setting name -> value
KINDS = ("grid", "choice", "uniform", "loguniform")
MOST_COMBINATIONS = 4096  # of edges
MOST_TRIALS = 100_000  # settings of a sweep


class Dimension(Section):
    """Values that one setting may take; exactly one of the four kinds.

    `grid` and `choice` list values (a grid tries each of them, a choice is drawn from); `uniform` and `loguniform` are
    `[low, high]`, both inclusive. `when` names other settings and the values that they must have for this one to vary: where
    one has another value, or does not vary itself, this setting keeps the value that it has without a search.
    """

    grid: list[Scalar] | None = Field(None, min_length=1)
    choice: list[Scalar] | None = Field(None, min_length=1)
    uniform: tuple[float, float] | None = None
    loguniform: tuple[float, float] | None = None
    when: dict[str, list[Scalar]] | None = None

    @field_validator("when", mode="before")
    @classmethod
    def _listed(cls, value: Any) -> Any:
        if not isinstance(value, Mapping):
            return value
        return {name: values if isinstance(values, list) else [values] for name, values in value.items()} or None

    @model_validator(mode="after")
    def _one_kind(self) -> "Dimension":
        kinds = [name for name in KINDS if getattr(self, name) is not None]
        if len(kinds) != 1:
            raise ValueError(f"a dimension is one of grid, choice, uniform, loguniform; got {', '.join(kinds) or 'none'}")
        if self.interval is not None and self.interval[0] >= self.interval[1]:
            raise ValueError(f"{kinds[0]} is [low, high] with low < high; got {list(self.interval)}")
        if self.values is not None and len(set(self.values)) < len(self.values):
            raise ValueError(f"{kinds[0]} {self.values} repeats a value; list each value once")
        if self.loguniform is not None and self.loguniform[0] <= 0:
            raise ValueError(f"loguniform needs low > 0; got {self.loguniform[0]}")
        return self

    @property
    def values(self) -> list[Scalar] | None:
        """Listed values of a grid or a choice."""
        return self.grid if self.grid is not None else self.choice

    @property
    def interval(self) -> tuple[float, float] | None:
        """Ends of a continuous dimension."""
        return self.uniform if self.uniform is not None else self.loguniform

    @property
    def edges(self) -> list[Scalar]:
        """Listed values; of an interval both ends and a crooked value between, which a setting that counts something refuses."""
        if self.interval is None:
            return list(self.values or [])
        low, high = self.interval
        return [low, high, low + (high - low) / math.pi]

    def is_active(self, point: Mapping[str, Any]) -> bool:
        """Whether the setting varies in a trial of which `point` has the dimensions named before it."""
        return all(name in point and point[name] in values for name, values in (self.when or {}).items())

    def contains(self, value: Scalar) -> bool:
        """Whether `value` is one of those that the setting may take."""
        if self.interval is None:
            return value in (self.values or [])
        return isinstance(value, int | float) and self.interval[0] <= value <= self.interval[1]

    def draw(self, generator: np.random.Generator) -> Scalar:
        """One random value."""
        if self.loguniform is not None:
            low, high = self.loguniform
            return float(np.exp(generator.uniform(math.log(low), math.log(high))))
        if self.uniform is not None:
            return float(generator.uniform(*self.uniform))
        values = self.values or []
        return values[int(generator.integers(len(values)))]


def conditional_point(space: Mapping[str, Dimension], ask: Callable[[str, Dimension], Scalar]) -> Point:
    """A point of `space`: `ask` is called for one dimension after the other, but for those inactive after the answers so far.

    >>> space = {"a": Dimension(grid=[1, 2]), "b": Dimension(grid=["x", "y"], when={"a": [2]})}
    >>> conditional_point(space, lambda name, dimension: dimension.edges[0])
    {'a': 1}
    """
    point: Point = {}
    for name, dimension in space.items():
        if dimension.is_active(point):
            point[name] = ask(name, dimension)
    return point


def grid_points(space: Mapping[str, Dimension]) -> list[Point]:
    """Every combination of the listed values, the last dimension varying fastest.

    >>> grid_points({"a": Dimension(grid=[1, 2]), "b": Dimension(grid=["x", "y"], when={"a": [2]})})
    [{'a': 1}, {'a': 2, 'b': 'x'}, {'a': 2, 'b': 'y'}]

    Raises:
        FieldError: a dimension is continuous, or there are more combinations than any sweep has trials.
    """
    for name, dimension in space.items():
        if dimension.values is None:
            rule = f"search is grid but {name} is continuous; list its values with grid, or search with random or tpe"
            raise FieldError(rule, "space", name)
    return _combinations(space)


def random_points(space: Mapping[str, Dimension], count: int, seed: int) -> list[Point]:
    """`count` independent draws; the first ones do not depend on `count`."""
    generator = np.random.default_rng(seed)
    return [conditional_point(space, lambda _, dimension: dimension.draw(generator)) for _ in range(count)]


def edge_points(space: Mapping[str, Dimension]) -> list[Point]:
    """Every combination of the dimensions' edges; in a space with too many, each edge with the others at their first.

    >>> edge_points({"a": Dimension(grid=[1, 2]), "b": Dimension(choice=["x"])})
    [{'a': 1, 'b': 'x'}, {'a': 2, 'b': 'x'}]
    """
    if math.prod(len(dimension.edges) for dimension in space.values()) <= MOST_COMBINATIONS:
        return _combinations(space)
    points = [conditional_point(space, _choosing({}))]
    for name, dimension in space.items():
        others = {other: values[0] for other, values in _activating(space, name).items() if values}
        points += [conditional_point(space, _choosing({**others, name: edge})) for edge in dimension.edges]
    return [dict(point) for point in dict.fromkeys(tuple(point.items()) for point in points)]


def check_conditions(space: Mapping[str, Dimension]) -> None:
    """Conditions name dimensions that are listed before, and values that these can take.

    Raises:
        FieldError: one does not.
    """
    before: dict[str, Dimension] = {}
    for name, dimension in space.items():
        for other, values in (dimension.when or {}).items():
            path = ("space", name, "when", other)
            if other not in before:
                place = "is searched, but named after it; name it before" if other in space else "is not searched before it"
                raise FieldError(f"{name} depends on {other}, which {place}", *path)
            if before[other].values is None:
                raise FieldError(f"{name} depends on {other}, which is continuous; list its values with grid or choice", *path)
            if never := [value for value in values if not before[other].contains(value)]:
                raise FieldError(f"{other} is never {never[0]}; its values are {before[other].values}", *path)
        before[name] = dimension


def _combinations(space: Mapping[str, Dimension]) -> list[Point]:
    points: list[Point] = [{}]
    for name, dimension in space.items():
        each = (
            {**point, name: edge} if edge is not None else point
            for point in points
            for edge in (dimension.edges if dimension.is_active(point) else [None])
        )
        points = list(itertools.islice(each, MOST_TRIALS + 1))
        if len(points) > MOST_TRIALS:
            rule = f"a grid of more than {MOST_TRIALS} combinations; list fewer values, or search with random or tpe"
            raise FieldError(rule, "space", name)
    return points


def _choosing(values: Point) -> Callable[[str, Dimension], Scalar]:
    """Answers with `values`, and with the first edge of every other dimension."""
    return lambda name, dimension: values[name] if name in values else dimension.edges[0]


def _activating(space: Mapping[str, Dimension], name: str) -> dict[str, list[Scalar]]:
    """Values of other dimensions at which `name` varies."""
    allowed: dict[str, list[Scalar]] = {}
    waiting, seen = [name], {name}
    while waiting:
        for other, values in (space[waiting.pop()].when or {}).items():
            allowed[other] = [value for value in allowed.get(other, values) if value in values]
            if other not in seen:
                seen.add(other)
                waiting.append(other)
    return allowed
