"""Early stopping: which trials were stopped, and how early their ranking is final."""

import numpy as np
import pandas as pd
import pytest
from scipy.stats import kendalltau

from analysis.sections.early_stopping import (
    MOST_CURVES,
    MOST_POINTS,
    courses,
    early_figure,
    early_sentence,
    early_table,
    stopped_figure,
    stopped_table,
    training_sections,
)
from study import names

SSL = "self-supervised"
EPOCHS = 10


def history_of(fakes, curves, metric=names.VAL_ACCURACY):
    """The metric of each trial by epoch, from 1, and the loss that says which epochs were training."""
    rows = []
    for run_id, values in zip(fakes.trials["run_id"], curves, strict=True):
        for epoch, value in enumerate(values, start=1):
            rows += [(run_id, epoch, metric, value), (run_id, epoch, names.TRAIN_LOSS, 1.0)]
    return pd.DataFrame(rows, columns=["run_id", "epoch", "metric", "value"])


@pytest.fixture
def crossing(fakes):
    """Twelve trials; the one that is best in the end is last until epoch 4, fourth at epoch 5 and first from epoch 7 on."""
    curves = []
    for trial in range(12):
        fakes.add(trial / 12, 0.5 + trial / 100, 50)
        curves.append([0.3 + trial / 100 + epoch / 1000 for epoch in range(EPOCHS - 1)] + [0.5 + trial / 100])
    curves[11] = [0.1] * 4 + [0.3 + 7.8 / 100] * 2 + [0.45] * 3 + [0.61]
    return fakes, history_of(fakes, curves)


def test_tau_and_regret_of_each_tenth_by_hand(crossing):
    fakes, history = crossing
    table = early_table(history, fakes.trials).set_index("epoch")
    assert table.index.tolist() == list(range(1, 11))
    assert table["trials"].unique().tolist() == [12]
    final = [0.5 + trial / 100 for trial in range(12)]
    assert table.at[1, "tau"] == pytest.approx(kendalltau([*range(1, 12), 0], final).statistic)
    assert table.at[5, "tau"] == pytest.approx(kendalltau([*range(11), 7.1], final).statistic)
    assert table.at[10, "tau"] == pytest.approx(1)
    # trial 10 leads until epoch 6: it ends a point below the best; the better third of 12 are four trials
    assert table["regret"].tolist() == pytest.approx([0.01] * 6 + [0.0] * 4)
    assert table["regret_of_third"].tolist() == pytest.approx([0.01] * 4 + [0.0] * 6)


def test_the_sentence_says_when_early_stopping_looks_safe(crossing):
    fakes, history = crossing
    sections = {section.anchor: section for section in training_sections(history, fakes.trials)}
    assert "mine, grid (supervised, 12 trials): early stopping looks safe from 70 % of the epochs on" in sections["early"].text
    rows = early_table(history, fakes.trials).to_dict("records")
    assert "does not look safe" in early_sentence([row | {"tau_low": 0.4} for row in rows])
    assert "does not look safe" in early_sentence([*rows[:-2], rows[-2] | {"regret_of_third": 0.01}, rows[-1]])
    assert "too few trials to say" in early_sentence([row | {"trials": 9} for row in rows])


def test_linear_accuracy_is_ranked_by_knn_during_training(fakes):
    curves = []
    for trial in range(6):
        fakes.add(trial / 6, 0.5 + trial / 100, 50, SSL)
        curves.append([0.1 + trial / 50] * EPOCHS)
    history = history_of(fakes, curves, names.VAL_KNN_ACCURACY)
    at_the_end = [(run_id, 14, names.VAL_ACCURACY, 0.5) for run_id in fakes.trials["run_id"]]
    linear = [(run_id, 14, names.VAL_KNN_ACCURACY, 0.9) for run_id in fakes.trials["run_id"]]  # of the linear stage
    history = pd.concat([history, pd.DataFrame(at_the_end + linear, columns=history.columns)])
    (course,) = courses(history, fakes.trials)
    assert (course.objective, course.metric) == (names.VAL_ACCURACY, names.VAL_KNN_ACCURACY)
    table = early_table(history, fakes.trials)
    assert table["epochs"].unique().tolist() == [EPOCHS]
    assert table["tau"].tolist() == pytest.approx([1.0] * 10)


