"""Margins and the negative control: their tables, figures, columns and sentences."""

import math
import statistics

import numpy as np
import pandas as pd
import pytest
from scipy.stats import binomtest
from statsmodels.stats.proportion import proportion_confint

from analysis.report.answer import control_lines, margin_lines
from analysis.report.report import write_report
from analysis.section import ACL, BASELINE
from analysis.sections.alpha import alpha_table
from analysis.sections.control import best_of_gains, control_section, null_figure, null_table
from analysis.sections.margin import margin_figure, margin_section, margin_table
from analysis.sections.paper_figures import fig2_table
from analysis.sections.paper_tables import table1, table2
from analysis.settings import comparable_settings, without_margin_sweeps
from study import names

SSL = "self-supervised"


VAL = (0.50, 0.60, 0.55, 0.60, 0.45)  # seeds 1 and 3 tie


CORRECT = (50, 58, 54, 70, 52)


def null_of(fakes):
    settings, _ = comparable_settings(fakes.trials, fakes.predictions)
    return null_table(settings, fakes.trials, fakes.predictions)


def margins_of(fakes):
    return margin_table(fakes.settings(), fakes.predictions)


def gains_by_brute_force(criterion, test):
    """Mean gain over the baseline when each run is the baseline once: of the best of all runs, and of the best of the others."""
    runs = range(len(test))

    def best(candidates):
        return max(candidates, key=lambda run: (criterion[run], -run))

    of_all = [test[best(runs)] - test[baseline] for baseline in runs]
    of_others = [test[best([run for run in runs if run != baseline])] - test[baseline] for baseline in runs]
    return statistics.mean(of_all), statistics.mean(of_others)


@pytest.fixture
def five_seeds(fakes):
    for seed in (4, 2, 0, 1, 3):  # not in their order
        fakes.add(1.0, val=VAL[seed], correct=CORRECT[seed], seed=seed)
    return fakes


def test_seeds_are_ranked_on_validation_then_by_number(five_seeds):
    table = null_of(five_seeds)
    assert table["seed"].tolist() == [1, 3, 2, 0, 4]
    assert table["val_rank"].tolist() == [1, 1, 3, 4, 5]
    assert table["accuracy"].tolist() == pytest.approx([0.58, 0.70, 0.54, 0.50, 0.52])
    assert table.loc[table["picked"], "seed"].tolist() == [1]
    assert table.loc[table["best_on_test"], "seed"].tolist() == [3]
    assert (table[["mode", "subset"]] == ["supervised", "all"]).all(axis=None)


def test_every_seed_has_the_intervals_of_its_clips(five_seeds):
    row = null_of(five_seeds).iloc[0]
    assert tuple(row[["val_low", "val_high"]]) == pytest.approx(proportion_confint(24, 40, method="wilson"))
    assert tuple(row[["low", "high"]]) == pytest.approx(proportion_confint(58, 100, method="wilson"))


def test_mean_spread_and_gains_of_the_control_by_hand(five_seeds):
    row = null_of(five_seeds).iloc[0]
    mean = (0.50 + 0.58 + 0.54 + 0.70 + 0.52) / 5
    assert (row["runs"], row["mean"]) == (5, pytest.approx(mean))
    assert row["sd"] == pytest.approx(statistics.stdev([0.50, 0.58, 0.54, 0.70, 0.52]))
    assert row["minus_mean"] == row["gain_val"] == pytest.approx(0.58 - mean)
    assert row["gain_test"] == pytest.approx(0.70 - mean)
    # The tied run 3 is second on validation and replaces the picked one where that is the baseline.
    assert row["gain_val_of_others"] == pytest.approx((4 * 0.58 + 0.70) / 5 - mean)
    assert row["gain_test_of_others"] == pytest.approx((4 * 0.70 + 0.58) / 5 - mean)


@pytest.mark.parametrize("seed", range(20))
def test_gains_equal_a_loop_over_which_run_is_the_baseline(seed):
    generator = np.random.default_rng(seed)
    runs = int(generator.integers(2, 12))
    val, test = (generator.integers(0, 6, runs) / 6 for _ in range(2))  # with many ties
    gains = best_of_gains(list(val), list(test))
    for name, criterion in (("gain_val", val), ("gain_test", test)):
        assert (gains[name], gains[f"{name}_of_others"]) == pytest.approx(gains_by_brute_force(criterion, test))


