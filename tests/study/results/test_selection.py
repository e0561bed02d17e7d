"""Selection of settings on validation."""

from typing import Any

from analysis.question import PAPER
from study import names
from study.results.selection import PLACE, Choice, Row, rank_of
from study.results.selection import choices as choices_of
from study.spec.sweep import Sweep


def sweep(**fields: Any) -> Sweep:
    listed = {"base": {"mode": "supervised"}, "space": {"loss.alpha": {"grid": [1.0, 0.5, 0.3]}}, **fields}
    return Sweep.model_validate(listed)


def choices(sweep: Sweep, rows: list[Row]) -> list[Choice]:
    return choices_of(sweep, rows, PAPER)


def row(alpha: float, val: float, seed: int = 0, place: int = 0, **more: Any) -> Row:
    return {"loss.alpha": alpha, "seed": seed, PLACE: place, names.VAL_ACCURACY: val, **more}


def test_seeds_are_averaged_and_a_repeated_seed_counts_once() -> None:
    rows = [row(1.0, 0.9), row(1.0, 0.1, 1), row(0.5, 0.6), row(0.5, 0.6, 1), row(1.0, 0.8, 0)]
    (choice,) = choices(sweep(seeds=[0, 1]), rows)
    assert [candidate.setting for candidate in choice.candidates] == [{"loss.alpha": 1.0}, {"loss.alpha": 0.5}]
    assert choice.winners[0].setting == {"loss.alpha": 0.5}
    assert [len(candidate.rows) for candidate in choice.candidates] == [2, 2]


def test_a_setting_with_fewer_seeds_is_no_candidate() -> None:
    rows = [row(1.0, 0.5), row(1.0, 0.5, 1), row(0.5, 0.9)]
    (choice,) = choices(sweep(seeds=[0, 1]), rows)
    assert [candidate.setting for candidate in choice.candidates] == [{"loss.alpha": 1.0}]
    assert [(setting.setting, len(setting.rows), choice.seeds) for setting in choice.lacking] == [({"loss.alpha": 0.5}, 1, 2)]


def test_seeds_that_a_whole_subset_lacks_cost_it_no_winner() -> None:
    space = {"data.subset": {"grid": ["noisy", "clean"]}, "loss.alpha": {"grid": [1.0, 0.5]}}
    rows = [row(alpha, 0.5, seed, **{"data.subset": "noisy"}) for alpha in (1.0, 0.5) for seed in (0, 1)]
    rows += [row(alpha, 1 - alpha / 2, 0, **{"data.subset": "clean"}) for alpha in (1.0, 0.5)]
    found = choices(sweep(space=space, seeds=[0, 1]), rows)
    assert [(choice.subset, choice.winners[0].setting["loss.alpha"], choice.seeds) for choice in found] == [
        ("noisy", 1.0, 2),
        ("clean", 0.5, 1),
    ]
    assert [choice.lacking for choice in found] == [[], []]


def test_test_figures_pick_nothing() -> None:
    rows = [row(1.0, 0.6, **{names.TEST_ACCURACY: 0.1}), row(0.5, 0.5, **{names.TEST_ACCURACY: 0.9})]
    assert choices(sweep(), rows)[0].winners[0].setting == {"loss.alpha": 1.0}


def test_ties_go_to_the_larger_alpha_then_the_smaller_margin() -> None:
    space = {"loss.alpha": {"grid": [0.3, 0.5]}, "loss.margin": {"grid": [0.5, 0.2]}}
    rows = [row(alpha, 0.5, **{"loss.margin": margin}) for alpha in (0.3, 0.5) for margin in (0.5, 0.2)]
    assert choices(sweep(space=space), rows)[0].winners[0].setting == {"loss.alpha": 0.5, "loss.margin": 0.2}


def test_of_equal_settings_the_one_tried_first_ranks_higher_as_on_the_page() -> None:
    compared = sweep(space={"model.dropout": {"grid": [0.5, 0.1]}})
    rows = [row(1.0, 0.5, place=place, **{"model.dropout": dropout}) for place, dropout in ((1, 0.5), (0, 0.1))]
    (choice,) = choices(compared, rows)
    later, first = choice.candidates
    assert choice.winners == [first]
    assert rank_of(compared, first) > rank_of(compared, later)


def test_each_subset_has_its_own_winner() -> None:
    space = {"data.subset": {"grid": ["all", "clean"]}, "loss.alpha": {"grid": [1.0, 0.5]}}
    values = {("all", 1.0): 0.9, ("all", 0.5): 0.8, ("clean", 1.0): 0.3, ("clean", 0.5): 0.4}
    found = choices(sweep(space=space), [row(alpha, val, **{"data.subset": subset}) for (subset, alpha), val in values.items()])
    assert [(choice.subset, choice.winners[0].setting["loss.alpha"]) for choice in found] == [("all", 1.0), ("clean", 0.5)]
    assert [len(choice.candidates) for choice in found] == [2, 2]


def test_a_front_is_ordered_by_the_first_objective() -> None:
    objective = [names.VAL_ACCURACY, names.VAL_MACRO_ACCURACY]
    pairs = {1.0: (0.5, 0.9), 0.5: (0.7, 0.4), 0.3: (0.4, 0.8)}  # the last is beaten by the first
    rows = [row(alpha, one, **{names.VAL_MACRO_ACCURACY: two}) for alpha, (one, two) in pairs.items()]
    (choice,) = choices(sweep(objective=objective), rows)
    assert [winner.setting["loss.alpha"] for winner in choice.winners] == [0.5, 1.0]


def test_trials_without_the_objective_are_left_out() -> None:
    assert choices(sweep(), [{"loss.alpha": 0.5, "seed": 0}, row(0.3, float("nan"))]) == []


def test_only_active_settings_make_a_setting() -> None:
    space = {
        "data.pretraining": {"choice": ["subset", "all"]},
        "optim.lr": {"loguniform": [0.01, 0.1], "when": {"data.pretraining": "all"}},
    }
    fields = {"base": {"mode": "self-supervised"}, "space": space, "search": "random", "budget": {"trials": 4}}
    rows = [row(0.5, 0.4, **{"data.pretraining": chosen, "optim.lr": lr}) for chosen, lr in (("subset", 0.03), ("all", 0.05))]
    (choice,) = choices(Sweep.model_validate(fields), rows)
    assert [candidate.setting for candidate in choice.candidates] == [
        {"data.pretraining": "subset"},
        {"data.pretraining": "all", "optim.lr": 0.05},
    ]


def test_what_validates_on_other_clips_or_labels_is_not_compared() -> None:
    space = {"data.test_fold": {"grid": [1, 2]}, "noise.rate": {"grid": [0.0, 0.4]}, "loss.alpha": {"grid": [1.0, 0.5]}}
    rows = [
        row(alpha, 0.5 + fold * rate * (0.75 - alpha), **{"data.test_fold": fold, "noise.rate": rate})
        for fold in (1, 2)
        for rate in (0.0, 0.4)
        for alpha in (1.0, 0.5)
    ]
    found = choices(sweep(space=space), rows)
    assert [(choice.subset, choice.winners[0].setting["loss.alpha"]) for choice in found] == [
        ("fold-1-noise-0", 1.0),
        ("fold-1-noise-0.4", 0.5),
        ("fold-2-noise-0", 1.0),
        ("fold-2-noise-0.4", 0.5),
    ]
