"""Claims about a winner: about trained models, or about settings."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
import pytest

from analysis.stats.claims import claim, seeds_needed
from analysis.stats.comparisons import compare_settings
from analysis.stats.intervals import compare_paired
from analysis.stats.power import assumed_design, detectable_difference
from support.simulated_results import Sides, simulate_results, simulate_selection
from support.simulated_verdicts import Cell, found_at_any_look


def test_one_seed_allows_the_claim_about_models_only() -> None:
    baseline, others, picked = simulate_results(np.random.default_rng(0), 4, 1, gain=0.6)
    found = claim(baseline, others, picked)
    assert found.models == compare_paired(baseline, others[picked])
    assert found.settings is None
    assert found.finding == "not distinguishable"  # about the settings nothing is known
    assert found.models.finding == "better"
    assert found.verdict.startswith(
        f"trained model better than the baseline's by {found.difference * 100:.1f} points on 947 test clips; "
    )
    assert (
        "best of 4 other settings on validation; one seed, so nothing is known about the settings: to detect such a "
        "difference (power 80 %) takes about" in found.verdict
    )
    assert (found.p_value, found.resolvable) == (found.models.p_value, found.models.resolvable)


def test_several_seeds_allow_a_corrected_claim_about_settings() -> None:
    baseline, others, picked = simulate_results(np.random.default_rng(0), 4, 5, gain=0.6)
    found = claim(baseline, others, picked)
    assert found.settings == compare_settings(baseline, others)[picked]
    assert found.finding == found.settings.finding == "better"
    assert found.interval == (found.settings.low, found.settings.high)
    assert found.verdict == (
        f"better than the baseline by {found.difference * 100:.1f} points over 5 seeds and 947 test clips; best of 4 "
        f"other settings on validation, corrected for that; it could detect {found.settings.resolvable * 100:.1f} points"
    )


def test_another_candidate_with_one_seed_does_not_end_the_claim_about_settings() -> None:
    baseline, others, picked = simulate_results(np.random.default_rng(0), 3, 5, gain=0.6)
    whole = claim(baseline, others, picked)
    others[(picked + 1) % 3] = others[(picked + 1) % 3].iloc[:, :1]
    found = claim(baseline, others, picked)
    assert found.settings is not None
    assert found.settings.candidates == 3
    assert found.finding == whole.finding == "better"


@pytest.mark.parametrize(("ours", "baselines"), [(2, 2), (2, 10), (10, 2), (1, 3)])
def test_fewer_than_three_seeds_claim_nothing_about_settings(ours: int, baselines: int) -> None:
    baseline, (other,), _ = simulate_results(np.random.default_rng(0), 1, 10, gain=0.6)
    found = claim(baseline.iloc[:, :baselines], [other.iloc[:, :ours]], 0)
    assert found.settings is None
    assert f"{'one seed' if ours == 1 else '2 seeds'}, so nothing is known about the settings" in found.verdict


def test_ten_seeds_of_one_setting_are_not_distinguishable() -> None:
    """The negative control: runs that differ in the seed only, one of which is called the baseline."""
    generator = np.random.default_rng(0)
    runs, _, _ = simulate_results(generator, 1, 10, clips=300, seed_sd=0.4)
    for number, column in enumerate(runs.columns):
        others = [runs[[each]] for each in runs.columns if each != column]
        assert claim(runs[[column]], others, number % 9).finding == "not distinguishable"


def test_no_seeds_are_proposed_for_undetectable_differences() -> None:
    assert seeds_needed(0.01, 947, 0.15, 1) == (None, None)
    low, high = seeds_needed(0.06, 947, 0.15, 1)
    assert low == 3
    assert high is not None
    needed, fewer = (detectable_difference(assumed_design(947, seeds, 1, 0.04, 0.15)) for seeds in (high, high - 1))
    assert needed <= 0.06 < fewer
    low, _ = seeds_needed(0.03, 947, 0.25, 1)
    assert low is not None
    assert low <= 10  # a true gain of 3 points is found by 10 seeds that scatter by 1
    baseline = pd.DataFrame({0: np.arange(947) < 600})
    verdict = claim(baseline, [pd.DataFrame({0: np.arange(947) < 610})], 0).verdict
    assert "the only candidate; one seed, so nothing is known about the settings" in verdict


def test_a_baseline_selected_among_many_rarely_errs() -> None:
    """Ten baselines against one setting, all equally good; validation selects the luckiest baseline."""
    generator, studies = np.random.default_rng(0), 120
    corrected = alone = 0
    for _ in range(studies):
        baselines, first, others, picked = simulate_selection(generator, Sides(10, 1, 3), clips=400, seed_sd=0.4)
        rivals = [each for place, each in enumerate(baselines) if place != first]
        corrected += claim(baselines[first], others, picked, rivals=rivals).finding != "not distinguishable"
        alone += claim(baselines[first], others, picked).finding != "not distinguishable"
    assert corrected <= 0.05 * studies < alone


def test_rivals_of_the_baseline_only_widen_the_interval() -> None:
    baselines, first, others, picked = simulate_selection(np.random.default_rng(0), Sides(3, 3, 5), gain=0.6)
    rivals = [each for place, each in enumerate(baselines) if place != first]
    alone, among = claim(baselines[first], others, picked), claim(baselines[first], others, picked, rivals=rivals)
    assert among.difference == alone.difference
    assert among.interval[0] < alone.interval[0] < alone.interval[1] < among.interval[1]
    assert among.p_value >= alone.p_value - 1e-4  # both are draws
    assert "selected among 3 baselines and 3 settings, corrected for that" in among.verdict
    assert among.resolvable > alone.resolvable  # as all pairs are corrected for


def test_equivalence_is_two_one_sided_tests() -> None:
    baseline, (other,), _ = simulate_results(np.random.default_rng(0), 1, 5, seed_sd=0.02)
    comparison = compare_settings(baseline, [other])[0]
    half = (comparison.equivalence_high - comparison.equivalence_low) / 2
    assert comparison.equivalence_low < comparison.difference < comparison.equivalence_high
    assert half < (comparison.high - comparison.low) / 2  # 90 %, not 95 %
    edge = max(abs(comparison.equivalence_low), abs(comparison.equivalence_high))
    assert comparison.is_equivalent(edge + 1e-9)
    assert not comparison.is_equivalent(edge - 1e-9)


@pytest.mark.parametrize("seeds", [1, 3])
def test_tables_say_which_claim_they_make(fakes, seeds: int) -> None:
    from analysis.sections.paper_tables import table1

    generator = np.random.default_rng(0)
    for seed in range(seeds):
        for alpha, share in ((1.0, 0.3), (0.5, 0.9), (0.3, 0.8)):
            fakes.add(alpha, val=share, correct=generator.random(100) < share, seed=seed)
    row = table1(fakes.settings(), fakes.predictions).set_index("subset").loc["all"]
    assert row["claim"] == ("models" if seeds == 1 else "settings")
    assert row["finding"] == ("not distinguishable" if seeds == 1 else "better")
    assert row["models_finding"] == "better"
    assert (row["settings_tried"], row["alpha"]) == (2, 0.5)


@pytest.mark.parametrize(("looks", "planned"), [((3, 5, 10), 0), (range(3, 11), 7)])
@pytest.mark.parametrize("settings", [1, 9])
def test_all_looks_together_err_in_five_percent(looks: Sequence[int], planned: int, settings: int) -> None:
    each_at_5, by_rule = found_at_any_look(Cell(settings, (3, 3), 0.01), looks, planned, studies=4000)
    assert by_rule < 0.045
    assert each_at_5 > 1.8 * by_rule