def test_runs_that_differ_from_the_selected_one_are_counted(five_seeds):
    table = null_of(five_seeds).set_index("seed")
    # Of nested right answers only one side has clips of its own: 12, 4, 8 and 6 against the picked run.
    expected = {seed: binomtest(0, clips).pvalue for seed, clips in {3: 12, 2: 4, 0: 8, 4: 6}.items()}
    assert table["mcnemar_p"].dropna().to_dict() == pytest.approx(expected)
    assert math.isnan(table.loc[1, "mcnemar_p"])
    assert sum(p < 0.05 for p in expected.values()) == 3
    assert table["significant"].unique().tolist() == [3]


def test_fewer_than_five_finished_seeds_are_no_control(fakes):
    for seed in range(4):
        fakes.add(1.0, val=0.5, correct=50, seed=seed)
    fakes.add(1.0, val=0.9, correct=90, seed=4, outcome=names.FAILED)
    fakes.add(1.0, val=0.9, correct=90, seed=3)  # again, not another seed
    for seed in range(6):
        fakes.add(0.5, val=0.5, correct=50, seed=seed)  # enough seeds, but not of the baseline
    assert null_of(fakes).empty


def test_the_control_takes_the_seeds_that_finished(fakes):
    for seed in (0, 3, 4, 7, 8, 9):
        fakes.add(1.0, val=0.5 + seed / 100, correct=50, seed=seed)
    fakes.add(1.0, val=0.9, correct=99, seed=5, outcome=names.STOPPED)
    table = null_of(fakes)
    assert table["seed"].tolist() == [9, 8, 7, 4, 3, 0]
    assert table["runs"].unique().tolist() == [6]
    assert table["significant"].unique().tolist() == [0]


def test_each_repeated_setting_is_a_control_of_its_own(fakes):
    for seed in range(5):
        fakes.add(1.0, val=0.5, correct=50 + seed, seed=seed, mode=SSL, loss__temperature=0.5)
        fakes.add(1.0, val=0.5, correct=60 + seed, seed=seed, mode=SSL, loss__temperature=0.2)
        fakes.add(1.0, val=0.5, correct=70 + seed, seed=seed, data__subset="clean")
    table = null_of(fakes)
    groups = table[["mode", "subset", "temperature"]].drop_duplicates()
    assert groups["mode"].tolist() == ["supervised", SSL, SSL]
    assert groups["temperature"].tolist()[1:] == [0.2, 0.5]
    assert table.groupby("mean", sort=False).size().to_dict() == pytest.approx({0.72: 5, 0.62: 5, 0.52: 5})


def test_margins_are_shown_at_the_alpha_with_most_of_them(fakes):
    for margin, val, correct in ((0.5, 0.50, 55), (0.1, 0.55, 90), (0.9, 0.60, 62), (1.3, 0.60, 61)):
        fakes.add(0.7, val=val, correct=correct, loss__margin=margin)
    for margin in (0.5, 0.7, 0.9):
        fakes.add(0.4, val=0.9, correct=95, loss__margin=margin)
    fakes.add(1.0, val=0.5, correct=50)
    table = margins_of(fakes)
    assert table["alpha"].tolist() == [0.7] * 4 + [1.0]
    assert table["margin"].tolist()[:4] == [0.1, 0.5, 0.9, 1.3]
    assert table["baseline"].tolist() == [False] * 4 + [True]
    assert table["accuracy"].tolist() == pytest.approx([0.90, 0.55, 0.62, 0.61, 0.50])
    assert table["val_accuracy"].tolist() == [0.55, 0.50, 0.60, 0.60, 0.50]
    assert table.loc[table["papers"], "margin"].tolist() == [0.5]
    # 0.9 and 1.3 tie on validation: the smaller. 12 clips differ, all for the margin.
    (winner,) = table[table["picked"]].to_dict("records")
    assert (winner["margin"], winner["settings_tried"]) == (0.9, 4)
    assert (winner["difference"], winner["p_value"]) == pytest.approx((0.12, 2 * 0.5**12))
    assert winner["verdict"].startswith("trained model better than the baseline's by 12.0 points on 100 test clips; best of 4")
    assert table.loc[~table["picked"], "difference"].isna().all()
    assert (table.loc[~table["picked"], "verdict"] == "").all()


