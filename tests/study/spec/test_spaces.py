"""Search spaces: what they accept, enumerate and draw."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError
from scipy.stats import kstest

from study.spec.space import Dimension, edge_points, grid_points, random_points


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({}, "one of grid, choice, uniform, loguniform"),
        ({"grid": [1], "uniform": [0, 1]}, "one of grid"),
        ({"uniform": [1, 0]}, "low < high"),
        ({"loguniform": [0, 1]}, "low > 0"),
        ({"grid": []}, "at least 1 item"),
        ({"normal": [0, 1]}, "not permitted"),
    ],
)
def test_a_wrong_dimension_is_refused_with_the_rule(content: dict[str, object], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        Dimension.model_validate(content)


@given(st.lists(st.integers(1, 4), min_size=1, max_size=4))
def test_a_grid_is_the_product_of_its_dimensions_without_repeats(sizes: list[int]) -> None:
    space = {f"d{index}": Dimension(grid=list(range(size))) for index, size in enumerate(sizes)}
    points = grid_points(space)
    assert len(points) == np.prod(sizes)
    assert len({tuple(point.values()) for point in points}) == len(points)


def test_random_points_follow_the_declared_distributions() -> None:
    space = {"u": Dimension(uniform=(2, 5)), "l": Dimension(loguniform=(0.01, 1)), "c": Dimension(choice=["a", "b"])}
    points = random_points(space, 2000, seed=0)
    assert kstest([(point["u"] - 2) / 3 for point in points], "uniform").pvalue > 0.01
    assert kstest([np.log10(point["l"]) / 2 + 1 for point in points], "uniform").pvalue > 0.01
    assert 900 < sum(point["c"] == "a" for point in points) < 1100


def test_more_random_points_keep_the_first_ones_and_another_seed_gives_others() -> None:
    space = {"u": Dimension(uniform=(0, 1)), "c": Dimension(choice=[1, 2, 3])}
    assert random_points(space, 9, seed=1)[:5] == random_points(space, 5, seed=1)
    assert random_points(space, 5, seed=1) != random_points(space, 5, seed=2)


def test_edge_points_visit_both_ends_of_every_dimension() -> None:
    space = {"a": Dimension(uniform=(0, 1)), "b": Dimension(grid=[3, 4, 5])}
    points = edge_points(space)
    assert {0, 1} <= {point["a"] for point in points}
    assert {point["b"] for point in points} == {3, 4, 5}
