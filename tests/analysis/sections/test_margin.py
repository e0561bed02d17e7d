"""Accuracy by margin: its table, figure, columns and sentences."""

import pandas as pd
import pytest

from analysis.report.answer import outcomes
from analysis.section import ACL, BASELINE
from analysis.sections.alpha import alpha_table
from analysis.sections.control import control_section
from analysis.sections.forest import forest_table
from analysis.sections.margin import margin_figure, margin_section, margin_table
from analysis.sections.paper_figures import fig2_table
from analysis.sections.paper_tables import table1, table2
from analysis.settings import comparable_settings, without_margin_sweeps

SSL = "self-supervised"


def outcomes_of(table):
    nothing = pd.DataFrame()
    return outcomes(forest_table(nothing, nothing, table, nothing, nothing), nothing, nothing)


def margins_of(fakes):
    return margin_table(fakes.settings(), fakes.predictions)


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
def margins(fakes):
    for margin, val in ((0.3, 0.5), (0.5, 0.5), (0.9, 0.6)):
        fakes.add(0.7, val=val, correct=70, loss__margin=margin)
        fakes.add(0.3, val=val, correct=55, loss__margin=margin, mode=SSL)
    fakes.add(1.0, val=0.5, correct=50)
    return fakes


def test_margins_that_all_lack_a_seed_pick_nothing_in_words(fakes):
    for margin in (0.3, 0.5, 0.9):
        fakes.add(0.7, val=0.5, correct=70, loss__margin=margin)
    for seed in (0, 1):
        fakes.add(1.0, val=0.5, correct=50, seed=seed)
    settings, _ = comparable_settings(fakes.trials, fakes.predictions)
    (section,) = margin_section(settings, fakes.predictions)
    assert section.text.splitlines()[1] == (
        "Supervised, all, α 0.7: each margin has finished with fewer seeds than other settings of its sweep, so none is selected."
    )
    assert section.figure
    assert outcomes_of(section.frame) == []


def test_the_figure_by_margin_has_a_panel_for_each_mode(margins):
    figure = margin_figure(sections_of(margins)["margin"].frame)
    assert [title.text for title in figure.layout.annotations] == ["supervised, all, α 0.7", "self-supervised, τ 0.2, α 0.3"]
    traces = {(trace.name, trace.xaxis): trace for trace in figure.data}
    assert list(traces["with margin", "x"].x) == [0.3, 0.5, 0.9]
    assert traces["with margin", "x2"].line.color == ACL
    baseline = traces["baseline (α = 1)", "x"]
    assert (list(baseline.x), list(baseline.y), baseline.line.color) == ([0.3, 0.9], [0.5, 0.5], BASELINE)
    assert ("baseline (α = 1)", "x2") not in traces  # none finished
    assert list(traces["selected on validation", "x2"].x) == [0.9]
    assert [shape.x0 for shape in figure.layout.shapes] == [0.5, 0.5]
    assert [bool(shape.showlegend) for shape in figure.layout.shapes] == [True, False]


def test_verdicts_by_margin_stand_in_the_text_and_in_the_summary(margins):
    section = sections_of(margins)["margin"]
    _, supervised, ssl = section.text.splitlines()
    assert supervised.startswith(
        "Supervised, all, α 0.7: validation selects margin 0.9 rad; better (too few seeds: trained models only), +20.0 points ["
    )
    assert ssl == "Self-supervised, τ 0.2, α 0.3: no baseline (α = 1) to compare with has finished."
    (line,) = outcomes_of(section.frame)
    assert line.label == "Supervised, all, by margin"
    assert line.finding.startswith("better, +20.0 points [")
    assert line.lines[0].startswith("α 0.7, margin 0.9 rad: 70.0 % [")


def test_rows_by_margin_say_what_they_are(margins):
    remarks = [row[-1][0] for row in sections_of(margins)["margin"].rows]
    assert remarks == ["", "the paper's margin", "selected on validation", "baseline", *remarks[:3]]