def test_margins_are_means_over_seeds_at_one_temperature(fakes):
    for seed in range(3):
        for margin in (0.3, 0.5, 0.7):
            fakes.add(0.3, val=margin, correct=60 + seed, mode=SSL, loss__margin=margin, seed=seed)
        fakes.add(1.0, val=0.5, correct=50 + seed, mode=SSL, seed=seed)
        fakes.add(1.0, val=0.9, correct=90, mode=SSL, loss__temperature=0.7, seed=seed)
    table = margins_of(fakes)
    assert table["seeds"].tolist() == [3] * 4
    assert table["accuracy"].tolist() == pytest.approx([0.61] * 3 + [0.51])  # clips, not patches
    assert table["temperature"].unique().tolist() == [0.2]
    assert table.loc[table["picked"], "margin"].tolist() == [0.7]


def test_a_sweep_of_the_margin_without_a_baseline_has_no_verdict(fakes):
    for margin in (0.3, 0.5, 0.7):
        fakes.add(0.7, val=0.5, correct=50, loss__margin=margin)
    table = margins_of(fakes)
    assert not table["baseline"].any()
    assert table["picked"].tolist() == [True, False, False]
    assert (table["verdict"] == "").all()


def test_two_margins_at_one_alpha_are_no_sweep(fakes):
    for alpha in (0.3, 0.7):
        for margin in (0.5, 0.9):
            fakes.add(alpha, val=0.5, correct=50, loss__margin=margin)
    fakes.add(0.31, val=0.5, correct=50, loss__margin=1.1)
    fakes.add(1.0, val=0.5, correct=50)
    assert margins_of(fakes).empty


def test_both_tables_are_empty_without_settings(fakes):
    fakes.add(1.0, val=0.5, correct=50, outcome=names.FAILED)
    assert null_of(fakes).empty
    assert margins_of(fakes).empty


def test_a_margin_sweep_does_not_change_the_papers_tables(fakes):
    for mode in ("supervised", SSL):
        for alpha, val in ((1.0, 0.50), (0.3, 0.52), (0.5, 0.54), (0.7, 0.51)):
            fakes.add(alpha, val=val, correct=round(100 * val), mode=mode)
    before, predictions = fakes.settings(), fakes.predictions
    for mode in ("supervised", SSL):
        for margin in (0.1, 0.3, 0.7, 0.9):
            fakes.add(0.7, val=0.9, correct=90, mode=mode, loss__margin=margin)
    settings = fakes.settings()
    after = without_margin_sweeps(settings)
    for table in (table1, table2, fig2_table):
        pd.testing.assert_frame_equal(table(after, fakes.predictions), table(before, predictions))
    pd.testing.assert_frame_equal(alpha_table(settings), alpha_table(before))


def test_settings_of_a_joint_search_stay_candidates(fakes):
    for alpha, margin in ((0.3, 0.4), (0.31, 0.6), (0.32, 0.8), (0.7, 0.5), (0.7, 0.9)):
        fakes.add(alpha, val=0.5, correct=50, loss__margin=margin)
    for margin in (0.2, 0.4, 0.6):  # the published margin is not among them
        fakes.add(0.8, val=0.5, correct=50, loss__margin=margin)
    settings = fakes.settings()
    assert without_margin_sweeps(settings).equals(settings)


def sections_of(fakes):
    settings = fakes.settings()
    found = [*margin_section(settings, fakes.predictions), *control_section(settings, fakes.trials, fakes.predictions)]
    return {section.anchor: section for section in found}


@pytest.fixture
def ten_seeds(fakes):
    for seed, correct in enumerate((60, 61, 59, 62, 58, 75, 57, 60, 61, 47)):
        fakes.add(1.0, val=0.6 if seed == 3 else 0.5, correct=correct, seed=seed)
    return fakes


