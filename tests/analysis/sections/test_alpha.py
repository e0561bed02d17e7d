"""Accuracy by alpha: the table, and the panels of its figure."""

import pytest
from scipy.stats import t

from analysis.sections.alpha import alpha_figure, alpha_table
from analysis.sections.paper_figures import fig3_table, temperature_figure
from study import names

SSL = "self-supervised"


def test_alpha_table_stays_on_one_margin_and_temperature(fakes):
    for alpha in (1.0, 0.5, 0.7):
        fakes.add(alpha, val=0.5, correct=50)
    fakes.add(0.33, val=0.5, correct=50, loss__margin=0.9)
    for temperature in (0.1, 0.2):
        for alpha in (1.0, 0.3):
            fakes.add(alpha, val=0.5, correct=50, mode=SSL, loss__temperature=temperature)
    table = alpha_table(fakes.settings())
    assert table["alpha"].tolist() == [0.5, 0.7, 1.0, 0.3, 1.0]
    assert table["published_accuracy"].tolist() == pytest.approx([0.712, 0.736, 0.701, 0.7707, 0.7416])
    assert table["measure"].tolist() == ["plain"] * 3 + ["patch-weighted"] * 2
    assert table["margin"].unique().tolist() == [0.5]


def test_alpha_table_publishes_nothing_at_another_temperature(fakes):
    for alpha in (1.0, 0.3):
        fakes.add(alpha, val=0.5, correct=50, mode=SSL, loss__temperature=0.7)
    assert alpha_table(fakes.settings())["published_accuracy"].isna().all()


def test_intervals_stand_side_by_side_and_name_the_temperature(study):
    lines = temperature_figure(fig3_table(study.settings())).data
    baseline, acl = (line for line in lines if line.error_y.array is not None)
    assert all(left < temperature < right for left, temperature, right in zip(baseline.x, (0.1, 0.2), acl.x, strict=True))
    assert max(acl.x - baseline.x) < 0.05  # half the way to the next published temperature
    for line in (baseline, acl):
        assert line.customdata[:, 0].tolist() == [0.1, 0.2]
        assert "τ %{customdata[0]:.3g}" in line.hovertemplate


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
