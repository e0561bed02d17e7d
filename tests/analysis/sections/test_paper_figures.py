import pandas as pd
import pytest
from scipy.stats import t

from analysis.section import ACL, BASELINE
from analysis.sections.alpha import alpha_figure, alpha_table
from analysis.sections.curves import curves_figure, curves_table
from analysis.sections.paper_figures import class_figure, fig2_table, fig3_table, temperature_figure
from analysis.sections.trials import search_figure, search_table
from study import names

SSL = "self-supervised"


@pytest.fixture
def study(fakes):
    for subset in ("all", "clean"):
        for alpha in (1.0, 0.5):
            fakes.add(alpha, val=0.5, correct=50, data__subset=subset)
    for temperature in (0.1, 0.2):
        for alpha in (1.0, 0.3):
            fakes.add(alpha, val=0.6, correct=60, mode=SSL, loss__temperature=temperature, **{names.VAL_KNN_ACCURACY: 0.4})
    fakes.add(0.9, val=0.2, correct=0, outcome=names.STOPPED, data__subset="clean")
    return fakes


def test_class_bars_are_the_table_with_its_intervals(study):
    table = fig2_table(study.settings(), study.predictions)
    figure = class_figure(table)
    for bar, side, colour in zip(figure.data, ("baseline", "acl"), (BASELINE, ACL), strict=True):
        assert list(bar.x) == table[f"{side}_accuracy"].tolist()
        assert list(bar.x + bar.error_x.array) == pytest.approx(table[f"{side}_high"].tolist())
        assert list(bar.x - bar.error_x.arrayminus) == pytest.approx(table[f"{side}_low"].tolist())
        assert bar.marker.color == colour
    assert figure.data[0].y[0] == "Engine (25)"


def test_temperature_panels_show_ours_and_all_published_values(study):
    table = fig3_table(study.settings())
    figure = temperature_figure(table)
    ours = [line for line in figure.data if line.name == "ACL, α picked on validation"]
    assert [list(line.x) for line in ours[:2]] == [[0.1, 0.2]] * 2
    assert all(list(axis.tickvals) == table["temperature"].tolist() for axis in figure.select_xaxes())
    assert list(ours[2].y) == table["acl_accuracy"].dropna().tolist()
    published = [line for line in figure.data if line.name == "published ACL"]
    assert list(published[1].y) == table["published_acl_tolerance"].tolist()
    assert all(line.line.dash == "dot" for line in published)
    assert [line.name for line in figure.data if line.showlegend is not False].count("published ACL") == 1
    assert sum(pd.notna(value) for value in figure.data[-1].y) == 1  # the printed erratum


def test_intervals_of_the_two_lines_stand_side_by_side_and_hover_names_the_temperature(study):
    lines = temperature_figure(fig3_table(study.settings())).data
    baseline, acl = (line for line in lines if line.error_y.array is not None)
    assert all(left < temperature < right for left, temperature, right in zip(baseline.x, (0.1, 0.2), acl.x, strict=True))
    assert max(acl.x - baseline.x) < 0.05  # half the way to the next published temperature
    for line in (baseline, acl):
        assert line.customdata[:, 0].tolist() == [0.1, 0.2]
        assert "τ %{customdata[0]}" in line.hovertemplate


def test_means_over_seeds_have_bands_in_place_of_bars(study):
    table = fig3_table(study.settings())
    single = [line.name for line in temperature_figure(table).data if line.fill == "toself"]
    for temperature in (0.1, 0.2):
        for alpha in (1.0, 0.3):
            other = {names.TEST_UNIFORMITY: -alpha - 0.1, names.TEST_TOLERANCE: 0.8}
            study.add(alpha, val=0.6, correct=64, mode=SSL, loss__temperature=temperature, seed=1, **other)
    table = fig3_table(study.settings())
    figure = temperature_figure(table)
    bands = [line for line in figure.data if line.fill == "toself"]
    assert single == []
    assert [band.name for band in bands] == ["contrastive: 95 %", "ACL: 95 %"] * 3
    assert [band.name for band in bands if band.showlegend] == ["contrastive: 95 %", "ACL: 95 %"]
    ours = table.dropna(subset=["acl_accuracy"])
    assert list(bands[-1].x) == [0.1, 0.2, 0.2, 0.1]
    assert list(bands[-1].y) == [*ours["acl_high"], *ours["acl_low"][::-1]]
    half = t.ppf(0.975, 1) * 0.05  # two seeds 0.1 apart
    assert list(bands[1].y) == pytest.approx([0.35 + half] * 2 + [0.35 - half] * 2)  # −uniformity of ACL
    assert list(bands[3].y) == pytest.approx([0.85 + half] * 2 + [0.85 - half] * 2)  # tolerance
    assert all(line.error_y.array is None for line in figure.data)


