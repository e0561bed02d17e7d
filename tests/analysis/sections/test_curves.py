"""Curves of training: the table of all epochs, the curves that are drawn, and their axes."""

import numpy as np
import pandas as pd
import pytest

from analysis.section import BASELINE
from analysis.sections.curves import (
    CURVE_METRICS,
    DRAWN,
    POINTS,
    curve_bands,
    curves_figure,
    curves_table,
    curves_text,
    drawn_curves,
)
from study import names

SSL = "self-supervised"


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


def test_self_supervised_curves_are_of_each_epochs_own_weights(fakes):
    fakes.add(0.4, val=0.5, correct=50, mode=SSL)
    history = pd.DataFrame(
        [("run000", 1, names.VAL_EPOCH_KNN_ACCURACY, 0.2), ("run000", 1, names.VAL_KNN_ACCURACY, 0.3)],
        columns=["run_id", "epoch", "metric", "value"],
    )
    assert curves_table(history, fakes.trials)["metric"].tolist() == [names.VAL_EPOCH_KNN_ACCURACY]


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


EPOCHS = 10


def history_of(trials: pd.DataFrame, epochs: int = EPOCHS) -> pd.DataFrame:
    """Of trial i the loss i + 1/epoch."""
    rows = [
        (run_id, epoch, names.TRAIN_LOSS, place + 1 / epoch)
        for place, run_id in enumerate(trials["run_id"])
        for epoch in range(1, epochs + 1)
    ]
    return pd.DataFrame(rows, columns=["run_id", "epoch", "metric", "value"])


@pytest.fixture
def many(fakes):
    """120 trials whose validation accuracy rises with their number, every tenth a baseline."""
    for number in range(120):
        fakes.add(alpha=1.0 if number % 10 == 0 else 0.5, val=number / 200, correct=50, seed=number)
    return fakes.trials


def drawn_of(trials: pd.DataFrame, epochs: int = EPOCHS) -> tuple[pd.DataFrame, pd.DataFrame]:
    curves = curves_table(history_of(trials, epochs), trials)
    return curves, drawn_curves(curves, trials)


def test_few_trials_are_all_drawn_whole(many):
    curves, drawn = drawn_of(many.head(DRAWN))
    pd.testing.assert_frame_equal(drawn.drop(columns="best"), curves)
    assert (drawn["best"] == "").all()
    assert curve_bands(curves).empty
    assert "rawn" not in curves_text(curves, drawn)


def test_of_many_the_best_and_an_even_sample_are_drawn(many):
    curves, drawn = drawn_of(many)
    assert drawn["run_id"].nunique() == DRAWN
    best = drawn[drawn["best"] != ""].groupby("best")["run_id"].unique()
    assert {name: runs.tolist() for name, runs in best.items()} == {
        "best baseline": ["run110"],
        "best with margin": ["run119"],
    }
    numbers = np.sort(drawn["run_id"].str[3:].astype(int).unique())
    assert (numbers[0], numbers[-1]) == (0, 119)
    assert np.diff(numbers).max() <= 4
    assert len(drawn) == DRAWN * EPOCHS
    assert "The figure has 40 of 120 supervised trials" in curves_text(curves, drawn)


def test_trials_without_a_validation_figure_are_never_the_best(many):
    many.loc[many["run_id"].isin(["run110", "run119"]), names.VAL_ACCURACY] = np.nan
    _, drawn = drawn_of(many)
    assert set(drawn.loc[drawn["best"] != "", "run_id"]) == {"run100", "run118"}


def test_the_band_is_of_all_trials_and_not_of_those_drawn(many):
    curves, _ = drawn_of(many)
    band = curve_bands(curves)
    assert band["epoch"].tolist() == list(range(1, EPOCHS + 1))
    expected = np.quantile(np.arange(120), [0.1, 0.5, 0.9])
    for row in band.to_dict("records"):
        assert [row["low"], row["median"], row["high"]] == pytest.approx(expected + 1 / row["epoch"])


@pytest.mark.parametrize("epochs", [1, 2, POINTS - 1, POINTS, POINTS + 1, 2 * POINTS, 1234])
def test_long_curves_keep_their_ends_and_even_steps(fakes, epochs):
    fakes.add(alpha=1.0, val=0.5, correct=50)
    curves, drawn = drawn_of(fakes.trials, epochs)
    kept = drawn["epoch"].to_numpy()
    assert (kept[0], kept[-1]) == (1, epochs)
    assert len(kept) == min(epochs, POINTS)
    assert np.ptp(np.diff(kept)) <= 1 if len(kept) > 1 else True
    assert ("Long curves are drawn with 100 epochs" in curves_text(curves, drawn)) == (epochs > POINTS)


def test_the_figure_has_the_band_below_and_the_best_above(many):
    curves, drawn = drawn_of(many)
    lines = [line for line in curves_figure(drawn, curve_bands(curves)).data if line.x[0] is not None]
    assert len(lines) == DRAWN + 3
    assert [line.fill for line in lines[:3]] == [None, "tonexty", None]
    assert {line.name.split(", ")[-1] for line in lines[-2:]} == {"best baseline", "best with margin"}
    assert sum(line.line.color == BASELINE for line in lines[-2:]) == 1


def test_no_curves(fakes):
    fakes.add(alpha=1.0, val=0.5, correct=50)
    curves, drawn = drawn_of(fakes.trials, 0)
    assert drawn.empty
    assert curve_bands(curves).empty
    assert curves_text(curves, drawn)


def test_the_figure_stays_small_whatever_is_drawn(many):
    curves = pd.concat(
        [drawn_of(many, 500)[0].assign(mode=mode, metric=metric) for mode, metrics in CURVE_METRICS.items() for metric in metrics],
        ignore_index=True,
    )
    drawn = drawn_curves(curves, pd.concat([many.assign(mode=mode) for mode in CURVE_METRICS], ignore_index=True))
    html = curves_figure(drawn, curve_bands(curves)).to_html(full_html=False, include_plotlyjs=False)
    assert len(html) < 500_000
