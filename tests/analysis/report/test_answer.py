"""The report's answer to the study's question."""

import pandas as pd
import pytest

from analysis.records.runs import UNFINISHED
from analysis.report.answer import answer
from analysis.sections.forest import forest_table
from analysis.sections.margin import margin_table
from analysis.sections.paper_tables import table1, table2
from analysis.settings import without_margin_sweeps
from study import names


def answer_of(fakes, unfinished=0, **columns):
    settings = fakes.settings()
    own = without_margin_sweeps(settings)
    trials = pd.concat([fakes.trials, pd.DataFrame({"outcome": [UNFINISHED] * unfinished})], ignore_index=True)
    margin, nothing = margin_table(settings, fakes.predictions), pd.DataFrame()
    tables = table1(own, fakes.predictions), table2(own, fakes.predictions)
    return answer(forest_table(*tables, margin, nothing, nothing), nothing, trials.assign(**columns))


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
        "With one seed a side, nothing can be said about settings, only about the trained models. The trained model is better than "
        "the baseline for “supervised, all” (+20.0 points); does not differ significantly from the baseline for “supervised, "
        "clean”. With a power of 80 % the study could detect differences of "
    )
    assert len(sentences(text)) == 3


def test_with_several_seeds_it_speaks_of_settings(several_seeds):
    text = answer_of(several_seeds)
    assert text.startswith(
        "Over several seeds, the selected setting is better than the baseline for “supervised, all” (+40.0 points); does not "
        "differ significantly from the baseline for “supervised, clean”. With a power of 80 % the study could detect "
    )


def test_it_says_what_is_worse(fakes):
    fakes.add(1.0, val=0.5, correct=70)
    fakes.add(0.5, val=0.6, correct=50)
    assert "worse than the baseline for “supervised, all” (−20.0 points)" in answer_of(fakes)


def test_settings_and_models_are_told_apart(several_seeds):
    several_seeds.add(1.0, val=0.5, correct=50, mode="self-supervised")
    several_seeds.add(0.5, val=0.6, correct=70, mode="self-supervised")
    text = answer_of(several_seeds)
    models = "1 further comparison has too few seeds for that, and there the trained model is"
    assert f"{models} better than the baseline for “self-supervised, τ 0.2” (+20.0 points)." in text
    assert len(sentences(text)) == 3


@pytest.mark.parametrize(
    ("unfinished", "beginning"),
    [
        (1, "Provisional: 1 of the 5 trials that have begun has not ended. With one seed"),
        (3, "Provisional: 3 of the 7 trials that have begun have not ended. With one seed"),
    ],
)
def test_trials_that_have_not_ended_make_it_provisional(one_seed, unfinished, beginning):
    text = answer_of(one_seed, unfinished=unfinished)
    assert text.startswith(beginning)
    assert len(sentences(text)) == 4


def test_an_interrupted_study_without_open_trials_is_provisional(one_seed):
    assert answer_of(one_seed, study_is_open=True).startswith("Provisional: the study was interrupted. With one seed")


@pytest.mark.parametrize(
    ("trials", "expected"),
    [
        ({"outcome": [names.FAILED], "loss.alpha": [1.0]}, "No trial has finished"),
        ({"outcome": [names.FINISHED, names.FAILED], "loss.alpha": [1.0, 0.5]}, "Only baselines (α = 1) have finished"),
        ({"outcome": [names.FINISHED], "loss.alpha": [0.5]}, "No baseline (α = 1) has finished, so there is nothing to compare."),
        (
            {"outcome": [UNFINISHED, UNFINISHED]},
            "Provisional: 2 of the 2 trials that have begun have not ended. No trial has finished",
        ),
    ],
)
def test_without_a_comparison_it_says_why(trials, expected):
    empty = pd.DataFrame()
    text = answer(forest_table(*[empty] * 5), empty, pd.DataFrame(trials))
    assert text.startswith(expected)
