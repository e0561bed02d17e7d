"""Search spaces: accepted dimensions, grids, random points and edges, also under conditions."""

import itertools
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError
from scipy.stats import kstest

from study.errors import StudyError
from study.spec.resolve import resolve_study
from study.spec.space import MOST_COMBINATIONS, Dimension, conditional_point, edge_points, grid_points, random_points


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


def test_more_random_points_keep_the_first_ones() -> None:
    space = {"u": Dimension(uniform=(0, 1)), "c": Dimension(choice=[1, 2, 3])}
    assert random_points(space, 9, seed=1)[:5] == random_points(space, 5, seed=1)
    assert random_points(space, 5, seed=1) != random_points(space, 5, seed=2)


def test_edge_points_visit_both_ends_of_every_dimension() -> None:
    space = {"a": Dimension(uniform=(0, 1)), "b": Dimension(grid=[3, 4, 5])}
    points = edge_points(space)
    assert {0, 1} <= {point["a"] for point in points}
    assert {point["b"] for point in points} == {3, 4, 5}


def space(**dimensions: dict[str, Any]) -> dict[str, Dimension]:
    return {name: Dimension.model_validate(content) for name, content in dimensions.items()}


NESTED = space(
    a={"choice": [1, 2, 3]},
    b={"choice": ["x", "y"], "when": {"a": [2, 3]}},
    c={"choice": [True, False], "when": {"b": "y"}},
    d={"uniform": [0, 1], "when": {"a": 3, "c": False}},
)


def test_only_active_dimensions_are_asked_for_in_order() -> None:
    answers = {"a": 3, "b": "y", "c": False, "d": 0.5}
    asked = []

    def ask(name: str, dimension: Dimension) -> Any:
        asked.append(name)
        return answers[name]

    assert conditional_point(NESTED, ask) == answers
    assert asked == ["a", "b", "c", "d"]
    answers["b"] = "x"
    assert conditional_point(NESTED, ask) == {"a": 3, "b": "x"}  # c depends on b, d on c, which is inactive itself


@given(st.lists(st.tuples(st.integers(1, 3), st.integers(0, 3)), min_size=1, max_size=4))
def test_a_conditional_grid_is_the_product_of_active_dimensions(sizes: list[tuple[int, int]]) -> None:
    """Each dimension depends on the one before having one of its first values; brute force over the plain product."""
    dimensions: dict[str, Dimension] = {}
    for place, (size, condition) in enumerate(sizes):
        when = {f"d{place - 1}": list(range(condition))} if place and condition else None
        dimensions[f"d{place}"] = Dimension(grid=list(range(size)), when=when)
    expected = []
    for values in itertools.product(*(range(size) for size, _ in sizes)):
        point: dict[str, Any] = {}
        for place, (value, (_, condition)) in enumerate(zip(values, sizes, strict=True)):
            before = point.get(f"d{place - 1}")
            if not place or not condition or (before is not None and before < condition):
                point[f"d{place}"] = value
        if point not in expected:
            expected.append(point)
    assert grid_points(dimensions) == expected


def test_random_and_edge_points_respect_conditions() -> None:
    points = random_points(NESTED, 400, seed=0)
    assert {tuple(point) for point in points} == {("a",), ("a", "b"), ("a", "b", "c"), ("a", "b", "c", "d")}
    for point in points:
        assert ("b" in point) == (point["a"] > 1)
        assert ("d" in point) == (point["a"] == 3 and point.get("c") is False)
    edges = edge_points(NESTED)
    assert [point for point in edges if "d" in point] == [
        {"a": 3, "b": "y", "c": False, "d": value} for value in (0, 1, pytest.approx(0.318, abs=1e-3))
    ]


def test_edges_of_a_large_space_reach_every_condition() -> None:
    many = {f"m{number}": Dimension(choice=list(range(9))) for number in range(4)}
    large = {**many, **NESTED}
    assert MOST_COMBINATIONS < 9**4
    points = edge_points(large)
    assert {point["d"] for point in points if "d" in point} >= {0, 1}
    assert len({tuple(sorted(point.items(), key=str)) for point in points}) == len(points)


def study(**fields: Any) -> dict[str, Any]:
    return {"name": "trial", "question": "Does it?", "base": {"mode": "supervised"}, **fields}


