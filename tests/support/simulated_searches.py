"""Searches whose settings matter as stated, for the error rates of importances."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import optuna
import pandas as pd

from analysis.stats.importance import drop_one_importances

USEFUL = {"nothing": 0, "one": 1, "two": 2, "product": 2, "bowl": 1}  # of the first settings


@dataclass(frozen=True)
class SearchCell:
    """A kind of search.

    Attributes:
        design: where values come from: "random", "grid" (of three values each) or "tpe" (Optuna's sampler, which follows results).
        settings: how many are searched.
        rows: different combinations; of a grid, those that finished.
        truth: what matters: "nothing", "one" setting, "two" of them, only the "product" of two, or one by its square ("bowl").
        noise: standard deviation beside an effect of standard deviation 1.
        law: of the noise, "normal" or "t3".
    """

    design: str
    settings: int
    rows: int
    truth: str
    noise: float = 0.5
    law: str = "normal"


def called(cell: SearchCell, number: int, seed: int = 0) -> np.ndarray:
    """Which settings are said to matter, in so many searches, (number, settings)."""
    random = np.random.default_rng(seed)
    return np.array([[each.matters for each in drop_one_importances(*search).of] for search in _searches(cell, number, random)])


def _searches(cell: SearchCell, number: int, random: np.random.Generator) -> Iterator[tuple[pd.DataFrame, np.ndarray]]:
    names = [f"x{place}" for place in range(cell.settings)]
    for _ in range(number):
        if cell.design == "tpe":
            yield _sampled(cell, names, random)
            continue
        if cell.design == "grid":
            points = np.stack(np.meshgrid(*[[-1.0, 0.0, 1.0]] * cell.settings), axis=-1).reshape(-1, cell.settings)
            values = points[random.permutation(len(points))[: cell.rows]]
        else:
            values = random.uniform(-1, 1, (cell.rows, cell.settings))
        yield pd.DataFrame(values, columns=names), np.array([_result(cell, row, random) for row in values])


def _sampled(cell: SearchCell, names: list[str], random: np.random.Generator) -> tuple[pd.DataFrame, np.ndarray]:
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    study = optuna.create_study(direction="maximize", sampler=optuna.samplers.TPESampler(seed=int(random.integers(1 << 30))))
    for _ in range(cell.rows):
        trial = study.ask()
        row = np.array([trial.suggest_float(name, -1, 1) for name in names])
        study.tell(trial, _result(cell, row, random))
    trials = study.trials
    return pd.DataFrame([trial.params for trial in trials])[names], np.array([trial.value for trial in trials])


def _result(cell: SearchCell, row: np.ndarray, random: np.random.Generator) -> float:
    first, second = (*row, 0.0)[:2]
    effect = {
        "nothing": 0.0,
        "one": 3**0.5 * first,
        "two": 1.5**0.5 * (first + second),
        "product": 3 * first * second,
        "bowl": -((45 / 4) ** 0.5) * first**2,
    }[cell.truth]
    noise = random.normal() if cell.law == "normal" else random.standard_t(3) / 3**0.5
    return float(effect + cell.noise * noise)
