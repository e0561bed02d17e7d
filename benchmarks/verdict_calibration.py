"""How often verdicts about settings err, and whether the stated power is the true one, over a grid of designs.

    PYTHONPATH=.:tests python benchmarks/verdict_calibration.py [STUDIES]

The first table has the designs in which a study of equal settings calls one of them different most often, of all designs of the
grid. The second has, for each number of settings and seeds, the difference that a plan says could be detected, and the true power
at that difference, over spreads of the seeds and numbers of clips. Then come clips of one recording, folds, and studies that are
looked at several times.
"""

import sys
from itertools import product

import numpy as np
import pandas as pd

from analysis.stats.comparisons import compare_settings, largest_gain
from analysis.stats.intervals import NOT_DISTINGUISHABLE, compare_paired
from analysis.stats.power import Design, detectable_difference
from support.simulated_results import ClusteredTest, simulate_clusters
from support.simulated_verdicts import CLIP_VARIANCE, NOISE, Cell, found, found_at_any_look

SETTINGS, SEED_SDS, CLIPS = (1, 4, 9, 29), (0.0, 0.01, 0.03, 0.06), (200, 947)
RUNS = ((3, 3), (5, 5), (10, 10), (3, 5), (5, 3), (3, 10), (10, 3), (5, 10), (10, 5))
WORST = 12  # rows of the first table


def errors(studies: int) -> None:
    """Print the designs that err most often."""
    rates = {}
    for settings, runs, seed_sd, clips in product(SETTINGS, RUNS, SEED_SDS, CLIPS):
        for wide, law in product(("", "baseline", "setting"), ("normal", "t3", "collapse")) if seed_sd else (("", "normal"),):
            cell = Cell(settings, runs, seed_sd, wide, law, clips)
            rates[cell] = float(found(cell, studies).any(axis=1).mean())
    worst = sorted(rates, key=lambda cell: -rates[cell])[:WORST]
    print(f"{len(rates)} designs, {studies} studies each: mean {100 * sum(rates.values()) / len(rates):.2f} %, most:")
    print("| settings | seeds | SD over seeds | wide side | law | clips | errs |\n|---|---|---|---|---|---|---|")
    for cell in worst:
        shown = (cell.settings, "/".join(map(str, cell.runs)), f"{100 * cell.seed_sd:g}", cell.wide or "none", cell.law, cell.clips)
        print("| " + " | ".join(map(str, shown)) + f" | {100 * rates[cell]:.2f} % |", flush=True)


def power(studies: int) -> None:
    """Print stated differences and the power at them."""
    print("\n| settings | seeds | SD over seeds | clips | stated, points | true power |\n|---|---|---|---|---|---|")
    for settings, seeds, seed_sd, clips in product(SETTINGS, (3, 5, 10), SEED_SDS, CLIPS):
        design = Design(clips, (seeds, seeds), settings, seed_sd**2, NOISE, CLIP_VARIANCE)
        stated = detectable_difference(design)
        true = found(Cell(settings, (seeds, seeds), seed_sd, clips=clips), studies, gain=stated, seed=7)[:, 0].mean()
        print(f"| {settings} | {seeds} | {100 * seed_sd:g} | {clips} | {100 * stated:.1f} | {100 * true:.0f} % |", flush=True)


def recordings(studies: int) -> None:
    """Print how often claims err on clips of recordings, and would err if clips counted for themselves."""
    unequal = np.maximum(1, np.random.default_rng(3).geometric(0.12, 60)).tolist()
    print("\n| recordings | clips | correlation | models | as independent clips | best of 4 on test | settings | as independent |")
    print("|---|---|---|---|---|---|---|---|")
    for sizes, correlation in product(((7,) * 20, (7,) * 60, (7,) * 135, tuple(unequal)), (0.2, 0.5, 0.8)):
        generator, test = np.random.default_rng(0), ClusteredTest(sizes, correlation=correlation)
        wrong = np.zeros(5)
        for _ in range(studies):
            first, *others = simulate_clusters(generator, test, 4, 1, 0.0)
            models = [compare_paired(*sides) for sides in ((first, others[0]), (_by_clip(first), _by_clip(others[0])))]
            of_settings = simulate_clusters(generator, test, 1, 3)
            settings = [compare_settings(one, [two])[0] for one, two in (of_settings, map(_by_clip, of_settings))]
            best = min(largest_gain(first, others)) < 0.05
            wrong += [*(each.finding != NOT_DISTINGUISHABLE for each in models), best, *(each.p_value < 0.05 for each in settings)]
        shares = " | ".join(f"{100 * share:.1f} %" for share in wrong / studies)
        print(f"| {len(sizes)} | {sum(sizes)} | {correlation} | {shares} |", flush=True)


def folds(studies: int) -> None:
    """Print how often settings that gain or lose 2 points with a training set are called different over pooled folds."""
    print("\n| folds | seeds | correlation of folds | 1 setting | any of 4 | as independent clips |\n|---|---|---|---|---|---|")
    for number, seeds in product((2, 3, 5, 10), (3, 10)):
        for shared in (0.0, 1 / number):
            generator = np.random.default_rng(0)
            test = ClusteredTest((4000 // number,) * number, "fold", training_effect=0.02, shared_effect=shared)
            wrong = np.zeros(3)
            for _ in range(studies):
                first, *others = simulate_clusters(generator, test, 4, seeds)
                one = compare_settings(first, others[:1])[0].p_value
                several = min(each.p_value for each in compare_settings(first, others))
                by_clip = compare_settings(_by_clip(first), [_by_clip(others[0])])[0].p_value
                wrong += np.array([one, several, by_clip]) < 0.05
            shares = " | ".join(f"{100 * share:.1f} %" for share in wrong / studies)
            print(f"| {number} | {seeds} | {shared:.2f} | {shares} |", flush=True)


def looks(studies: int) -> None:
    """Print how often a study of equal settings finds a difference at any of several looks."""
    print("\n| looks at | settings | SD over seeds | each at 5 % | by the rule |\n|---|---|---|---|---|")
    cases = (("3, then 5, then 10 seeds", (3, 5, 10), 0), ("3, then each up to 10", range(3, 11), 0))
    for words, stages, planned in (*cases, ("each from 3 on while 10 run", range(3, 11), 7)):
        for settings, seed_sd in product((1, 9), (0.005, 0.01, 0.03)):
            cell = Cell(settings, (3, 3), seed_sd)
            shares = " | ".join(f"{100 * share:.1f} %" for share in found_at_any_look(cell, stages, planned, studies))
            print(f"| {words} | {settings} | {100 * seed_sd:g} | {shares} |", flush=True)


def _by_clip(side: pd.DataFrame) -> pd.DataFrame:
    return side.reset_index(drop=True)


if __name__ == "__main__":
    number = int((sys.argv[1:] or ["10000"])[0])
    errors(number)
    power(min(number, 4000))
    recordings(min(number, 1000))
    folds(min(number, 400))
    looks(number)
