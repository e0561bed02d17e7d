"""Importance of each setting against refits without it."""

import numpy as np
import pandas as pd
import pytest

from analysis.stats.importance import drop_one_importances, is_logarithmic, terms


def left_out_errors_by_refitting(blocks, objective):
    """Errors of leave-one-out predictions, each by a fit without that row; the penalty as rows of zeros."""
    columns = [np.ones((len(objective), 1)), *blocks]
    design = np.concatenate(columns, axis=1)
    penalty = np.eye(design.shape[1])[1:]
    errors = []
    for row in range(len(objective)):
        others = np.arange(len(objective)) != row
        left = np.vstack([design[others], penalty])
        right = np.concatenate([objective[others], np.zeros(len(penalty))])
        weights = np.linalg.lstsq(left, right, rcond=None)[0]
        errors.append(objective[row] - design[row] @ weights)
    return np.array(errors)


@pytest.fixture
def searched():
    generator = np.random.default_rng(3)
    alpha, margin = generator.random(40), generator.random(40)
    name = pd.Series(generator.choice(["adam", "sgd"], 40))
    objective = 0.6 - (alpha - 0.4) ** 2 + 0.02 * (name == "sgd") + generator.normal(0, 0.01, 40)
    blocks = {"alpha": terms(pd.Series(alpha)), "margin": terms(pd.Series(margin)), "name": terms(name)}
    return blocks, objective.to_numpy()


def test_importances_equal_refits_without_each_setting(searched):
    blocks, objective = searched
    found = drop_one_importances(blocks, objective)
    alone = (left_out_errors_by_refitting([], objective) ** 2).sum()
    full = (left_out_errors_by_refitting([*blocks.values()], objective) ** 2).sum()
    assert found.fit == pytest.approx(1 - full / alone)
    for (importance, _, _), name in zip(found.of, blocks, strict=True):
        without = left_out_errors_by_refitting([block for other, block in blocks.items() if other != name], objective)
        assert importance == pytest.approx(((without**2).sum() - full) / alone)


def test_a_setting_that_matters_stands_out_of_one_that_does_not(searched):
    alpha, margin, name = drop_one_importances(*searched).of
    assert alpha[0] > 0.5 > 0.2 > name[0] > margin[0]
    assert alpha[1] > 0.3
    assert margin[1] < 0 or margin[0] < 0.05


def test_noise_alone_has_no_importance_on_average():
    generator = np.random.default_rng(0)
    found = []
    for _ in range(200):
        blocks = {"a": terms(pd.Series(generator.random(20))), "b": terms(pd.Series(generator.random(20)))}
        found.append(drop_one_importances(blocks, generator.normal(size=20)).of[0][0])
    assert -0.25 < np.mean(found) < 0.01  # a share of explained variance would be about 2 of 19 above 0


def test_the_interval_resamples_settings_with_their_errors(searched):
    blocks, objective = searched
    alone = left_out_errors_by_refitting([], objective) ** 2
    full = left_out_errors_by_refitting([*blocks.values()], objective) ** 2
    without = left_out_errors_by_refitting([blocks["margin"], blocks["name"]], objective) ** 2
    generator = np.random.default_rng(99)
    draws = [generator.integers(0, len(objective), len(objective)) for _ in range(4000)]
    expected = np.quantile([(without[draw] - full[draw]).sum() / alone[draw].sum() for draw in draws], [0.025, 0.975])
    _, low, high = drop_one_importances(blocks, objective).of[0]
    assert (low, high) == pytest.approx(expected, abs=0.03)


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
    found = drop_one_importances({"a": terms(pd.Series([1.0, 2.0, 3.0, 4.0]))}, np.full(4, 0.5))
    assert found.of == [(0.0, 0.0, 0.0)]