@pytest.fixture
def margins(fakes):
    for margin, val in ((0.3, 0.5), (0.5, 0.5), (0.9, 0.6)):
        fakes.add(0.7, val=val, correct=70, loss__margin=margin)
        fakes.add(0.3, val=val, correct=55, loss__margin=margin, mode=SSL)
    fakes.add(1.0, val=0.5, correct=50)
    return fakes


def test_the_control_is_explained_with_its_numbers(ten_seeds):
    first, second = sections_of(ten_seeds)["null"].text.splitlines()
    # mean 60.0, spread by hand; of ten baselines nine meet seed 3 (62) and seed 3 meets seed 0 (60): 61.8 on average
    spread = np.std([60, 61, 59, 62, 58, 75, 57, 60, 61, 47], ddof=1)
    assert first == (
        "Ten runs of the same setting (supervised, all, α = 1), which differ in the seed only, as if they were ten settings: the "
        f"one picked on validation scores 62.0 % on test, +2.0 points against the mean of all ten (60.0 % ± {spread:.1f} SD), and "
        "picking on test would have shown +15.0 points. Where one of them at random is the baseline, the best of the other nine "
        "differs from it by +1.8 points on average when picked on validation and by +13.7 when picked on test: in a sweep of ten "
        "settings with one seed each, differences of this size can be luck alone; of the nine others compared with the picked run, "
        "two differ “significantly” (McNemar, 5 %, unadjusted)."
    )
    assert "exact" in second


def test_margins_that_all_lack_a_seed_pick_nothing_in_words(fakes):
    for margin in (0.3, 0.5, 0.9):
        fakes.add(0.7, val=0.5, correct=70, loss__margin=margin)
    for seed in (0, 1):
        fakes.add(1.0, val=0.5, correct=50, seed=seed)
    settings, _ = comparable_settings(fakes.trials, fakes.predictions)
    (section,) = margin_section(settings, fakes.predictions)
    assert section.text.splitlines()[1] == (
        "Supervised, all, α 0.7: each margin has finished with fewer seeds than other settings of its sweep; none is picked."
    )
    assert section.figure
    assert margin_lines(section.frame) == []


@pytest.mark.parametrize(("last", "words"), [(50, "none differs"), (60, "one differs")])
def test_the_number_of_significant_runs_is_grammatical(fakes, last, words):
    for seed in range(5):
        fakes.add(1.0, val=0.5, correct=last if seed == 4 else 50, seed=seed)
    assert "Five runs of the same setting" in sections_of(fakes)["null"].text
    assert f"of the four others compared with the picked run, {words} “significantly”" in sections_of(fakes)["null"].text


def test_the_control_figure_marks_the_selected_and_the_best_run(ten_seeds):
    table = sections_of(ten_seeds)["null"].frame
    runs, mean, picked, best = null_figure(table).data
    assert list(runs.x) == ["3", "0", "1", "2", "4", "5", "6", "7", "8", "9"]
    assert list(runs.y) == table["accuracy"].tolist()
    assert list(runs.y + runs.error_y.array) == pytest.approx(table["high"].tolist())
    assert list(mean.y) == pytest.approx([0.6] * 10)
    assert (picked.name, list(picked.x), list(picked.y)) == ("picked on validation", ["3"], [0.62])
    assert (best.name, list(best.x), list(best.y)) == ("best on test", ["5"], [0.75])
    assert picked.marker.symbol != best.marker.symbol


def test_the_figure_by_margin_has_a_panel_for_each_mode(margins):
    figure = margin_figure(sections_of(margins)["margin"].frame)
    assert [title.text for title in figure.layout.annotations] == ["supervised, all, α 0.7", "self-supervised, τ 0.2, α 0.3"]
    traces = {(trace.name, trace.xaxis): trace for trace in figure.data}
    assert list(traces["with margin", "x"].x) == [0.3, 0.5, 0.9]
    assert traces["with margin", "x2"].line.color == ACL
    baseline = traces["baseline (α = 1)", "x"]
    assert (list(baseline.x), list(baseline.y), baseline.line.color) == ([0.3, 0.9], [0.5, 0.5], BASELINE)
    assert ("baseline (α = 1)", "x2") not in traces  # none finished
    assert list(traces["picked on validation", "x2"].x) == [0.9]
    assert [shape.x0 for shape in figure.layout.shapes] == [0.5, 0.5]
    assert [bool(shape.showlegend) for shape in figure.layout.shapes] == [True, False]