def test_smaller_is_better_for_uniformity(fakes):
    curves = []
    for trial in range(6):
        fakes.add(trial / 6, 0.5, 50, SSL, objective=names.VAL_UNIFORMITY, **{names.VAL_UNIFORMITY: -float(trial)})
        curves.append([0.1 + trial / 50] * EPOCHS)
    table = early_table(history_of(fakes, curves, names.VAL_KNN_ACCURACY), fakes.trials)
    assert table["tau"].iloc[0] == pytest.approx(1)  # the highest kNN accuracy has the lowest uniformity
    assert table["regret"].tolist() == [0.0] * 10


def test_stopped_trials_end_at_their_last_epoch_without_rank(crossing):
    fakes, history = crossing
    expected = early_table(history, fakes.trials)
    assert stopped_table(history, fakes.trials).empty
    fakes.add(0.5, 0.2, 50, outcome=names.STOPPED)
    fakes.add(0.6, 0.2, 50, outcome=names.FAILED)
    first, second = fakes.trials["run_id"].iloc[-2:]
    rows = [(first, epoch, metric, 0.2) for epoch in (1, 2, 3) for metric in (names.VAL_ACCURACY, names.TRAIN_LOSS)]
    rows += [(second, 1, metric, 0.2) for metric in (names.VAL_ACCURACY, names.TRAIN_LOSS)]
    history = pd.concat([history, pd.DataFrame(rows, columns=history.columns)], ignore_index=True)
    table = stopped_table(history, fakes.trials)
    ends = table[table["is_end"]].set_index("run_id")["epoch"]
    assert ends.drop(first).unique().tolist() == [EPOCHS]
    assert ends[first] == 3
    assert second not in ends
    pd.testing.assert_frame_equal(early_table(history, fakes.trials), expected)
    crosses = stopped_figure(table).data[2]
    assert (list(crosses.x), crosses.marker.symbol) == ([3], "x-thin")


def test_a_large_sweep_keeps_all_ends_and_few_curves(fakes):
    curves = []
    for trial in range(MOST_CURVES + 40):
        stopped = trial < 90
        fakes.add(0.5, 0.5, 50, seed=trial, outcome=names.STOPPED if stopped else names.FINISHED)
        curves.append(np.full(20 if stopped else 500, trial / 1000))
    table = stopped_table(history_of(fakes, curves), fakes.trials)
    points = table.groupby("run_id").size()
    assert table["is_end"].sum() == len(points) == MOST_CURVES + 40
    assert (points > 1).sum() == MOST_CURVES
    assert points.max() == MOST_POINTS
    finished = fakes.trials.loc[fakes.trials["outcome"] == names.FINISHED, "run_id"]
    assert (points[finished] == MOST_POINTS).all()
    assert table.loc[table["is_end"], "epoch"].value_counts().to_dict() == {20: 90, 500: 10}


def test_the_figure_shows_the_table(crossing):
    fakes, history = crossing
    table = early_table(history, fakes.trials)
    tau, leader, third = early_figure(table).data
    assert list(tau.y + tau.error_y.array) == pytest.approx(table["tau_high"].tolist())
    assert list(leader.y) == table["regret"].tolist()
    assert list(third.y) == table["regret_of_third"].tolist()


def test_few_trials_or_epochs_are_no_ranking(fakes):
    for trial in range(4):
        fakes.add(trial / 6, 0.5 + trial / 100, 50)
    assert early_table(history_of(fakes, [[0.1 + trial / 10] * EPOCHS for trial in range(4)]), fakes.trials).empty
    for trial in range(4, 8):
        fakes.add(trial / 8, 0.5 + trial / 100, 50)
    assert early_table(history_of(fakes, [[0.1 + trial / 10] * 3 for trial in range(8)]), fakes.trials).empty
    assert training_sections(pd.DataFrame(columns=["run_id", "epoch", "metric", "value"]), fakes.trials) == []
