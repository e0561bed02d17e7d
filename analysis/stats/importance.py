"""Importance of a setting for an objective, from the trials of a search alone."""

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
import pandas as pd

from analysis.stats.intervals import LEVEL

TRIALS_PER_TERM = 3
_DECADE = 10.0
_PENALTY = 1.0
_DRAWS = 2000


class Importances(NamedTuple):
    """Shares of the variance of an objective.

    Attributes:
        fit: share that the whole model predicts of settings that it has not seen; negative where it predicts worse than the mean.
        of: importance, low and high of each setting.
    """

    fit: float
    of: list[tuple[float, float, float]]


def is_logarithmic(values: pd.Series) -> bool:
    """Whether positive numbers that span a decade lie more evenly on a logarithmic scale: their median nearer to the middle.

    >>> is_logarithmic(pd.Series([0.01, 0.1, 1.0])), is_logarithmic(pd.Series([0.01, 0.5, 1.0]))
    (True, False)
    """
    if not values.min() > 0 or values.max() < _DECADE * values.min():
        return False

    def off_centre(numbers: pd.Series) -> float:
        return abs(float((numbers.median() - numbers.min()) / (numbers.max() - numbers.min())) - 0.5)

    return off_centre(np.log(values)) < off_centre(values)


def terms(values: pd.Series) -> np.ndarray:
    """The columns by which a setting enters the regression, standardised, (settings, terms).

    A number enters linearly and, with more than two values, squared; on the scale that `is_logarithmic` says. Anything else
    enters as one column for each value but the most frequent; values
    that occur once are counted with that.

    >>> terms(pd.Series([0.1, 0.2, 0.3])).shape, terms(pd.Series(["a", "b", "a", "b", "c"])).shape
    ((3, 2), (5, 1))
    """
    if pd.api.types.is_numeric_dtype(values) and not pd.api.types.is_bool_dtype(values):
        numbers = values.fillna(values.mean()).to_numpy(float)
        numbers = np.log(numbers) if is_logarithmic(values) else numbers
        centred = _standardised(numbers)
        columns = [centred, _standardised(centred**2)] if len(np.unique(numbers)) > 2 else [centred]
    else:
        counts = values.astype(str).value_counts()
        columns = [_standardised((values.astype(str) == value).to_numpy(float)) for value in counts.index[1:] if counts[value] > 1]
    return np.stack(columns, axis=1) if columns else np.zeros((len(values), 0))


def drop_one_importances(blocks: Mapping[str, np.ndarray], objective: np.ndarray) -> Importances:
    """Loss of predicted variance when a setting is left out of a regression on all of them.

    The model is additive, y = b₀ + Σ_j X_j b_j, fitted by least squares with the penalty |b|² (one observation's worth, against
    terms that one setting alone decides). With the errors e of leave-one-out predictions of the model, e⁽ʲ⁾ of the model without
    setting j and e⁽⁰⁾ of the mean alone,

        fit = 1 − Σ e² / Σ e⁽⁰⁾²,   importance_j = (Σ e⁽ʲ⁾² − Σ e²) / Σ e⁽⁰⁾².

    A setting of no use has an importance around 0, slightly below on average, unlike a share of explained variance, which noise
    always raises. The interval (95 %, percentiles) resamples the settings, with their leave-one-out errors, `_DRAWS` times.

    Args:
        blocks: terms of each setting, (settings, terms).
        objective: value of each setting.
    """
    number = len(objective)
    alone = _left_out_errors([], objective) ** 2
    full = _left_out_errors([*blocks.values()], objective) ** 2
    counts = np.random.default_rng(0).multinomial(number, np.full(number, 1 / number), size=_DRAWS)
    found = []
    total = float(alone.sum())
    if total == 0:  # all the same
        return Importances(np.nan, [(0.0, 0.0, 0.0)] * len(blocks))
    for name in blocks:
        without = _left_out_errors([block for other, block in blocks.items() if other != name], objective) ** 2
        drawn = (counts @ (without - full)) / np.maximum(counts @ alone, 1e-300)
        low, high = np.quantile(drawn, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
        found.append((float((without - full).sum()) / total, float(low), float(high)))
    return Importances(1 - float(full.sum()) / total, found)


def _left_out_errors(blocks: list[np.ndarray], objective: np.ndarray) -> np.ndarray:
    """Error of each prediction by the model fitted to the other settings: e_i / (1 − h_ii), exact for a fixed penalty."""
    design = np.concatenate([np.ones((len(objective), 1)), *blocks], axis=1)
    penalty = _PENALTY * np.eye(design.shape[1])
    penalty[0, 0] = 0
    hat = design @ np.linalg.solve(design.T @ design + penalty, design.T)
    return np.asarray((objective - hat @ objective) / (1 - np.diag(hat)))


def _standardised(numbers: np.ndarray) -> np.ndarray:
    spread = numbers.std()
    return (numbers - numbers.mean()) / (spread if spread > 0 else 1.0)
