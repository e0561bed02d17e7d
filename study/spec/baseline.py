"""The baseline of a study in its sweeps: whether their trials can have it, and the points that are added where none would."""

from collections.abc import Iterator, Mapping
from typing import Any

from analysis.question import Question, words
from study.errors import FieldError
from study.spec.recipe import recipe_settings
from study.spec.space import Point, conditional_point
from study.spec.study import Study
from study.spec.sweep import Sweep

_Key = tuple[tuple[str, Any], ...]  # values of what divides comparisons


def with_baseline_points(study: Study) -> Study:
    """The study with a known point in a search wherever a comparison would have no trial of the baseline that the study names.

    Grids have to list it. A study that names no baseline stays as it is.

    Raises:
        FieldError: no sweep can have the baseline.
    """
    if study.baseline is None:
        return study
    sweeps = list(study.sweeps)
    for mode in study.modes:
        question = study.question_in(mode)
        own = [place for place, sweep in enumerate(sweeps) if sweep.base["mode"] == mode and sweep.scheduler.name != "pbt"]
        if not question.is_named or not own:
            continue
        fixed = recipe_settings(mode)
        points = [{**fixed, **sweeps[place].base, **point} for place in own for point in _known_points(sweeps[place])]
        wanted = dict.fromkeys(key for place in own for key in _keys(sweeps[place], fixed, question))
        covered = {_key(point, question) for point in points if question.is_baseline(point)}
        for key in wanted:
            if key not in covered:
                _add(sweeps, own, fixed, question, key)
    return study.model_copy(update={"sweeps": sweeps})


def _known_points(sweep: Sweep) -> list[Point]:
    """Points that are known before the launch."""
    return list(sweep.enqueue) if sweep.uses_optuna else sweep.points


def _key(settings: Mapping[str, Any], question: Question) -> _Key:
    return tuple((name, settings[name]) for name in question.within if name in settings)


def _keys(sweep: Sweep, fixed: Mapping[str, Any], question: Question) -> Iterator[_Key]:
    """The comparisons that a sweep has trials of."""
    combinations: list[dict[str, Any]] = [{**fixed, **sweep.base}]
    for name in question.within:
        if name in sweep.space:
            combinations = [{**each, name: value} for each in combinations for value in sweep.space[name].values or []]
    for each in combinations:
        yield _key(each, question)


def _add(sweeps: list[Sweep], own: list[int], fixed: Mapping[str, Any], question: Question, key: _Key) -> None:
    """Put a point of the baseline into the first search that can have it."""
    reasons = []
    for place in own:
        sweep = sweeps[place]
        if key not in _keys(sweep, fixed, question):
            continue
        try:
            point = _point(sweep, fixed, question, dict(key))
        except FieldError as error:
            reasons.append(f"sweep {sweep.name}: {error}")
            continue
        sweeps[place] = Sweep.model_validate({**sweep.model_dump(exclude_none=True), "enqueue": [*sweep.enqueue, point]})
        return
    where = words({name: value for name, value in key if any(name in sweeps[place].space for place in own)})
    raise FieldError(
        f"no trial{' with ' + where if where else ''} can be the baseline {words(question.baseline)} ({'; '.join(reasons)}); "
        "list the value in a grid, widen the range, or add a sweep that has it",
        "baseline",
    )


def _point(sweep: Sweep, fixed: Mapping[str, Any], question: Question, key: Mapping[str, Any]) -> Point:
    """The baseline as a point of a search.

    Raises:
        FieldError: the search cannot have it.
    """
    if sweep.search == "grid":
        raise FieldError("its grid does not list it")
    settings = {**fixed, **sweep.base}
    given = {**key, **question.baseline}
    if differing := [name for name, value in question.baseline.items() if name not in sweep.space and settings.get(name) != value]:
        raise FieldError(f"{differing[0]} is {settings.get(differing[0])}")

    def value_of(name: str, dimension: Any) -> Any:
        if name not in given and dimension.values is None:
            raise FieldError(f"{name} is drawn from a range and baseline has no value of it")
        value = given.get(name, (dimension.values or [None])[0])
        if not dimension.contains(value):
            raise FieldError(f"{name} {value} lies outside its dimension")
        return value

    point = conditional_point(sweep.space, value_of)
    if not question.is_baseline({**settings, **point}):
        raise FieldError("its conditions keep settings of the baseline from being searched")
    return point
