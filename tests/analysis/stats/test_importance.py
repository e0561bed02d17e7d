"""Importance of each setting against refits without it, and its error rates in simulated searches."""

from itertools import combinations

import numpy as np
import pandas as pd
import pytest

from analysis.stats.importance import _orders, _strata, drop_one_importances, is_logarithmic, terms
from support.simulated_searches import USEFUL, SearchCell, called


def squared_errors_by_refitting(blocks, objective):
    """Of leave-one-out predictions, each by a fit without that row, with the best of the penalties; the constant has none."""
    scaled = [block / np.sqrt(block.shape[1]) for block in blocks]
    pairs = [left[:, :, None] * right[:, None, :] for left, right in combinations(scaled, 2)]
    columns = [np.ones((len(objective), 1)), *scaled, *(pair.reshape(len(objective), -1) for pair in pairs)]
    design = np.concatenate(columns, axis=1)
    sums = []
    for penalty in (0.3, 3.0, 30.0):
        rows = np.sqrt(penalty) * np.eye(design.shape[1])[1:]
        total = 0.0
        for row in range(len(objective)):
            others = np.arange(len(objective)) != row
            left = np.vstack([design[others], rows])
            right = np.concatenate([objective[others], np.zeros(len(rows))])
            total += (objective[row] - design[row] @ np.linalg.lstsq(left, right, rcond=None)[0]) ** 2
        sums.append(total)
    return min(sums)


@pytest.fixture
def searched():
    generator = np.random.default_rng(3)
    settings = pd.DataFrame(
        {"alpha": generator.random(40), "margin": generator.random(40), "name": generator.choice(["adam", "sgd"], 40)}
    )
    objective = 0.6 - (settings["alpha"] - 0.4) ** 2 + 0.02 * (settings["name"] == "sgd") + generator.normal(0, 0.01, 40)
    return settings, objective.to_numpy()


def test_importances_equal_refits_without_each_setting(searched):
    settings, objective = searched
    values = (objective - objective.mean()) / objective.std()
    found = drop_one_importances(settings, objective)
    blocks = {name: terms(settings[name]) for name in settings}
    alone = ((values * 40 / 39) ** 2).sum()
    full = squared_errors_by_refitting([*blocks.values()], values)
    assert found.fit == pytest.approx(1 - full / alone)
    for each, name in zip(found.of, blocks, strict=True):
        without = squared_errors_by_refitting([block for other, block in blocks.items() if other != name], values)
        assert each.share == pytest.approx((without - full) / alone)


def test_a_setting_that_matters_stands_out_of_one_that_does_not(searched):
    alpha, margin, _ = drop_one_importances(*searched).of
    assert alpha.share > 0.5
    assert alpha.matters
    assert not margin.matters


@pytest.mark.parametrize(
    ("design", "rows", "truth"), [("random", 5, "nothing"), ("random", 9, "product"), ("grid", 18, "one"), ("tpe", 12, "bowl")]
)
def test_settings_of_no_use_are_rarely_said_to_matter(design, rows, truth):
    """At most 5 %; of 25 searches 5 and more have a probability of 1 % then."""
    matter = called(SearchCell(design, 3, rows, truth, law="t3"), 25)
    assert matter[:, USEFUL[truth] :].any(axis=1).sum() < 5


@pytest.mark.parametrize(("design", "rows"), [("random", 30), ("grid", 27)])
def test_two_settings_that_matter_only_together_are_found(design, rows):
    """By an additive regression they had no importance."""
    matter = called(SearchCell(design, 3, rows, "product"), 10)
    assert matter[:, :2].mean() > 0.75


def test_names_that_matter_only_together_are_found():
    settings = pd.DataFrame([(a, b, c) for a in "xy" for b in "pq" for c in (1, 2, 3, 4)], columns=["a", "b", "c"])
    effect = np.where((settings["a"] == "x") == (settings["b"] == "p"), 1.0, -1.0)
    found = drop_one_importances(settings, effect + np.random.default_rng(0).normal(0, 0.3, len(effect)))
    assert [each.matters for each in found.of] == [True, True, False]


def test_in_a_grid_a_setting_is_shuffled_among_rows_that_agree_in_the_others():
    grid = pd.DataFrame([(a, b) for a in (1, 2, 3) for b in ("x", "y")], columns=["a", "b"])
    strata = _strata(grid[["b"]])
    assert strata.tolist() == [0, 1, 0, 1, 0, 1]
    orders = _orders(strata, 50, np.random.default_rng(0))
    assert orders[0].tolist() == list(range(6))
    assert (strata[orders] == strata).all()
    assert 20 < len(np.unique(orders, axis=0)) == len(orders) <= 36
    assert _strata(pd.DataFrame({"b": [0.1, 0.2, 0.2, 0.4]})).tolist() == [0, 0, 0, 0]


def test_a_grid_of_two_by_two_values_has_too_few_orders_to_tell():
    grid = pd.DataFrame([(a, b) for a in (1, 2) for b in (1, 2)], columns=["a", "b"])
    found = drop_one_importances(grid, np.array([0.0, 0.0, 1.0, 1.1]))
    assert np.isnan([each.chance for each in found.of]).all()
    assert not any(each.matters for each in found.of)


def test_of_many_combinations_some_are_drawn():
    generator = np.random.default_rng(0)
    settings = pd.DataFrame({"a": generator.random(3000), "b": generator.random(3000)})
    found = drop_one_importances(settings, settings["a"].to_numpy())
    assert [each.matters for each in found.of] == [True, False]


def test_terms_are_linear_squared_or_names_that_occur_twice():
    numbers = terms(pd.Series([1.0, 2.0, 3.0, 4.0]))
    assert numbers[:, 0] == pytest.approx((np.arange(4) - 1.5) / np.arange(4).std())
    assert numbers[:, 1] == pytest.approx([1, -1, -1, 1])
    assert terms(pd.Series([0.1, 0.5, 0.1])).shape == (3, 1)
    assert terms(pd.Series(["a", "a", "b", "b", "c"])).shape == (5, 1)
    assert terms(pd.Series([True, False, True, False])).shape == (4, 1)


def test_a_scale_is_logarithmic_where_that_spreads_the_values():
    generator = np.random.default_rng(0)
    assert is_logarithmic(pd.Series(np.exp(generator.uniform(np.log(0.05), 0, 50))))
    assert not is_logarithmic(pd.Series(generator.uniform(0.01, 1, 50)))
    assert not is_logarithmic(pd.Series([0.0, 0.1, 10.0]))
    assert not is_logarithmic(pd.Series([1.0, 2.0, 9.0]))


def test_an_objective_that_never_changes_has_no_importances():
    found = drop_one_importances(pd.DataFrame({"a": [1.0, 2.0, 3.0, 4.0]}), np.full(4, 0.5))
    assert found.of == [(0.0, 0.0)]
    assert not found.of[0].matters
