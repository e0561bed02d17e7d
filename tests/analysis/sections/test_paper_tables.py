import numpy as np
import pandas as pd
import pytest
from statsmodels.stats.proportion import proportion_confint

from analysis.section import formatted
from analysis.sections.alpha import alpha_table
from analysis.sections.curves import curves_table
from analysis.sections.paper_figures import fig2_table, fig3_table
from analysis.sections.paper_tables import table1, table2
from analysis.sections.trials import SEARCH_COLUMNS, counts_table, search_table
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


def test_table2_compares_each_mode_with_its_own_published_measure(fakes):
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


def test_table2_without_self_supervised_trials_keeps_their_rows_empty(fakes):
    fakes.add(1.0, val=0.5, correct=70)
    table = table2(fakes.settings(), fakes.predictions).set_index("method")
    assert table["accuracy"].notna().tolist() == [True, False, False, False]
    assert table["published"].tolist() == pytest.approx([0.701, 0.736, 0.742, 0.771])


def test_fig2_has_class_shares_with_intervals_lowest_baseline_first(fakes):
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


def test_fig3_pairs_each_temperature_and_shows_published_ones_beside(fakes):
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


def test_alpha_table_shows_no_published_value_at_another_temperature(fakes):
    for alpha in (1.0, 0.3):
        fakes.add(alpha, val=0.5, correct=50, mode=SSL, loss__temperature=0.7)
    assert alpha_table(fakes.settings())["published_accuracy"].isna().all()


def test_tables_are_empty_where_data_are_absent(fakes):
    fakes.add(1.0, val=0.5, correct=50, outcome=names.FAILED)
    settings = fakes.settings()
    for table in (table1, table2, fig2_table):
        assert table(settings, fakes.predictions).empty
    assert fig3_table(settings).empty
    assert alpha_table(settings).empty


def test_search_table_has_all_trials_with_the_objective_of_each(fakes):
    fakes.add(1.0, val=0.5, correct=50)
    fakes.add(
        0.4,
        val=0.6,
        correct=50,
        mode=SSL,
        objective=names.VAL_KNN_ACCURACY,
        outcome=names.STOPPED,
        **{names.VAL_KNN_ACCURACY: 0.33},
    )
    table = search_table(fakes.trials, fakes.predictions)
    assert table["mode"].tolist() == [SSL, "supervised"]
    assert table["objective_value"].tolist() == [0.33, 0.5]


def test_every_accuracy_of_the_search_has_an_interval(fakes):
    fakes.add(0.4, val=0.6, correct=70, mode=SSL, objective=names.VAL_KNN_ACCURACY, **{names.VAL_KNN_ACCURACY: 0.3})
    (row,) = search_table(fakes.trials, fakes.predictions).to_dict("records")
    for name, share, clips in (("objective_value", 0.3, 40), ("val_accuracy", 0.6, 40), ("val_knn_accuracy", 0.3, 40)):
        assert (row[f"{name}_low"], row[f"{name}_high"]) == pytest.approx(wilson(share, clips))
    assert (row["test_accuracy_low"], row["test_accuracy_high"]) == pytest.approx(wilson(0.7, 100))


def test_a_stopped_trial_has_the_clips_of_a_finished_one_with_the_same_data(fakes):
    fakes.add(1.0, val=0.5, correct=50, data__root="/here")
    stopped = {"val": 0.3, "correct": 0, "outcome": names.STOPPED, names.TEST_ACCURACY: np.nan}
    fakes.add(0.4, **stopped, data__root="/there")
    fakes.add(0.3, **stopped, data__subset="clean")
    fakes.add(0.2, **stopped, data__validation_fraction=0.3)
    finished = fakes.predictions[fakes.predictions["run_id"] == "run000"]  # the others have none
    table = search_table(fakes.trials, finished).set_index("alpha")
    assert tuple(table.loc[0.4, ["objective_value_low", "objective_value_high"]]) == pytest.approx(wilson(0.3, 40))
    assert table.loc[[0.3, 0.2], ["objective_value", "val_accuracy"]].eq(0.3).all(axis=None)
    assert table.loc[[0.3, 0.2], ["objective_value_low", "val_accuracy_high"]].isna().all(axis=None)
    assert table.loc[[0.4, 0.3, 0.2], ["test_accuracy_low", "test_accuracy_high"]].isna().all(axis=None)


def test_macro_accuracy_is_no_share_of_clips_and_has_no_interval(fakes):
    fakes.add(0.5, val=0.5, correct=50, objective=names.VAL_MACRO_ACCURACY, **{names.VAL_MACRO_ACCURACY: 0.4})
    table = search_table(fakes.trials, fakes.predictions)
    assert table.loc[0, "objective_value"] == 0.4
    assert table.loc[0, ["objective_value_low", "objective_value_high"]].isna().all()
    (cells,) = formatted(table, SEARCH_COLUMNS)
    assert "40.0" in [cell.text for cell in cells]  # and no empty bracket


def test_curves_table_is_the_history_with_settings(fakes):
    fakes.add(0.4, val=0.5, correct=50)
    history = pd.DataFrame(
        [
            ("run000", 2, names.TRAIN_LOSS, 0.5),
            ("run000", 1, names.TRAIN_LOSS, 0.9),
            ("run000", 1, names.VAL_EPOCH_KNN_ACCURACY, 0.1),
        ],
        columns=["run_id", "epoch", "metric", "value"],
    )
    table = curves_table(history, fakes.trials)
    assert table[["alpha", "epoch", "value"]].to_numpy().tolist() == [[0.4, 1, 0.9], [0.4, 2, 0.5]]


def test_curves_of_self_supervised_trials_are_of_each_epochs_own_weights(fakes):
    fakes.add(0.4, val=0.5, correct=50, mode=SSL)
    history = pd.DataFrame(
        [("run000", 1, names.VAL_EPOCH_KNN_ACCURACY, 0.2), ("run000", 1, names.VAL_KNN_ACCURACY, 0.3)],
        columns=["run_id", "epoch", "metric", "value"],
    )
    assert curves_table(history, fakes.trials)["metric"].tolist() == [names.VAL_EPOCH_KNN_ACCURACY]


def test_counts_by_outcome(fakes):
    for outcome in (names.FINISHED, names.FINISHED, names.FAILED, "unfinished"):
        fakes.add(1.0, val=0.5, correct=50, outcome=outcome)
    expected = {"study": "mine", "sweep": "grid", "finished": 2, "stopped": 0, "failed": 1, "unfinished": 1, "total": 4}
    assert counts_table(fakes.trials).to_dict("records") == [expected]
