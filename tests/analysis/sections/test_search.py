"""Maps of a search, importances of its settings, and parallel coordinates of its trials."""

import numpy as np
import pandas as pd
import pytest

from analysis.sections.parallel import parallel_figure, parallel_table
from analysis.sections.search import importance_figure, importance_table, map_figure, map_table, search_sections
from study import names

SSL = "self-supervised"


@pytest.fixture
def grid(fakes):
    """Alpha × temperature at the published margin, two seeds."""
    for seed in (0, 1):
        for temperature in (0.1, 0.2):
            for alpha in (0.2, 0.6, 1.0):
                fakes.add(alpha, 0.5 + alpha / 10 + temperature + seed / 100, 50, SSL, loss__temperature=temperature, seed=seed)
    return fakes


@pytest.fixture
def drawn(fakes):
    generator = np.random.default_rng(0)
    for trial in range(30):
        alpha, margin = (round(float(value), 3) for value in generator.random(2))
        fakes.add(alpha, 0.7 - (alpha - 0.5) ** 2, 50 + trial, loss__margin=margin + 0.1)
    return fakes


def test_a_grid_has_the_mean_validation_accuracy_of_each_cell(grid):
    table = map_table(grid.settings())
    assert set(table["kind"]) == {"grid"}
    assert set(table["axis"]) == {"temperature"}
    cells = {(row["alpha"], row["y"]): (row["val_accuracy"], row["seeds"]) for row in table.to_dict("records")}
    assert len(cells) == 6
    assert cells[0.6, 0.2] == (pytest.approx(0.5 + 0.06 + 0.2 + 0.005), 2)
    assert table.loc[table["picked"], ["alpha", "y"]].to_numpy().tolist() == [[0.6, 0.2]]  # the baseline's 0.805 is no candidate


def test_the_map_is_the_slice_with_most_cells(grid):
    for temperature in (0.1, 0.2):
        for alpha in (0.2, 0.6):
            grid.add(alpha, 0.9, 50, SSL, loss__temperature=temperature, loss__margin=0.9, seed=0)
            grid.add(alpha, 0.9, 50, SSL, loss__temperature=temperature, loss__margin=0.9, seed=1)
    table = map_table(grid.settings())
    of_temperature = table[(table["axis"] == "temperature") & (table["alpha"] < 1)]
    assert set(of_temperature["margin"]) == {0.5}
    for alpha in (0.3, 0.4):
        for seed in (0, 1):
            grid.add(alpha, 0.9, 50, SSL, loss__temperature=0.1, loss__margin=0.9, seed=seed)
    table = map_table(grid.settings())
    assert set(table.loc[(table["axis"] == "temperature") & (table["alpha"] < 1), "margin"]) == {0.9}


def test_a_baseline_is_at_every_margin_of_a_grid(fakes):
    for alpha in (0.3, 0.7):
        for margin in (0.1, 0.5, 0.9):
            fakes.add(alpha, 0.5, 50, loss__margin=margin)
    fakes.add(1.0, 0.6, 50)
    table = map_table(fakes.settings())
    assert table.loc[table["alpha"] == 1, "y"].tolist() == [0.1, 0.5, 0.9]
    assert (table.loc[table["alpha"] == 1, "val_accuracy"] == 0.6).all()
    heatmap = map_figure(table).data[0]
    assert list(heatmap.x) == ["0.3", "0.7", "1"]
    assert heatmap.text[0][2] == "60.0"


def test_drawn_values_are_marks(drawn):
    table = map_table(drawn.settings())
    assert set(table["kind"]) == {"drawn"}
    assert len(table) == 30
    (points,) = map_figure(table).data
    assert list(points.y) == table["margin"].tolist()
    assert [width > 1 for width in points.marker.line.width] == table["picked"].tolist()


def test_one_line_of_settings_is_no_map(fakes):
    for alpha in (0.2, 0.4, 0.6, 0.8, 1.0):
        fakes.add(alpha, 0.5, 50)
    assert map_table(fakes.settings()).empty