def test_one_space_serves_both_modes() -> None:
    content = study(
        base={},
        space={
            "loss.alpha": {"choice": [0.5, 1.0]},
            "loss.temperature": {"loguniform": [0.05, 1.0], "when": {"mode": "self-supervised"}},
            "model.dropout": {"choice": [0.1, 0.5], "when": {"mode": "supervised"}},
        },
        search="random",
        budget={"trials": 5},
        enqueue=[{"loss.alpha": 0.5, "loss.temperature": 0.1, "model.dropout": 0.1}],
        sweeps=[{"name": "a", "base": {"mode": "supervised"}}, {"name": "b", "base": {"mode": "self-supervised"}}],
    )
    supervised, ssl = resolve_study(content).sweeps
    assert list(supervised.space) == ["loss.alpha", "model.dropout"]
    assert list(ssl.space) == ["loss.alpha", "loss.temperature"]
    assert ssl.space["loss.temperature"].when is None
    assert supervised.enqueue == [{"loss.alpha": 0.5, "model.dropout": 0.1}]
    assert ssl.enqueue == [{"loss.alpha": 0.5, "loss.temperature": 0.1}]


@pytest.mark.parametrize(
    ("base", "overrides", "searched"),
    [
        ({}, {}, False),  # the recipe's subset is all
        ({"data.subset": "clean"}, {}, True),
        ({"data.subset": "clean"}, {"data.subset": "noisy"}, False),
    ],
)
def test_a_condition_on_a_fixed_setting_is_decided_early(base: dict[str, Any], overrides: dict[str, Any], searched: bool) -> None:
    dimension = {"loss.margin": {"grid": [0.3, 0.5], "when": {"data.subset": ["clean", "noisy_small"]}}}
    resolved = resolve_study(study(base={"mode": "supervised", **base}, space=dimension), None, overrides)
    assert ("loss.margin" in resolved.sweeps[0].space) == searched


def test_an_inactive_setting_has_the_value_of_profile_or_base() -> None:
    dimensions = {
        "data.subset": {"choice": ["all", "clean"]},
        "optim.batch_size": {"choice": [4, 8], "when": {"data.subset": "clean"}},
        "optim.lr": {"choice": [0.1], "when": {"mode": "supervised"}},
    }
    base = {"mode": "supervised", "optim.lr": 0.5}
    (sweep,) = resolve_study(study(base=base, space=dimensions), "mini").sweeps
    settings = [{**sweep.common, **point} for point in sweep.points]
    sizes = [(setting["data.subset"], setting["optim.batch_size"]) for setting in settings]
    assert sizes == [("all", 16), ("clean", 4), ("clean", 8)]
    assert {setting["optim.lr"] for setting in settings} == {0.1}
    assert "optim.lr" not in sweep.base
    (sweep,) = resolve_study(study(base={**base, "optim.batch_size": 32}, space=dimensions), "mini").sweeps
    assert sweep.common["optim.batch_size"] == 32


def test_known_points_name_what_is_active_at_them() -> None:
    dimensions = {
        "data.subset": {"choice": ["all", "clean"]},
        "loss.margin": {"uniform": [0.1, 1.0], "when": {"data.subset": "clean"}},
    }
    content = study(space=dimensions, search="tpe", budget={"trials": 3})
    known = [{"data.subset": "all"}, {"data.subset": "clean", "loss.margin": 0.5}]
    assert resolve_study({**content, "enqueue": known}).sweeps[0].enqueue == known
    with pytest.raises(StudyError, match=r"loss\.margin is not searched at this point"):
        resolve_study({**content, "enqueue": [{"data.subset": "all", "loss.margin": 0.5}]})


@pytest.mark.parametrize(
    ("when", "message"),
    [
        ({"data.subst": "all"}, r"data\.subst is not a setting; did you mean data\.subset\?"),
        ({"optim.batch_size": 16}, r"optim\.batch_size, which is searched, but named after it"),
        ({"loss.margin": 0.5}, r"loss\.margin, which is searched, but named after it"),
        ({"loss.alpha": 0.5}, "which is continuous; list its values"),
        ({"model.dropout": 0.3}, r"model\.dropout is never 0\.3; its values are \[0\.1, 0\.5\]"),
        ({"seed": 0}, "seed cannot be a condition"),
        (["mode"], "when: must be a mapping of other settings"),
    ],
)
def test_a_condition_that_cannot_be_decided_is_refused(when: Any, message: str) -> None:
    dimensions = {
        "loss.alpha": {"uniform": [0.1, 0.9]},
        "model.dropout": {"choice": [0.1, 0.5]},
        "loss.margin": {"choice": [0.5, 0.7], "when": when},
        "optim.batch_size": {"choice": [16, 32]},
    }
    with pytest.raises(StudyError, match=message):
        resolve_study(study(space=dimensions, search="random", budget={"trials": 3}))