def test_verdicts_by_margin_stand_in_the_text_and_in_the_summary(margins):
    section = sections_of(margins)["margin"]
    _, supervised, ssl = section.text.splitlines()
    assert supervised.startswith(
        "Supervised, all, α 0.7: margin 0.9 rad: trained model better than the baseline's by 20.0 points on 100 test clips (best "
        "of 3 on validation; one seed, so nothing is known about the settings: that would take about 2 seeds of each); difference "
        "in test accuracy +20.0 points ["
    )
    assert ssl == "Self-supervised, τ 0.2, α 0.3: no baseline (α = 1) to compare with has finished."
    (line,) = margin_lines(section.frame)
    assert (line.label, line.finding) == (
        "Supervised, all, by margin",
        "Trained model better than the baseline's by 20.0 points on 100 test clips",
    )
    assert line.numbers.startswith("α 0.7, margin 0.9 rad: test accuracy 70.0 % [")


def test_the_summary_of_the_control(ten_seeds):
    (line,) = control_lines(sections_of(ten_seeds)["null"].frame)
    assert line.finding == "+1.8 points from nothing but the seed when picked on validation, +13.7 when picked on test"
    assert line.reservation == "expected gain of the best of 9 runs over one more, all of the same setting"


def test_rows_by_margin_say_what_they_are(margins):
    remarks = [row[-1][0] for row in sections_of(margins)["margin"].rows]
    assert remarks == ["", "the paper's margin", "picked on validation", "baseline", *remarks[:3]]


def test_rows_of_the_control_say_what_they_are(ten_seeds):
    remarks = [row[-1][0] for row in sections_of(ten_seeds)["null"].rows]
    assert remarks == ["picked on validation", "", "", "", "", "best on test", "", "", "", ""]


def test_there_are_no_sections_without_their_data(fakes):
    for seed in range(4):
        fakes.add(1.0, val=0.5, correct=50, seed=seed)
        fakes.add(0.5, val=0.5, correct=50, seed=seed)
    assert sections_of(fakes) == {}


def test_a_report_has_the_sections_of_its_own_trials_only(records, tmp_path):
    null, margin = records.study("null"), records.study("margin")
    for seed in range(5):
        records.trial(null, alpha=1.0, seed=seed, correct=50 + seed)
    for value in (0.1, 0.5, 0.9):
        records.trial(margin, alpha=0.7, loss__margin=value, correct=70, val=value)
    pages = {}
    for studies in (["null", "margin"], ["null"], ["margin"]):
        pages["+".join(studies)] = write_report(records.uri, studies, tmp_path).read_text(encoding="utf-8")
        csv = {path.stem for path in tmp_path.glob("*.csv")}
        for anchor in ("null", "margin"):
            assert (anchor in csv) == (f'<section id="{anchor}">' in pages["+".join(studies)]) == (anchor in studies)
    assert "Negative control, supervised, all" in pages["null"]
    assert "nothing to compare" not in pages["null"]
    assert "2 settings with other margins are no candidates" in pages["null+margin"]
    both = pages["null+margin"]
    places = [both.index(f'<section id="{anchor}">') for anchor in ("alpha", "margin", "null", "search")]
    assert places == sorted(places)


def test_the_file_of_the_control_is_its_table(records, tmp_path):
    study = records.study("null")
    for seed in range(5):
        records.trial(study, alpha=1.0, seed=seed, correct=50 + seed, val=0.5 + seed / 100)
    write_report(records.uri, ["null"], tmp_path)
    written = pd.read_csv(tmp_path / "null.csv")
    assert written["seed"].tolist() == [4, 3, 2, 1, 0]
    assert written["accuracy"].tolist() == pytest.approx([0.54, 0.53, 0.52, 0.51, 0.50])
