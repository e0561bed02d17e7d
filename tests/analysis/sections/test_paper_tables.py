"""Tables 1 and 2 of the paper."""

import numpy as np
import pytest
from statsmodels.stats.proportion import proportion_confint

from analysis.sections.alpha import alpha_table
from analysis.sections.paper_figures import fig2_table, fig3_table
from analysis.sections.paper_tables import table1, table2
from study import names

SSL = "self-supervised"


def wilson(share, clips):
    return proportion_confint(share * clips, clips, method="wilson")


def test_table1_has_the_papers_rows_and_numbers(fakes):
    fakes.add(1.0, val=0.5, correct=50)
    fakes.add(0.5, val=0.6, correct=60)
    fakes.add(0.7, val=0.4, correct=90)
    fakes.add(1.0, val=0.5, correct=40, data__subset="clean")
    table = table1(fakes.settings(), fakes.predictions).set_index("subset")
    assert table.index.tolist() == ["all", "noisy", "noisy_small", "clean"]
    row = table.loc["all"]
    assert (row["baseline_accuracy"], row["acl_accuracy"], row["alpha"], row["settings_tried"]) == (0.5, 0.6, 0.5, 2)
    assert (row["acl_low"], row["acl_high"]) == pytest.approx(wilson(0.6, 100))
    assert row["difference"] == pytest.approx(0.1)
    assert row["p_value"] == pytest.approx(2 * 0.5**10)  # 10 clips differ, all for the margin
    assert (row["published_baseline"], row["published_acl"], row["published_alpha"]) == (0.701, 0.736, 0.7)
    assert row["published_difference"] == pytest.approx(0.035)
    assert (table.loc["clean", "baseline_accuracy"], table.loc["clean", "verdict"]) == (0.4, "")
    assert np.isnan(table.loc["clean", "acl_accuracy"])
    assert np.isnan(table.loc["noisy", "baseline_accuracy"])


def test_table2_compares_each_mode_with_its_published_measure(fakes):
    fakes.add(1.0, val=0.5, correct=70)
    fakes.add(0.7, val=0.6, correct=73)
    right_where_long = [clip % 3 == 2 for clip in range(100)]  # 33 of 100 clips, 99 of 199 patches
    fakes.add(1.0, val=0.5, correct=20, mode=SSL)
    fakes.add(0.3, val=0.6, correct=right_where_long, mode=SSL)
    table = table2(fakes.settings(), fakes.predictions).set_index("method")
    assert table.loc["supervised baseline", "minus_published"] == pytest.approx(0.70 - 0.701)
    row = table.loc["SSL with ACL"]
    assert (row["accuracy"], row["patch_weighted"]) == pytest.approx((0.33, 99 / 199))
    assert (row["compared_measure"], row["minus_published"]) == ("patch-weighted", pytest.approx(99 / 199 - 0.771))
    assert (row["patch_weighted_low"], row["patch_weighted_high"]) == pytest.approx(
        wilson(99 / 199, 199**2 / (34 + 33 * 4 + 33 * 9))
    )
    assert row["difference"] == pytest.approx(0.13)
    assert table.loc["SSL baseline", "verdict"] == ""
    assert np.isnan(table.loc["SSL baseline", "difference"])


def test_table2_has_empty_rows_without_self_supervised_trials(fakes):
    fakes.add(1.0, val=0.5, correct=70)
    table = table2(fakes.settings(), fakes.predictions).set_index("method")
    assert table["accuracy"].notna().tolist() == [True, False, False, False]
    assert table["published"].tolist() == pytest.approx([0.701, 0.736, 0.742, 0.771])


def test_tables_are_empty_where_data_are_absent(fakes):
    fakes.add(1.0, val=0.5, correct=50, outcome=names.FAILED)
    settings = fakes.settings()
    for table in (table1, table2, fig2_table):
        assert table(settings, fakes.predictions).empty
    assert fig3_table(settings).empty
    assert alpha_table(settings).empty
