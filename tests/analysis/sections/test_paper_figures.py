"""Figures 2 and 3 of the paper: their tables, and how they are drawn."""

import pandas as pd
import pytest
from statsmodels.stats.proportion import proportion_confint

from analysis.section import ACL, BASELINE
from analysis.sections.paper_figures import class_figure, fig2_table, fig3_table, temperature_figure

SSL = "self-supervised"


def wilson(share, clips):
    return proportion_confint(share * clips, clips, method="wilson")


def test_fig2_has_class_accuracies_lowest_baseline_first(fakes):
    # Clip i is of class i mod 4: Engine, Fire, Glass, Rain with 25 test clips each.
    fakes.add(1.0, val=0.5, mode=SSL, correct=[clip % 4 != 2 for clip in range(100)])
    fakes.add(0.3, val=0.5, mode=SSL, correct=[clip % 4 != 0 and clip < 50 for clip in range(100)])
    table = fig2_table(fakes.settings(), fakes.predictions)
    assert table["class"].tolist() == ["Glass", "Engine", "Fire", "Rain"]
    assert table["clips"].tolist() == [25] * 4
    assert table["baseline_accuracy"].tolist() == [0, 1, 1, 1]
    assert table["acl_accuracy"].tolist() == pytest.approx([12 / 25, 0, 13 / 25, 12 / 25])
    assert tuple(table.loc[0, ["acl_low", "acl_high"]]) == pytest.approx(wilson(12 / 25, 25))
    assert table["mode"].unique().tolist() == [SSL]


def test_fig2_falls_back_to_supervised_winners(fakes):
    fakes.add(1.0, val=0.5, correct=50, mode=SSL)
    fakes.add(1.0, val=0.5, correct=50, data__subset="clean")
    fakes.add(0.3, val=0.5, correct=50, data__subset="clean")
    assert fig2_table(fakes.settings(), fakes.predictions)["mode"].unique().tolist() == ["supervised"]


def test_fig3_pairs_each_temperature_with_published_values(fakes):
    for temperature in (0.1, 0.3):
        fakes.add(1.0, val=0.5, correct=50, mode=SSL, loss__temperature=temperature)
        fakes.add(0.4, val=0.6, correct=60, mode=SSL, loss__temperature=temperature)
        fakes.add(0.2, val=0.5, correct=99, mode=SSL, loss__temperature=temperature)
    fakes.add(0.2, val=0.9, correct=99, mode=SSL, loss__temperature=0.123)  # no baseline there
    table = fig3_table(fakes.settings()).set_index("temperature")
    assert table["alpha"].dropna().to_dict() == {0.1: 0.4, 0.3: 0.4}
    assert table.loc[0.1, ["baseline_minus_uniformity", "acl_minus_uniformity"]].tolist() == [1.0, 0.4]
    assert table.loc[0.3, "acl_plain_accuracy"] == 0.6
    assert len(table) == 10
    assert table.loc[0.9, "published_acl_accuracy"] == pytest.approx(0.7681)
    assert (table.loc[0.3, "published_acl_tolerance"], table.loc[0.3, "published_acl_tolerance_printed"]) == (0.9595, 0.9437)
    assert table["published_acl_tolerance_printed"].notna().sum() == 1


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
    ours = [line for line in figure.data if line.name == "ACL, α selected on validation"]
    assert [list(line.x) for line in ours[:2]] == [[0.1, 0.2]] * 2
    assert all(list(axis.tickvals) == table["temperature"].tolist() for axis in figure.select_xaxes())
    assert list(ours[2].y) == table["acl_accuracy"].dropna().tolist()
    published = [line for line in figure.data if line.name == "published ACL"]
    assert list(published[1].y) == table["published_acl_tolerance"].tolist()
    assert all(line.line.dash == "dot" for line in published)
    assert [line.name for line in figure.data if line.showlegend is not False].count("published ACL") == 1
    assert sum(pd.notna(value) for value in figure.data[-1].y) == 1  # the printed erratum
