"""How often the verdicts err, and how often they find a true difference, on simulated studies.

    PYTHONPATH=.:tests python benchmarks/claim_error_rates.py [STUDIES]

Settings are picked on 150 validation clips and tested on 947. Columns: seeds, settings, standard deviation of a setting's accuracy
over seeds, true gain in points; then shares of the studies in which the settings are said to differ: of the one picked on
validation, as reported; of the same one without the correction; of any of them, as when the best is read off the test results
(with one seed: of the trained models). `models` is the share in which the trained models are said to differ: they do, by the luck
of their seeds.

A second table has studies with several baselines, of which validation picks one, too: the share in which the picked setting is said
to differ, as reported, and with the correction for the settings alone. The names of settings play no part in any of this, so a grid
of names is a row with as many settings.

A third table has equivalence: the share of studies that call the picked setting equivalent within 3 points where the true
difference is just that, and where there is none.
"""

import sys

import numpy as np

from analysis.stats.comparisons import compare_settings, largest_gain
from analysis.stats.intervals import compare_paired
from support.simulated_results import Sides, expected_accuracy, simulate_results, simulate_selection

GAINS = {0.0: "0", 0.2: "3", 0.43: "6"}


def row(studies: int, settings: int, seeds: int, seed_sd: float, gain: float) -> dict[str, object]:
    """Shares over the studies."""
    generator = np.random.default_rng(0)
    found = dict.fromkeys(("picked", "uncorrected", "any", "models"), 0)
    spread = []
    for _ in range(studies):
        baseline, others, picked = simulate_results(generator, settings, seeds, seed_sd=seed_sd, gain=gain)
        spread.append(baseline.mean().std(ddof=1) if seeds > 1 else np.nan)
        found["models"] += compare_paired(baseline, others[picked]).finding != "not distinguishable"
        if seeds == 1:
            found["any"] += min(largest_gain(baseline, others)) < 0.05
            continue
        compared = compare_settings(baseline, others)
        found["picked"] += compared[picked].p_value < 0.05
        found["any"] += min(each.p_value for each in compared) < 0.05
        found["uncorrected"] += compare_settings(baseline, [others[picked]])[0].p_value < 0.05
    points = 100 * (expected_accuracy(gain, seed_sd) - expected_accuracy(0, seed_sd))
    shares = {name: round(count / studies, 3) for name, count in found.items()}
    return {
        "seeds": seeds,
        "settings": settings,
        "seed SD": round(100 * float(np.mean(spread)), 1),
        "gain": round(points, 1),
        **shares,
    }


def row_of_baselines(studies: int, sides: Sides, seed_sd: float) -> dict[str, object]:
    """Shares over the studies, without any true difference."""
    generator = np.random.default_rng(0)
    found = {"picked": 0, "settings alone": 0}
    for _ in range(studies):
        baselines, first, others, picked = simulate_selection(generator, sides, seed_sd=seed_sd)
        rivals = [each for place, each in enumerate(baselines) if place != first]
        found["picked"] += compare_settings(baselines[first], others, rivals)[picked].p_value < 0.05
        found["settings alone"] += compare_settings(baselines[first], others)[picked].p_value < 0.05
    shares = {name: round(count / studies, 3) for name, count in found.items()}
    return {**sides._asdict(), "luck": seed_sd, **shares}


def row_of_equivalence(studies: int, settings: int, seeds: int, seed_sd: float) -> dict[str, object]:
    """Shares over the studies."""
    generator, gain = np.random.default_rng(0), 0.2
    bound = expected_accuracy(gain, seed_sd) - expected_accuracy(0, seed_sd)
    found = {"at the bound": 0, "equal": 0}
    for _ in range(studies):
        for name, true_gain in (("at the bound", gain), ("equal", 0.0)):
            baseline, others, picked = simulate_results(generator, settings, seeds, seed_sd=seed_sd, gain=true_gain)
            found[name] += compare_settings(baseline, others)[picked].is_equivalent(bound)
    shares = {name: round(count / studies, 3) for name, count in found.items()}
    return {"settings": settings, "seeds": seeds, "luck": seed_sd, **shares}


def main(studies: int) -> None:
    for number, line in enumerate(
        row(studies, settings, seeds, seed_sd, gain)
        for seeds in (1, 3, 5)
        for settings in (1, 4, 11)
        for seed_sd, gains in ((0.15, GAINS), (0.4, [0.0]))
        for gain in gains
    ):
        print(("" if number else " | ".join(line) + "\n") + " | ".join(map(str, line.values())), flush=True)
    for number, line in enumerate(
        row_of_baselines(studies, Sides(baselines, settings, seeds), seed_sd)
        for seeds in (3, 5)
        for baselines, settings in ((1, 1), (3, 3), (10, 1), (10, 10))
        for seed_sd in (0.15, 0.4)
    ):
        print(("" if number else "\n" + " | ".join(line) + "\n") + " | ".join(map(str, line.values())), flush=True)
    for number, line in enumerate(
        row_of_equivalence(studies, settings, seeds, seed_sd)
        for seeds in (3, 5, 10)
        for settings in (1, 4)
        for seed_sd in (0.05, 0.15)
    ):
        print(("" if number else "\n" + " | ".join(line) + "\n") + " | ".join(map(str, line.values())), flush=True)


if __name__ == "__main__":
    main(int((sys.argv[1:] or ["400"])[0]))
