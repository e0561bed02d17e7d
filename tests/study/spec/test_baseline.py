"""Baselines that a study names: whether its trials can have them, and the points that are added."""

from typing import Any

import pytest

from study.errors import StudyError
from study.spec.resolve import resolve_study
from study.spec.study import Study

LR = {"optim.lr": {"grid": [0.001, 0.01]}}
DRAWN = {"optim.lr": {"loguniform": [0.0001, 0.1]}, "optim.batch_size": {"choice": [16, 64]}}
RANDOM = {"search": "random", "budget": {"trials": 3}}


def resolved(space: dict[str, Any], **fields: Any) -> Study:
    base = {"mode": "supervised", "loss.alpha": 0.7}
    return resolve_study({"name": "any", "question": "Does it?", "base": base, "space": space, **fields})


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"baseline": {"optim.lr": 0.1}}, "its grid does not list it"),
        ({"baseline": {"loss.alpha": 1.0}}, "no trial can be the baseline α 1"),
        ({"baseline": {"optim.lrr": 0.1}}, "did you mean optim.lr?"),
        ({"baseline": {"seed": 0}}, "seed is not a setting that this study can compare"),
        ({"baseline": {"data.subset": "all"}}, "data.subset is in within"),
        ({"within": ["optim.lr"], "baseline": {"optim.lr": 0.001}}, "take it out of the baseline"),
        ({"within": ["optim.lrr"]}, "did you mean optim.lr?"),
        ({"equivalence": 2}, "must be less than 1"),
        ({"baseline": {}}, "baseline"),
        ({"baseline": [0.5]}, "must be a mapping of settings to values"),
    ],
)
def test_what_cannot_be_is_refused(fields: dict[str, Any], message: str) -> None:
    with pytest.raises(StudyError) as refused:
        resolved(LR, **fields)
    assert message in str(refused.value)


@pytest.mark.parametrize(
    ("space", "fields", "message"),
    [
        (DRAWN, {"within": ["optim.lr"], **RANDOM}, "drawn from a range"),
        (DRAWN, {"baseline": {"optim.lr": 1.0}, **RANDOM}, "optim.lr 1.0 lies outside its dimension"),
        (DRAWN, {"baseline": {"optim.batch_size": 64}, "search": "tpe", "budget": {"trials": 2}}, "has no value of it"),
        ({**LR, "data.subset": {"grid": ["all", "clean"]}}, {"within": ["optim.lr"]}, "add it to within"),
    ],
)
def test_what_a_space_cannot_have_is_refused(space: dict[str, Any], fields: dict[str, Any], message: str) -> None:
    with pytest.raises(StudyError) as refused:
        resolved(space, **fields)
    assert message in str(refused.value)


@pytest.mark.parametrize("search", ["random", "tpe"])
def test_a_search_gets_the_baseline_as_a_known_point(search: str) -> None:
    fields = {"search": search, "budget": {"trials": 3}}
    (sweep,) = resolved(DRAWN, baseline={"optim.lr": 0.001}, **fields).sweeps
    assert sweep.enqueue == [{"optim.lr": 0.001, "optim.batch_size": 16}]
    assert sweep.trials == 3
    (own,) = resolved(DRAWN, baseline={"optim.lr": 0.001}, enqueue=[{"optim.lr": 0.001, "optim.batch_size": 64}], **fields).sweeps
    assert own.enqueue == [{"optim.lr": 0.001, "optim.batch_size": 64}]


def test_each_comparison_of_a_search_gets_one() -> None:
    space = {"data.subset": {"choice": ["all", "clean"]}, "optim.lr": {"loguniform": [0.0001, 0.1]}}
    (sweep,) = resolved(space, baseline={"optim.lr": 0.001}, search="tpe", budget={"trials": 5}).sweeps
    assert sweep.enqueue == [{"data.subset": subset, "optim.lr": 0.001} for subset in ("all", "clean")]


def test_a_grid_that_has_it_spares_the_search() -> None:
    sweeps = [{"name": "grid", "space": LR}, {"name": "tpe", "space": DRAWN, "search": "tpe", "budget": {"trials": 3}}]
    fields = {"base": {"mode": "supervised"}, "sweeps": sweeps, "baseline": {"optim.lr": 0.001}}
    assert [sweep.enqueue for sweep in resolve_study({"name": "any", "question": "Does it?", **fields}).sweeps] == [[], []]


def test_a_point_that_has_no_room_is_refused() -> None:
    enqueue = [{"optim.lr": lr, "optim.batch_size": 16} for lr in (0.002, 0.003, 0.004)]
    with pytest.raises(StudyError, match=r"enqueue has 4 points, budget\.trials is 3"):
        resolved(DRAWN, baseline={"optim.lr": 0.001}, enqueue=enqueue, **RANDOM)


def test_a_study_that_names_none_stays_as_it_is() -> None:
    study = resolved(DRAWN, **RANDOM)
    assert study.sweeps[0].enqueue == []
    assert not {"baseline", "within", "equivalence"} & set(study.model_dump(exclude_none=True))
