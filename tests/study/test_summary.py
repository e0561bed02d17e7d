"""What a launch ends with: the winners of a sweep."""

from typing import Any

from study.spec import Sweep
from study.summary import _best, _setting, _winners

SPACE = {
    "loss.alpha": {"uniform": [0, 1]},
    "data.pretraining": {"choice": ["subset", "all"]},
    "optim.lr": {"loguniform": [0.01, 0.1], "when": {"data.pretraining": "all"}},
}


def sweep(objective: str | list[str]) -> Sweep:
    fields = {"base": {"mode": "self-supervised"}, "space": SPACE, "search": "tpe", "budget": {"trials": 4}}
    return Sweep.model_validate({**fields, "objective": objective})


def trial(alpha: float, accuracy: float, uniformity: float, outcome: str = "finished", pretraining: str = "all") -> dict[str, Any]:
    objectives = {"val.knn_accuracy": accuracy, "val.uniformity": uniformity}
    settings = {"loss.alpha": alpha, "data.subset": "noisy", "data.pretraining": pretraining, "optim.lr": 0.03}
    return {**settings, "outcome": outcome, "val.knn_accuracy_low": accuracy - 0.1, "val.knn_accuracy_high": 1.0, **objectives}


TRIALS = [trial(0.1, 0.8, -1.0), trial(0.2, 0.7, -3.0), trial(0.3, 0.6, -2.0), trial(0.4, 0.9, -9.0, outcome="stopped")]


def alphas(objective: str | list[str], trials: list[dict[Any, Any]]) -> list[float | None]:
    return [winner and winner["loss.alpha"] for winner in _winners(sweep(objective), trials)]


def test_winners_are_finished_trials_and_of_several_objectives_the_pareto_front() -> None:
    assert alphas("val.knn_accuracy", TRIALS) == [0.1]
    assert alphas("val.uniformity", TRIALS) == [0.2]
    assert alphas(["val.knn_accuracy", "val.uniformity"], TRIALS) == [0.1, 0.2]
    assert alphas(["val.knn_accuracy", "val.uniformity"], TRIALS[3:]) == [None]


def test_only_shares_of_clips_are_percentages_and_only_active_settings_are_shown() -> None:
    both = sweep(["val.knn_accuracy", "val.uniformity"])
    assert _best(both, TRIALS[0]) == "80.0 [70.0, 100.0] %, -1.000"
    assert _setting(both, TRIALS[0]) == "loss.alpha 0.1, data.pretraining all, optim.lr 0.03"
    assert _setting(both, trial(0.1, 0.8, -1.0, pretraining="subset")) == "loss.alpha 0.1, data.pretraining subset"
