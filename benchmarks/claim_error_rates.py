"""How often the verdicts err, and how often they find a true difference, on simulated studies.

    PYTHONPATH=.:tests python benchmarks/claim_error_rates.py [STUDIES]

Settings are picked on 150 validation clips and tested on 947. Columns: seeds, settings, standard deviation of a setting's accuracy
over seeds, true gain in points; then shares of the studies in which the settings are said to differ: of the one picked on
validation, as reported; of the same one without the correction; of any of them, as when the best is read off the test results
(with one seed: of the trained models). `models` is the share in which the trained models are said to differ: they do, by the luck
of their seeds.

A second table has studies with several baselines, of which validation picks one, too: the share in which the picked setting is said
to differ, as reported, and with the correction for the settings alone.

A third table has equivalence: the share of studies that call the picked setting equivalent within 3 points where the true
difference is just that, and where there is none.

A fourth has studies of names, an encoder and an optimiser, through the tables of the report: the share in which the report calls
the selected setting different though all are equal.
"""

import sys

import numpy as np
import pandas as pd

from analysis.question import Question
from analysis.sections.comparisons import comparison_table
from analysis.settings import comparable_settings
from analysis.stats.comparisons import compare_settings, largest_gain
from analysis.stats.intervals import compare_paired
from study import names
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


def row_of_names(studies: int, encoders: int, optimisers: int, seeds: int) -> dict[str, object]:
    """Share over the studies, each read as the report reads it; the first optimiser's encoder is the baseline."""
    generator, different = np.random.default_rng(0), 0
    kinds = [(f"encoder {x}", f"optimiser {y}") for y in range(optimisers) for x in range(encoders)]
    question = Question({"model.encoder": kinds[0][0]}, ("data.subset",), ("model.encoder", "optim.kind"))
    for _ in range(studies):
        baselines, _, others, _ = simulate_selection(generator, Sides(optimisers, len(kinds) - optimisers, seeds), clips=400)
        tables = iter(others)
        ordered = [baselines.pop() if encoder == kinds[0][0] else next(tables) for encoder, _ in kinds]
        trials, predictions = _records(kinds, ordered, generator)
        settings, _ = comparable_settings(trials, predictions, question)
        (found,) = comparison_table(settings, predictions, question).to_dict("records")
        different += found["finding"] in ("better", "worse")
    return {"encoders": encoders, "optimisers": optimisers, "seeds": seeds, "different": round(different / studies, 3)}


def _records(
    kinds: list[tuple[str, str]], tables: list[pd.DataFrame], generator: np.random.Generator
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Trials and predictions of settings whose results are `tables`; validation is a share of other clips with the same luck."""
    rows, parts = [], []
    for (encoder, optimiser), table in zip(kinds, tables, strict=True):
        for seed in table.columns:
            run_id, right = f"{encoder}{optimiser}{seed}", table[seed].to_numpy()
            accuracy = float(right.mean())
            settings = {"model.encoder": encoder, "optim.kind": optimiser, "loss.alpha": 0.3, "data.subset": "all", "seed": seed}
            about = {"run_id": run_id, "study": "s", "sweep": "s", "corpus": "c", "confirms": "", "changed_settings": False}
            about["objective"] = names.VAL_ACCURACY
            figures = {names.VAL_ACCURACY: generator.binomial(150, accuracy) / 150, names.TEST_ACCURACY: accuracy}
            rows.append({**about, "mode": "supervised", "outcome": names.FINISHED, **settings, **figures})
            clips = {"run_id": run_id, "split": "test", "clip": table.index, "label": "a", "patches": 1}
            parts.append(pd.DataFrame({**clips, "predicted": np.where(right, "a", "b")}))
    return pd.DataFrame(rows), pd.concat(parts, ignore_index=True)


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
    for number, line in enumerate(
        row_of_names(studies, encoders, optimisers, seeds)
        for seeds in (3, 5)
        for encoders, optimisers in ((2, 1), (4, 1), (2, 2), (3, 3))
    ):
        print(("" if number else "\n" + " | ".join(line) + "\n") + " | ".join(map(str, line.values())), flush=True)


if __name__ == "__main__":
    main(int((sys.argv[1:] or ["400"])[0]))
