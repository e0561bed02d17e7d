"""Search spaces as data: what a study file says about one setting, and the points that grid and random search try."""

import itertools
import math
from collections.abc import Mapping
from typing import Any

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, model_validator

Scalar = bool | int | float | str
Point = dict[str, Any]  # dotted setting name -> value
MOST_COMBINATIONS = 4096  # of edges


class Dimension(BaseModel):
    """Values that one setting may take; exactly one of the four kinds.

    `grid` and `choice` list values (a grid tries each of them, a choice is drawn from); `uniform` and `loguniform` are
    `[low, high]`, both inclusive.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    grid: list[Scalar] | None = Field(None, min_length=1)
    choice: list[Scalar] | None = Field(None, min_length=1)
    uniform: tuple[float, float] | None = None
    loguniform: tuple[float, float] | None = None

    @model_validator(mode="after")
    def _one_kind(self) -> "Dimension":
        kinds = [name for name in type(self).model_fields if getattr(self, name) is not None]
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


def grid_points(space: Mapping[str, Dimension]) -> list[Point]:
    """Every combination of the listed values, the last dimension varying fastest.

    >>> grid_points({"a": Dimension(grid=[1, 2]), "b": Dimension(grid=["x", "y"])})
    [{'a': 1, 'b': 'x'}, {'a': 1, 'b': 'y'}, {'a': 2, 'b': 'x'}, {'a': 2, 'b': 'y'}]

    Raises:
        ValueError: a dimension is continuous.
    """
    for name, dimension in space.items():
        if dimension.values is None:
            raise ValueError(f"search is grid but {name} is continuous; list its values with grid, or search with random or tpe")
    combinations = itertools.product(*(dimension.values or [] for dimension in space.values()))
    return [dict(zip(space, values, strict=True)) for values in combinations]


def random_points(space: Mapping[str, Dimension], count: int, seed: int) -> list[Point]:
    """`count` independent draws; the first ones do not depend on `count`."""
    generator = np.random.default_rng(seed)
    return [{name: dimension.draw(generator) for name, dimension in space.items()} for _ in range(count)]


def edge_points(space: Mapping[str, Dimension]) -> list[Point]:
    """Every combination of the dimensions' edges; in a space with too many, each edge with the others at their first.

    >>> edge_points({"a": Dimension(grid=[1, 2]), "b": Dimension(choice=["x"])})
    [{'a': 1, 'b': 'x'}, {'a': 2, 'b': 'x'}]
    """
    if math.prod(len(dimension.edges) for dimension in space.values()) <= MOST_COMBINATIONS:
        return [dict(zip(space, values, strict=True)) for values in itertools.product(*(d.edges for d in space.values()))]
    first = {name: dimension.edges[0] for name, dimension in space.items()}
    return [first] + [{**first, name: edge} for name, dimension in space.items() for edge in dimension.edges[1:]]
