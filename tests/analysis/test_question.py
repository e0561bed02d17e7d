"""The question of a study: its baseline and its comparisons, named or by default."""

from typing import Any

import pytest

from analysis.question import PAPER, asks_the_paper, question_of

MODE = "supervised"


def study(*spaces: dict[str, Any], **fields: Any) -> dict[str, Any]:
    sweeps = [{"name": f"s{place}", "base": {"mode": MODE}, "space": space} for place, space in enumerate(spaces)]
    return {"sweeps": sweeps, **fields}


@pytest.mark.parametrize(
    ("space", "baseline"),
    [
        ({"loss.alpha": {"uniform": [0.1, 0.9]}}, {"loss.alpha": 1}),
        ({"loss.alpha": {"grid": [1.0, 0.5]}, "optim.lr": {"grid": [0.1, 0.01]}}, {"loss.alpha": 1}),
        ({}, {"loss.alpha": 1}),
        ({"data.subset": {"grid": ["all", "clean"]}}, {"loss.alpha": 1}),
        ({"loss.margin": {"uniform": [0.1, 0.9]}}, {"loss.alpha": 1}),
        ({"optim.lr": {"grid": [0.1, 0.01]}, "model.width": {"choice": [64, 16]}}, {"optim.lr": 0.1, "model.width": 64}),
        ({"optim.lr": {"loguniform": [0.001, 0.1]}, "model.width": {"choice": [64, 16]}}, {"model.width": 64}),
        ({"optim.lr": {"loguniform": [0.001, 0.1]}}, {}),
        ({"a.b": {"grid": [1, 2]}, "c.d": {"grid": [3], "when": {"a.b": [2]}}}, {"a.b": 1}),
    ],
)
def test_the_default_baseline(space: dict[str, Any], baseline: dict[str, Any]) -> None:
    found = question_of(study(space), MODE)
    assert (found.baseline, found.is_named) == (baseline, False)


def test_alpha_fixed_at_different_values_varies() -> None:
    sweeps = study({}, {})
    for sweep, alpha in zip(sweeps["sweeps"], (1.0, 0.5), strict=True):
        sweep["base"]["loss.alpha"] = alpha
    assert question_of(sweeps, MODE).baseline == {"loss.alpha": 1}


def test_what_a_study_names_counts_where_its_mode_has_it() -> None:
    content = study(
        {"optim.lr": {"grid": [0.1, 0.01]}}, baseline={"optim.lr": 0.01, "model.width": 64}, within=["optim.batch_size"]
    )
    found = question_of(content, MODE, ["optim.lr", "optim.batch_size"])
    assert (found.baseline, found.within, found.dimensions) == ({"optim.lr": 0.01}, ("optim.batch_size",), ("optim.lr",))
    assert question_of(content, "self-supervised", ["optim.lr", "model.width"]).baseline == {"optim.lr": 0.01, "model.width": 64}


def test_labels_that_differ_divide_comparisons() -> None:
    found = question_of(study({"noise.rate": {"grid": [0.0, 0.4]}, "optim.lr": {"grid": [0.1, 0.01]}}), MODE)
    assert found.within == ("data.subset", "noise.rate")
    assert found.dimensions == ("optim.lr",)


def test_a_list_beside_a_range_is_no_list() -> None:
    found = question_of(study({"optim.lr": {"grid": [0.1, 0.01]}}, {"optim.lr": {"loguniform": [0.001, 0.1]}}), MODE)
    assert found.listed == {}


def test_sweeps_that_confirm_are_told_apart_by_what_is_fixed() -> None:
    content = study({}, {}, confirms="first", baseline={"optim.lr": 0.1})
    for sweep, lr in zip(content["sweeps"], (0.1, 0.01), strict=True):
        sweep["base"] |= {"optim.lr": lr, "optim.weight_decay": lr / 10}
    assert question_of(content, MODE).dimensions == ("optim.lr", "optim.weight_decay")


def test_a_baseline_is_told_by_the_settings_that_a_trial_has() -> None:
    found = question_of(study({"optim.lr": {"grid": [0.1]}}, baseline={"optim.lr": 0.1, "model.width": 64}), MODE)
    assert found.is_baseline({"optim.lr": 0.1, "model.width": float("nan")})
    assert not found.is_baseline({"optim.lr": 0.1, "model.width": 32})
    assert not found.is_baseline({"model.width": None})


def test_the_paper_is_asked_by_default_only() -> None:
    own = study({"loss.alpha": {"grid": [1.0, 0.5]}, "data.subset": {"grid": ["all"]}, "noise.rate": {"grid": [0.0, 0.4]}})
    assert asks_the_paper(own)
    assert question_of(own, MODE).is_of_paper
    assert PAPER.is_of_paper
    for other in ({"baseline": {"loss.alpha": 0.5}}, {"within": ["loss.margin"]}, {"confirms": "x"}):
        assert not asks_the_paper({**own, **other})
    assert not asks_the_paper(study({"loss.alpha": {"grid": [1.0, 0.5]}, "optim.lr": {"grid": [0.1]}}))
