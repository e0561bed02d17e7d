"""The report's answer to the study's question."""

import pandas as pd
import pytest

from analysis.records.runs import UNFINISHED
from analysis.report.answer import answer
from analysis.sections.margin import margin_table
from analysis.sections.paper_tables import table1, table2
from analysis.settings import without_margin_sweeps
from study import names


def answer_of(fakes, statuses=("FINISHED",), unfinished=0):
    settings = fakes.settings()
    own = without_margin_sweeps(settings)
    trials = pd.concat([fakes.trials, pd.DataFrame({"outcome": [UNFINISHED] * unfinished})], ignore_index=True)
    margin = margin_table(settings, fakes.predictions)
    return answer(table1(own, fakes.predictions), table2(own, fakes.predictions), margin, pd.DataFrame(), trials, statuses)


def sentences(text):
    return [sentence for sentence in text.replace("α", "a").split(". ") if sentence]


@pytest.fixture
def one_seed(fakes):
    for subset in ("all", "clean"):
        fakes.add(1.0, val=0.5, correct=50, data__subset=subset)
        fakes.add(0.5, val=0.6, correct=70 if subset == "all" else 51, data__subset=subset)
    return fakes


@pytest.fixture
def several_seeds(fakes):
    for seed, spread in enumerate((-2, -1, 0, 1, 2)):
        fakes.add(1.0, val=0.5, correct=40 + spread, seed=seed)
        fakes.add(0.5, val=0.6, correct=80 + spread, seed=seed)
        fakes.add(1.0, val=0.5, correct=50 + spread, seed=seed, data__subset="clean")
        fakes.add(0.5, val=0.6, correct=51 + spread, seed=seed, data__subset="clean")
    return fakes


def test_with_one_seed_it_speaks_of_models_and_not_of_settings(one_seed):
    text = answer_of(one_seed)
    assert text.startswith(
        "The model trained with margin is better than the baseline for supervised on all (+20.0 points); "
        "with one seed on a side, this says nothing yet about the settings. Not distinguishable from the baseline: supervised on "
        "clean. The study could detect differences of "
    )
    assert len(sentences(text)) == 3


def test_with_several_seeds_it_speaks_of_settings(several_seeds):
    text = answer_of(several_seeds)
    assert text.startswith(
        "Over several seeds, the setting with margin is better than the baseline for supervised on all (+40.0 points). "
        "Not distinguishable from the baseline: supervised on clean. The study could detect "
    )


def test_it_says_what_is_worse(fakes):
    fakes.add(1.0, val=0.5, correct=70)
    fakes.add(0.5, val=0.6, correct=50)
    assert "is worse than the baseline for supervised on all (−20.0 points)" in answer_of(fakes)


def test_settings_and_models_are_told_apart(several_seeds):
    several_seeds.add(1.0, val=0.5, correct=50, mode="self-supervised")
    several_seeds.add(0.5, val=0.6, correct=70, mode="self-supervised")
    text = answer_of(several_seeds)
    models = "with one seed, so about the trained models only"
    assert f"{models}: better than the baseline for self-supervised at τ 0.2 (+20.0 points)" in text
    assert len(sentences(text)) == 3


@pytest.mark.parametrize(
    ("unfinished", "beginning"),
    [
        (1, "1 of the 5 trials that have begun has not ended, this is provisional: the model trained"),
        (3, "3 of the 7 trials that have begun have not ended, this is provisional: the model trained"),
    ],
)
def test_trials_that_have_not_ended_make_it_provisional(one_seed, unfinished, beginning):
    text = answer_of(one_seed, unfinished=unfinished)
    assert text.startswith(beginning)
    assert len(sentences(text)) == 3


def test_an_interrupted_study_without_open_trials_is_provisional(one_seed):
    assert answer_of(one_seed, statuses=("FINISHED", "KILLED")).startswith(
        "The study was interrupted, this is provisional: the model"
    )


@pytest.mark.parametrize(
    ("trials", "expected"),
    [
        ({"outcome": [names.FAILED], "loss.alpha": [1.0]}, "No trial has finished"),
        ({"outcome": [names.FINISHED, names.FAILED], "loss.alpha": [1.0, 0.5]}, "Only baselines (α = 1) have finished"),
        ({"outcome": [names.FINISHED], "loss.alpha": [0.5]}, "No baseline (α = 1) has finished, so there is nothing to compare."),
        (
            {"outcome": [UNFINISHED, UNFINISHED]},
            "2 of the 2 trials that have begun have not ended, this is provisional: no trial has finished",
        ),
    ],
)
def test_without_a_comparison_it_says_why(trials, expected):
    empty = pd.DataFrame()
    text = answer(empty, empty, empty, empty, pd.DataFrame(trials), ["RUNNING"])
    assert text.startswith(expected)