def test_alpha_panels_are_modes_and_subsets(study):
    figure = alpha_figure(alpha_table(study.settings()))
    titles = [annotation.text for annotation in figure.layout.annotations]
    assert titles == ["supervised, all, margin 0.5", "supervised, clean, margin 0.5", "self-supervised, τ 0.2, margin 0.5"]


def test_search_panels_show_the_largest_subset_and_stopped_trials_hollow(study):
    figure = search_figure(search_table(study.trials, study.predictions))
    titles = [annotation.text for annotation in figure.layout.annotations]
    assert titles == [
        "supervised, clean: α × margin",
        "self-supervised, noisy: α × temperature",
        "self-supervised, noisy: α × margin",
    ]
    assert [(list(points.x), points.marker.symbol) for points in figure.data[:2]] == [
        ([1.0, 0.5], "circle"),
        ([0.9], "circle-open"),
    ]


def test_hover_of_the_search_has_the_interval(study):
    finished, stopped = search_figure(search_table(study.trials, study.predictions)).data[:2]
    assert finished.customdata[0, 3] == "50.0 [35.2, 64.8]"
    assert stopped.customdata[0, 3] == "20.0 [10.5, 34.8]"


def test_a_line_for_each_trial_baseline_in_its_own_colour(study):
    history = pd.DataFrame(
        [(run_id, epoch, names.TRAIN_LOSS, 1 / epoch) for run_id in study.trials["run_id"] for epoch in (1, 2, 3)],
        columns=["run_id", "epoch", "metric", "value"],
    )
    lines = [line for line in curves_figure(curves_table(history, study.trials)).data if line.x[0] is not None]
    assert len(lines) == len(study.trials)
    assert sum(line.line.color == BASELINE for line in lines) == 4
    assert sum(line.line.dash == "dot" for line in lines) == 1


def curves_of(study, values):
    epochs = range(1, len(values) + 1)
    history = pd.DataFrame(
        [
            (run_id, epoch, names.TRAIN_LOSS, value)
            for run_id in study.trials["run_id"]
            for epoch, value in zip(epochs, values, strict=True)
        ],
        columns=["run_id", "epoch", "metric", "value"],
    )
    return curves_figure(curves_table(history, study.trials))


def test_a_curve_of_one_epoch_is_a_mark_and_one_of_many_a_line(study):
    assert {line.mode for line in curves_of(study, [1.0]).data if line.x[0] is not None} == {"lines+markers"}
    assert {line.mode for line in curves_of(study, [1.0] * 30).data if line.x[0] is not None} == {"lines"}


@pytest.mark.parametrize(
    ("losses", "step"), [([1.02, 1.0], 0.005), ([2.0, 1.0], 0.2), ([900.0, 300.0], 200.0), ([10.0, 0.1], None), ([1.0, 1.0], None)]
)
def test_a_narrow_axis_of_losses_has_ticks_in_equal_steps(study, losses, step):
    axis = curves_of(study, losses).layout.yaxis
    assert axis.type == "log"
    assert axis.dtick == (None if step is None else f"L{step:g}")
    assert (axis.tickvals is None) == (step is not None)


@pytest.mark.parametrize(
    ("accuracies", "expected"), [((0.5, 0.5), (0.48, 0.52)), ((1.0, 1.0), (0.96, 1.0)), ((0.313, 0.62), (0.31, 0.62))]
)
def test_a_colour_bar_has_different_whole_percents_within_0_and_100(fakes, accuracies, expected):
    for alpha, val in zip((1.0, 0.5), accuracies, strict=True):
        fakes.add(alpha, val=val, correct=50)
    bar = search_figure(search_table(fakes.trials, fakes.predictions)).layout.coloraxis
    assert (bar.cmin, bar.cmax) == pytest.approx(expected)
