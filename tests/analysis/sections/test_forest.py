"""The forest plot of all comparisons."""

import numpy as np
import pandas as pd
import pytest

from analysis.question import PAPER
from analysis.sections.comparisons import comparison_table
from analysis.sections.forest import forest_figure, forest_table
from analysis.sections.paper_tables import table1, table2
from support.fabricated_trials import FakeTrials

NONE = pd.DataFrame()


@pytest.fixture
def table(fakes: FakeTrials) -> pd.DataFrame:
    for seed in range(3):
        fakes.add(1.0, val=0.5, correct=50 + seed, seed=seed)
        fakes.add(0.5, val=0.6, correct=70 + 2 * seed, seed=seed)
    fakes.add(1.0, val=0.5, correct=50, mode="self-supervised")
    fakes.add(0.5, val=0.6, correct=55, mode="self-supervised")
    fakes.add(1.0, val=0.5, correct=50, data__subset="clean")
    settings, predictions = fakes.settings(), fakes.predictions
    return forest_table(table1(settings, predictions), table2(settings, predictions), NONE, NONE, NONE)


def test_each_complete_comparison_has_its_row(table: pd.DataFrame, fakes: FakeTrials) -> None:
    assert table["label"].tolist() == ["self-supervised, τ 0.2", "supervised, all"]
    assert table["about"].tolist() == ["models", "settings"]
    own = table1(fakes.settings(), fakes.predictions).set_index("subset").loc["all"]
    row = table.set_index("label").loc["supervised, all"]
    assert (row["difference"], row["difference_low"], row["difference_high"]) == (
        own["difference"],
        own["difference_low"],
        own["difference_high"],
    )
    assert row["published"] == own["published_difference"]
    assert table["published"].iloc[0] == pytest.approx(0.771 - 0.742)


def test_the_figure_draws_the_rows_top_down(table: pd.DataFrame) -> None:
    figure = forest_figure(table)
    drawn = {
        place: x for trace in figure.data if trace.error_x.array is not None for x, place in zip(trace.x, trace.y, strict=True)
    }
    np.testing.assert_allclose([drawn[1], drawn[0]], 100 * table["difference"])
    bands = sorted(shape.x1 for shape in figure.layout.shapes if shape.legendgroup == "band")
    np.testing.assert_allclose(bands, sorted(100 * table["detectable"]))
    assert figure.layout.yaxis.ticktext == ("Self-supervised, τ 0.2", "Supervised, all")


def test_other_comparisons_follow(fakes: FakeTrials) -> None:
    fakes.add(1.0, val=0.5, correct=50)
    fakes.add(0.5, val=0.6, correct=80)
    compared = comparison_table(fakes.settings(), fakes.predictions, PAPER)
    (row,) = forest_table(NONE, NONE, NONE, compared, NONE).to_dict("records")
    assert (row["label"], row["difference"]) == ("supervised, all", pytest.approx(0.3))


def test_fresh_seeds_come_first_and_name_their_study() -> None:
    row = {"label": "sweep", "difference": 0.1, "difference_low": 0.05, "difference_high": 0.15}
    confirmed = pd.DataFrame([{"study": study, **row} for study in ("one", "two")])
    table = forest_table(NONE, NONE, NONE, NONE, confirmed)
    assert table["label"].tolist() == ["one: sweep, fresh seeds", "two: sweep, fresh seeds"]
    (marks,) = [trace for trace in forest_figure(table).data if trace.error_x.array is not None]
    assert marks.marker.symbol == "diamond-open"  # filled where the difference is confirmed
    (marks,) = forest_figure(forest_table(NONE, NONE, NONE, NONE, confirmed.assign(answer="yes"))).data
    assert marks.marker.symbol == "diamond"
