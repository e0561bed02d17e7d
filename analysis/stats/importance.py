"""Importance of a setting for an objective, from the trials of a search alone, and whether it is beyond chance."""

from typing import NamedTuple

import numpy as np
import pandas as pd

ERROR = 0.05
MIN_SHUFFLES, MAX_SHUFFLES = 199, 499  # few rows have so few orders that chance would decide with fewer shuffles
MOST_ROWS = 80
_DECADE = 10.0
_PENALTIES = (0.3, 3.0, 30.0)


class Importance(NamedTuple):
    """Importance of a setting, and the largest that chance gives it, both as shares of the variance of the objective.

    `chance` is NaN where there are too few orders of the rows to tell.
    """

    share: float
    chance: float

    @property
    def matters(self) -> bool:
        """Whether the importance is beyond chance, by more than rounding."""
        return self.share > self.chance + 1e-9


class Importances(NamedTuple):
    """Shares of the variance of an objective.

    Attributes:
        fit: share that the whole model predicts of settings that it has not seen; negative where it predicts worse than the mean.
        of: of each setting.
    """

    fit: float
    of: list[Importance]


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
    enters as one column for each value but the most frequent; values that occur once are counted with that.

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


def drop_one_importances(settings: pd.DataFrame, objective: np.ndarray) -> Importances:
    """Loss of predicted variance without a setting, and what chance makes of it.

    The model has the settings' terms and their products in pairs, so that two settings that matter only together are seen:
    y = b₀ + g(x), where g is a kernel ridge regression with

        k(x, x') = Σ_j k_j + Σ_{i<j} k_i k_j,   k_j = t_j · t'_j / |t_j|,   t_j the `terms` of setting j, |t_j| their number,

    and with that of the penalties 0.3, 3 and 30 whose leave-one-out predictions are best.

    With the errors e of leave-one-out predictions of the model, e⁽ʲ⁾ of the model without setting j and e⁽⁰⁾ of the mean alone,

        fit = 1 − Σ e² / Σ e⁽⁰⁾²,   importance_j = (Σ e⁽ʲ⁾² − Σ e²) / Σ e⁽⁰⁾².

    A setting of no use has an importance around 0 or below, unlike a share of explained variance, which noise always raises.

    Chance: the values of setting j are shuffled among the rows, or, in a grid, among rows that agree in all other settings. A
    setting of no use is exchangeable with its shuffled copies. Its importance exceeds `chance`, the largest of all but a share of
    5 % / (number of settings) of them, with no more than that probability. So any such setting does in 5 % of searches at most,
    whatever the number of rows and the law of the noise. (This does not cover samplers that follow results; they were simulated,
    see benchmarks/importance_calibration.py.)

    Args:
        settings: a column for each setting, a row for each combination; of more than `MOST_ROWS` rows so many are drawn.
        objective: value of each row.
    """
    random = np.random.default_rng(0)
    if len(settings) > MOST_ROWS:
        drawn = np.sort(random.choice(len(settings), MOST_ROWS, replace=False))
        settings, objective = settings.iloc[drawn], objective[drawn]
    number, shares = len(objective), len(settings.columns)
    if np.ptp(objective) == 0:
        return Importances(np.nan, [Importance(0.0, 0.0)] * shares)
    values = _standardised(objective)
    total = float(((values * number / (number - 1)) ** 2).sum())  # the mean alone, left out
    kernels = [_kernel(terms(settings[name])) for name in settings]
    shuffles = max(round(shares / ERROR) - 1, min(MAX_SHUFFLES, max(MIN_SHUFFLES, 20_000 // number)))
    found = []
    for place, name in enumerate(settings):
        alone, together = _sums([*kernels[:place], *kernels[place + 1 :]], number)
        orders = _orders(_strata(settings.drop(columns=name)), shuffles, random)
        shuffled = kernels[place][orders[:, :, None], orders[:, None, :]]
        lost = _squared_errors(alone + together, values) - _squared_errors(alone + together + (1 + alone) * shuffled, values)
        exceeding = int(ERROR * len(orders) / shares + 1e-9) - 1  # shuffles that may be as important as a setting that matters
        chance = np.sort(lost[1:])[::-1][exceeding] if exceeding >= 0 else np.nan
        found.append(Importance(float(lost[0]) / total, float(chance) / total))
    return Importances(1 - float(_squared_errors(np.add(*_sums(kernels, number)), values)) / total, found)


def _kernel(block: np.ndarray) -> np.ndarray:
    return np.asarray(block @ block.T / max(1, block.shape[1]))


def _sums(kernels: list[np.ndarray], number: int) -> tuple[np.ndarray, np.ndarray]:
    """Σ k_j and Σ_{i<j} k_i k_j."""
    alone = sum(kernels, np.zeros((number, number)))
    return alone, (alone**2 - sum((kernel**2 for kernel in kernels), np.zeros((number, number)))) / 2


def _strata(others: pd.DataFrame) -> np.ndarray:
    """Rows among which a setting is shuffled: those of a grid that agree in all `others`, or all, where most have no partner."""
    strata = others.groupby(list(others), dropna=False).ngroup().to_numpy() if len(others.columns) else np.zeros(len(others), int)
    has_partner = np.bincount(strata)[strata] > 1
    return strata if has_partner.mean() > 0.5 else np.zeros(len(others), int)


def _orders(strata: np.ndarray, number: int, random: np.random.Generator) -> np.ndarray:
    """The order as it is and up to `number` others, shuffled within strata, each once, (orders, rows)."""
    by_stratum = np.argsort(strata, kind="stable")
    drawn = random.random((number, len(strata)))
    shuffled = np.empty(drawn.shape, int)
    shuffled[:, by_stratum] = np.lexsort((drawn, np.broadcast_to(strata, drawn.shape)))
    unshuffled = np.arange(len(strata))
    others = np.unique(shuffled, axis=0)
    return np.vstack([unshuffled, others[(others != unshuffled).any(axis=1)]])


def _squared_errors(kernel: np.ndarray, values: np.ndarray) -> np.ndarray:
    """Σ e² of leave-one-out predictions with the best penalty, of each kernel: e = A y / diag A, A the projected inverse."""
    found = []
    for penalty in _PENALTIES:
        inverse = np.linalg.inv(kernel + penalty * np.eye(len(values)))
        sums = inverse.sum(axis=-1)
        inverse -= sums[..., :, None] * sums[..., None, :] / sums.sum(axis=-1)[..., None, None]  # b₀ has no penalty
        errors = (inverse @ values) / np.diagonal(inverse, axis1=-2, axis2=-1)
        found.append((errors**2).sum(axis=-1))
    return np.asarray(np.min(found, axis=0))


def _standardised(numbers: np.ndarray) -> np.ndarray:
    spread = numbers.std()
    return (numbers - numbers.mean()) / (spread if spread > 0 else 1.0)
