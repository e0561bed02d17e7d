"""Objectives, known points and schedulers of a sweep, and which of them are refused."""

from typing import Any

import pytest
from pydantic import ValidationError

from study.spec.objectives import pareto_front
from study.spec.resolve import read_study, resolve_study
from study.spec.sweep import Sweep

ALPHA = {"loss.alpha": {"uniform": [0.0, 1.0]}}
SSL = {"mode": "self-supervised"}
PBT = {"space": ALPHA, "search": "random", "budget": {"trials": 4}, "scheduler": "pbt"}


def sweep(**fields: Any) -> Sweep:
    return Sweep.model_validate({"base": {"mode": "supervised"}, **fields})


def test_several_objectives_have_a_direction_each() -> None:
    several = sweep(base=SSL, objective=["val.knn_accuracy", "val.uniformity"], space=ALPHA, search="tpe", budget={"trials": 2})
    assert several.objectives == ("val.knn_accuracy", "val.uniformity")
    assert several.directions == ("max", "min")
    assert sweep().objectives == ("val.accuracy",)
    assert sweep(base=SSL, objective="val.alignment").directions == ("min",)


def test_the_pareto_front_is_what_no_other_point_beats() -> None:
    values = [[0.9, 3.0], [0.8, 1.0], [0.7, 2.0], [0.9, 3.5], [0.9, 3.0], [0.1, 0.5]]
    assert pareto_front(values, ["max", "min"]) == [0, 1, 4, 5]
    assert pareto_front(values, ["max", "max"]) == [3]
    assert pareto_front([], ["max", "min"]) == []


def test_known_points_come_first_and_count_in_the_budget() -> None:
    known = [{"loss.alpha": 0.7}, {"loss.alpha": 0}]
    points = sweep(space=ALPHA, search="random", budget={"trials": 5}, enqueue=known, seeds=[3, 4]).points
    assert [point["loss.alpha"] for point in points[:4]] == [0.7, 0.7, 0, 0]
    drawn = sweep(space=ALPHA, search="random", budget={"trials": 3}, seeds=[3, 4]).points
    assert points[4:] == drawn
    assert len(points) == 10


def test_a_fixed_setting_leaves_the_known_points_once() -> None:
    (search,) = resolve_study(read_study("search-ssl"), None, {"loss.alpha": 0.5, "loss.temperature": 0.2}).sweeps
    assert search.enqueue == [{"loss.margin": 0.5}]


def test_shipped_searches_begin_with_the_best_published_ones() -> None:
    (ssl,) = resolve_study(read_study("search-ssl")).sweeps
    assert {"loss.alpha": 0.7, "loss.margin": 0.5, "loss.temperature": 0.1} in ssl.enqueue
    (supervised,) = resolve_study(read_study("search-supervised")).sweeps
    assert {"loss.alpha": 0.7, "loss.margin": 0.5} in supervised.enqueue


def test_schedulers_have_their_own_fields_with_defaults() -> None:
    common: dict[str, Any] = {"space": ALPHA, "search": "random", "budget": {"trials": 4}}
    fields = {
        name: sweep(**common, scheduler=name).scheduler.model_dump(exclude={"name"})
        for name in ("none", "asha", "hyperband", "median", "pbt")
    }
    assert fields == {
        "none": {},
        "asha": {"grace": 0.1, "reduction_factor": 3},
        "hyperband": {"reduction_factor": 3},
        "median": {"grace": 0.1},
        "pbt": {"interval": 0.1, "quantile": 0.25, "resample": 0.25},
    }


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"base": SSL, "objective": ["val.accuracy", "val.accuracy"]}, "several different ones"),
        ({"objective": []}, "several different ones"),
        ({"objective": ["val.accuracy", "test.accuracy"]}, "test results never choose settings"),
        ({"objective": ["val.accuracy", "val.uniformity"]}, "self-supervised runs only"),
        ({"base": SSL, "objective": ["val.accuracy", "val.uniformity"], "scheduler": "asha"}, "of several none is the better"),
        (
            {"objective": ["val.accuracy", "val.macro_accuracy"], "space": ALPHA, "search": "cmaes", "budget": {"trials": 3}},
            "cmaes takes one objective",
        ),
        ({"base": SSL, "scheduler": "median", "objective": "val.uniformity"}, r"use val\.knn_accuracy"),
        ({"scheduler": {"name": "asha", "interval": 0.1}}, "interval"),
        ({"scheduler": {"name": "pbt", "grace": 0.1}}, "grace"),
        ({"scheduler": {"name": "hyperband", "grace": 0.1}}, "grace"),
        ({"scheduler": {"name": "none", "grace": 0.1}}, "grace"),
        ({"scheduler": "asha", "seeds": [0, 1]}, "only the lucky seeds"),
        ({**PBT, "search": "tpe"}, "use search: random, got tpe"),
        ({**PBT, "search": "tpe", "scheduler": "hyperband"}, "a searcher learns nothing"),
        ({**PBT, "space": {"optim.batch_size": {"choice": [16, 32]}}}, "cannot change while a trial runs"),
        ({"search": "random", "budget": {"trials": 3}}, "needs a space; one setting alone is a grid"),
        ({**PBT, "budget": {"trials": 3}}, "never replaces one"),
        ({"space": {"loss.alpha": {"grid": [0.5]}}, "budget": {"patience": 3}}, "got patience 3; leave it out, or use search: tpe"),
        ({**PBT, "budget": {"trials": 4, "target": 0.8}}, "pbt needs all its trials, got target 0.8"),
        (
            {
                "objective": ["val.accuracy", "val.macro_accuracy"],
                "space": ALPHA,
                "search": "tpe",
                "budget": {"trials": 3, "patience": 2},
            },
            "patience 2 is for one objective",
        ),
        ({"space": ALPHA, "search": "gp", "budget": {"trials": 3, "target": 80}}, "got 80; 80 % is target: 0.8"),
        ({"space": {"loss.alpha": {"grid": [0.5]}}, "enqueue": [{"loss.alpha": 0.5}]}, "a grid tries all its points anyway"),
    ],
)
def test_what_cannot_work_is_refused_with_the_reason(fields: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        sweep(**fields)


@pytest.mark.parametrize(
    ("points", "message"),
    [
        ([{}], "loss.alpha is missing"),
        ([{"loss.alpha": 0.5, "loss.margin": 0.5}], "loss.margin is not in the space"),
        ([{"loss.alpha": 1.5}], "1.5 lies outside its dimension"),
        ([{"loss.alpha": "high"}], "high lies outside its dimension"),
        ([{"loss.alpha": 0.5}, {"loss.alpha": 0.5}], "repeats an earlier point"),
        ([{"loss.alpha": 0.1 * number} for number in range(4)], "budget.trials is 3"),
    ],
)
def test_a_wrong_known_point_is_refused(points: list[dict[str, Any]], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        sweep(space=ALPHA, search="tpe", budget={"trials": 3}, enqueue=points)
