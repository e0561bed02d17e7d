"""The searcher on real Optuna studies: points inside the space, how trials end, and what survives a resumed sweep."""

import math
from pathlib import Path
from typing import Any

import pytest
from optuna.trial import FrozenTrial, TrialState

from study import record_names as names
from study.searcher import POINT, SweepSearch, build_searcher
from study.spec import Sweep
from study.trial import IS_LAST

pytestmark = pytest.mark.filterwarnings("ignore:QMCSampler is experimental:optuna.exceptions.ExperimentalWarning")

METHODS = ["tpe", "gp", "cmaes", "qmc"]
SPACE = {
    "loss.alpha": {"uniform": [0.1, 0.9]},
    "optim.lr": {"loguniform": [1e-4, 1e-1]},
    "optim.batch_size": {"choice": [16, 64]},
}
OBJECTIVE = names.VAL_ACCURACY


def searcher(search: str = "tpe", seed: int = 0) -> SweepSearch:
    sweep = {"base": {"mode": "supervised"}, "space": SPACE, "search": search, "seeds": [seed], "budget": {"trials": 12}}
    return build_searcher(Sweep.model_validate(sweep | {"objective": OBJECTIVE}), IS_LAST)


def result(epoch: int, value: float | None, is_last: bool = False) -> dict[str, Any]:
    """An epoch as Ray hands it on."""
    objective = {} if value is None else {OBJECTIVE: value}
    return {"training_iteration": epoch, IS_LAST: is_last, **objective}


def optuna_trial(search: SweepSearch, number: int = 0) -> FrozenTrial:
    trial: FrozenTrial = search._ot_study.trials[number]
    return trial


def suggest(search: SweepSearch, trial_id: str) -> dict[str, Any]:
    suggested = search.suggest(trial_id)
    assert suggested is not None
    point: dict[str, Any] = suggested[POINT]
    return point


def sweep_points(search: SweepSearch, trials: range) -> list[dict[str, Any]]:
    """Points of finished trials whose objective is best at alpha 0.3 and lr 0.01."""
    points = []
    for number in trials:
        point = suggest(search, f"t{number}")
        value = 1 - abs(point["loss.alpha"] - 0.3) - abs(math.log10(point["optim.lr"]) + 2) / 10
        search.on_trial_complete(f"t{number}", result(1, value, is_last=True))
        points.append(point)
    return points


@pytest.mark.parametrize("method", METHODS)
def test_points_lie_inside_the_space_and_follow_from_the_seed(method: str) -> None:
    points = sweep_points(searcher(method), range(12))
    for point in points:
        assert point.keys() == SPACE.keys()
        assert 0.1 <= point["loss.alpha"] <= 0.9
        assert 1e-4 <= point["optim.lr"] <= 1e-1
        assert point["optim.batch_size"] in (16, 64)
    assert len({point["loss.alpha"] for point in points}) == 12
    assert sweep_points(searcher(method), range(12)) == points
    assert sweep_points(searcher(method, seed=1), range(12)) != points


def test_a_logarithmic_dimension_is_searched_by_decades() -> None:
    rates = [point["optim.lr"] for point in sweep_points(searcher("qmc"), range(12))]
    assert sum(rate < math.sqrt(1e-4 * 1e-1) for rate in rates) in range(4, 9)


@pytest.mark.parametrize(
    ("last", "error", "state", "value"),
    [
        (result(3, 0.5, is_last=True), False, TrialState.COMPLETE, 0.5),
        (result(2, 0.5), False, TrialState.PRUNED, 0.25),
        (result(3, math.nan, is_last=True), False, TrialState.FAIL, None),
        (result(3, math.inf, is_last=True), False, TrialState.FAIL, None),
        (result(3, None, is_last=True), False, TrialState.FAIL, None),
        (result(2, 0.5), True, TrialState.FAIL, None),
        (None, True, TrialState.FAIL, None),
        (None, False, TrialState.FAIL, None),
    ],
    ids=["finished", "stopped", "NaN", "infinite", "no objective", "error after an epoch", "error at once", "nothing"],
)
def test_every_end_of_a_trial_has_its_state(
    last: dict[str, Any] | None, error: bool, state: TrialState, value: float | None
) -> None:
    search = searcher()
    suggest(search, "a")
    search.on_trial_result("a", result(1, 0.25))
    search.on_trial_complete("a", last, error)
    trial = optuna_trial(search)
    assert trial.state == state
    assert trial.value == value
    suggest(search, "b")  # the sampler copes with every kind of ended trial


def test_a_trial_told_twice_keeps_its_first_end() -> None:
    search = searcher()
    suggest(search, "a")
    search.on_trial_complete("a", result(3, 0.5, is_last=True))
    search.on_trial_result("a", result(3, 0.1))
    search.on_trial_complete("a", result(3, 0.1, is_last=True))
    search.on_trial_complete("a", error=True)
    trial = optuna_trial(search)
    assert (trial.state, trial.value, trial.intermediate_values) == (TrialState.COMPLETE, 0.5, {})


def test_the_end_of_an_unknown_trial_is_ignored() -> None:
    search = searcher()
    search.on_trial_complete("never suggested", result(3, 0.5, is_last=True))
    assert search._ot_study.trials == []


def test_intermediate_values_are_those_of_the_epochs_that_have_the_objective() -> None:
    search = searcher()
    suggest(search, "a")
    for epoch, value in enumerate([None, 0.2, math.nan, 0.4], start=1):
        search.on_trial_result("a", result(epoch, value))
    assert optuna_trial(search).intermediate_values == {2: 0.2, 4: 0.4}


def test_a_restored_search_goes_on_where_it_was_saved(tmp_path: Path) -> None:
    whole = sweep_points(searcher(), range(14))
    interrupted = searcher()
    assert sweep_points(interrupted, range(12)) == whole[:12]
    interrupted.save(str(tmp_path / "search"))
    restored = searcher(seed=5)  # what is saved counts, not what the new object was made with
    restored.restore(str(tmp_path / "search"))
    assert sweep_points(restored, range(12, 14)) == whole[12:]


def test_after_a_restore_a_trial_may_end_again_and_running_ones_go_on(tmp_path: Path) -> None:
    search = searcher()
    points = {trial_id: suggest(search, trial_id) for trial_id in ("ended", "running")}
    search.on_trial_complete("ended", result(3, 0.5, is_last=True))
    search.save(str(tmp_path / "search"))
    restored = searcher()
    restored.restore(str(tmp_path / "search"))
    assert suggest(restored, "running") == points["running"]
    # After a hard kill Ray runs a trial again whose end it had not noted yet, but the searcher had.
    restored.on_trial_result("ended", result(3, 0.6, is_last=True))
    restored.on_trial_complete("ended", result(3, 0.6, is_last=True))
    restored.on_trial_complete("running", result(2, 0.4))
    ended, running = optuna_trial(restored, 0), optuna_trial(restored, 1)
    assert (ended.state, ended.value, ended.intermediate_values) == (TrialState.COMPLETE, 0.5, {})
    assert running.state == TrialState.PRUNED