def test_importance_ranks_the_settings_of_a_search(drawn):
    table = importance_table(drawn.trials)
    assert table["setting"].tolist() == ["loss.alpha", "loss.margin"]
    assert (table["combinations"] == 30).all()
    assert table["matters"].tolist() == [True, False]
    first, second = table.to_dict("records")
    assert first["importance"] > 0.5
    assert second["importance"] < 0.05
    chance, importance = importance_figure(table).data
    assert list(chance.x) == table["chance"].tolist()
    assert list(importance.x) == table["importance"].tolist()
    assert list(importance.marker.symbol) == ["circle", "circle-open"]


def test_seeds_of_a_setting_count_once(drawn):
    before = importance_table(drawn.trials)
    twice = drawn.trials.assign(seed=1, **{names.VAL_ACCURACY: drawn.trials[names.VAL_ACCURACY]})
    after = importance_table(pd.concat([drawn.trials, twice], ignore_index=True))
    assert after["importance"].tolist() == pytest.approx(before["importance"].tolist())


def test_with_too_few_trials_there_are_no_numbers_but_a_sentence(fakes):
    for trial in range(5):
        fakes.add(0.05 * trial, 0.5, 50, loss__margin=0.1 * trial**2 + 0.1)
    table = importance_table(fakes.trials)
    assert table["importance"].isna().all()
    assert not table["enough"].any()
    _, section = search_sections(fakes.settings(), fakes.trials)
    assert section.draw is None
    assert section.frame.empty  # so that it is not on the page
    fakes.add(0.9, 0.6, 50, loss__margin=3.0)
    for trial in range(3):
        fakes.add(0.2 * trial, 0.5, 50, sweep="other", loss__margin=0.1 + trial)
    _, section = search_sections(pd.DataFrame(), fakes.trials)
    assert set(section.frame["sweep"]) == {"grid"}
    assert "3 different combinations have finished, too few for 2 settings, which need 6" in section.text


def test_stopped_and_changed_trials_are_no_part_of_it(drawn):
    expected = importance_table(drawn.trials)
    drawn.add(0.5, 0.1, 50, outcome=names.STOPPED, loss__margin=0.3)
    drawn.add(0.5, 0.1, 50, changed_settings=True, loss__margin=0.3)
    assert importance_table(drawn.trials).equals(expected)
    assert len(parallel_table(drawn.trials)) == 30


def test_a_search_for_two_objectives_has_both(drawn):
    trials = drawn.trials.assign(objective=f"{names.VAL_ACCURACY}, {names.VAL_TOLERANCE}")
    trials[names.VAL_TOLERANCE] = trials["loss.margin"]
    table = importance_table(trials)
    assert table.groupby("objective", sort=False)["setting"].first().to_dict() == {
        names.VAL_ACCURACY: "loss.alpha",
        names.VAL_TOLERANCE: "loss.margin",
    }
    assert len(parallel_table(trials)) == 60


def test_each_trial_is_a_line_from_settings_to_the_objective(drawn):
    table = parallel_table(drawn.trials)
    assert table.columns.tolist()[-3:] == ["value", "loss.alpha", "loss.margin"]
    lines = parallel_figure(table).data
    runs = [line.y[start : start + 3] for line in lines for start in range(0, len(line.y), 4)]
    assert len(runs) == 30
    best = max(runs, key=lambda run: run[2])
    row = table.loc[table["value"].idxmax()]
    low, high = table["loss.alpha"].min(), table["loss.alpha"].max()
    assert best[2] == 1
    assert best[0] == pytest.approx((row["loss.alpha"] - low) / (high - low), abs=1e-4)


def test_a_single_varying_setting_is_no_search(fakes):
    for alpha in (0.2, 0.4, 0.6, 0.8, 1.0):
        fakes.add(alpha, 0.5, 50, seed=int(alpha * 10), compute__device="cpu" if alpha < 0.5 else "cuda")
    assert importance_table(fakes.trials).empty
    assert parallel_table(fakes.trials).empty
    assert all(section.frame.empty for section in search_sections(fakes.settings(), fakes.trials))
