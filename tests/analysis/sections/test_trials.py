"""Every trial: the table of a search, the counts by outcome, and the figure."""

import numpy as np
import pytest
from statsmodels.stats.proportion import proportion_confint

from analysis.section import formatted
from analysis.sections.trials import SEARCH_COLUMNS, counts_table, search_figure, search_table
from study import names

SSL = "self-supervised"


def wilson(share, clips):
    return proportion_confint(share * clips, clips, method="wilson")


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


def test_a_stopped_trial_has_the_clips_of_a_finished_one(fakes):
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


def test_counts_by_outcome(fakes):
    for outcome in (names.FINISHED, names.FINISHED, names.FAILED, "unfinished"):
        fakes.add(1.0, val=0.5, correct=50, outcome=outcome)
    expected = {"study": "mine", "sweep": "grid", "finished": 2, "stopped": 0, "failed": 1, "unfinished": 1, "total": 4}
    assert counts_table(fakes.trials).to_dict("records") == [expected]


def test_search_panels_show_stopped_trials_hollow(study):
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


@pytest.mark.parametrize(
    ("accuracies", "expected"), [((0.5, 0.5), (0.48, 0.52)), ((1.0, 1.0), (0.96, 1.0)), ((0.313, 0.62), (0.31, 0.62))]
)
def test_a_colour_bar_has_distinct_whole_percents(fakes, accuracies, expected):
    for alpha, val in zip((1.0, 0.5), accuracies, strict=True):
        fakes.add(alpha, val=val, correct=50)
    bar = search_figure(search_table(fakes.trials, fakes.predictions)).layout.coloraxis
    assert (bar.cmin, bar.cmax) == pytest.approx(expected)
