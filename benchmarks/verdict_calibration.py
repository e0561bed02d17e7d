"""How often verdicts about settings err, and whether the stated power is the true one, over a grid of designs.

    PYTHONPATH=.:tests python benchmarks/verdict_calibration.py [STUDIES]

The first table has the designs in which a study of equal settings calls one of them different most often, of all designs of the
grid. The second has, for each number of settings and seeds, the difference that a plan says could be detected, and the true power
at that difference, over spreads of the seeds and numbers of clips.
"""

import sys
from itertools import product

from analysis.stats.power import Design, detectable_difference
from support.simulated_verdicts import CLIP_VARIANCE, NOISE, Cell, found

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


if __name__ == "__main__":
    number = int((sys.argv[1:] or ["10000"])[0])
    errors(number)
    power(min(number, 4000))
