"""Early ends of a search, and what is left of a sweep then."""

import math
from pathlib import Path
from typing import Any

import pytest

from study import names
from study.spec.sweep import Sweep
from study.state import journal as events
from study.state.completion import early_end, is_complete, pending_sweeps, reason_to_end, remarks, trials_left
from study.state.home import Home
from study.state.journal import Journal
from support.studies_without_training import study_of

SEARCH: dict[str, Any] = {"space": {"loss.alpha": {"uniform": [0.0, 1.0]}}, "search": "tpe"}


def sweep(**budget: Any) -> Sweep:
    return Sweep.model_validate({"name": "s", "base": {"mode": "supervised"}, **SEARCH, "budget": {"trials": 8, **budget}})


def end_trials(journal: Journal, values: list[float | str], metric: str = names.VAL_ACCURACY) -> None:
    """Trials one after the other: finished with a value, or ended in another way."""
    for number, value in enumerate(values):
        name = f"s-{number:04d}"
        journal.append(events.TRIAL, trial=name, number=number, point={"loss.alpha": number / 10})
        if not isinstance(value, str):
            journal.append(events.EPOCH, trial=name, epoch=1, is_last=True, rung=False, metrics={metric: value})
        outcome = value if isinstance(value, str) else names.FINISHED
        journal.append(events.END, trial=name, outcome=outcome, reason=None)
    journal.close()


@pytest.mark.parametrize(
    ("budget", "values", "reason"),
    [
        ({"patience": 2}, [0.5, 0.4, 0.5], "no improvement for 2 trials"),  # as good is no improvement
        ({"patience": 2}, [0.5, 0.4, 0.6, 0.6], None),
        ({"patience": 2}, [0.5, names.FAILED, names.STOPPED, 0.4], None),  # only finished trials count
        ({"patience": 2}, [math.nan, math.nan], "no improvement for 2 trials"),
        ({"patience": 1}, [0.5, 0.4, 0.9], "no improvement for 1 trial"),  # those under way when it ended do not undo it
        ({"patience": 1}, [0.8, 0.7, 0.6, 0.5, 0.4, 0.3, 0.2, 0.1], None),  # nothing is left to end
        ({"target": 0.8}, [0.5, 0.8, 0.1], "val.accuracy 80.0 % reaches the target 80.0 %"),
        ({"target": 0.8}, [0.5, math.inf], None),
        ({"target": 0.8, "patience": 2}, [0.5, 0.4, 0.3], "no improvement for 2 trials"),
        ({}, [0.5] * 6, None),
    ],
)
def test_patience_and_target_look_at_finished_trials(
    budget: dict[str, Any], values: list[float | str], reason: str | None, tmp_path: Path
) -> None:
    end_trials(Journal(tmp_path), values)
    assert reason_to_end(sweep(**budget), Journal(tmp_path)) == reason


def test_a_target_below_is_reached_from_above(tmp_path: Path) -> None:
    content = {"name": "s", "base": {"mode": "self-supervised"}, **SEARCH, "objective": names.VAL_UNIFORMITY}
    search = Sweep.model_validate({**content, "budget": {"trials": 8, "target": -2.0}})
    end_trials(Journal(tmp_path), [-1.0, 3.0], names.VAL_UNIFORMITY)
    assert reason_to_end(search, Journal(tmp_path)) is None
    end_trials(Journal(tmp_path / "low"), [-1.0, -2.5], names.VAL_UNIFORMITY)
    assert reason_to_end(search, Journal(tmp_path / "low")) == "val.uniformity -2.500 reaches the target -2.000"


def test_an_ended_search_needs_the_trials_under_way_only(tmp_path: Path) -> None:
    home = Home(tmp_path)
    study = study_of("toy", {**SEARCH, "budget": {"trials": 8, "patience": 1}})
    (search,) = study.sweeps
    journal = Journal(home.study("toy") / "sweep")
    for number in range(4):
        journal.append(events.TRIAL, trial=f"s-{number:04d}", number=number, point={})
    for number in (0, 1):
        journal.append(events.END, trial=f"s-{number:04d}", outcome=names.FINISHED, reason=None)
    journal.append(events.REPEAT, number=4, point={}, of="s-0002")
    assert trials_left(search, journal) == 8 - 2 - 1
    journal.append(events.SEARCH_END, reason="no improvement for 1 trial")
    assert trials_left(search, Journal(home.study("toy") / "sweep")) == 2
    for number, outcome in ((2, names.FAILED), (3, names.FINISHED)):
        journal.append(events.END, trial=f"s-{number:04d}", outcome=outcome, reason=None)
    assert (trials_left(search, journal), is_complete(search, journal)) == (0, False)  # a failed trial is tried again
    journal.append(events.TRIAL, trial="s-0002", number=2, point={})
    journal.append(events.END, trial="s-0002", outcome=names.FINISHED, reason=None)
    assert is_complete(search, journal)
    journal.close()
    assert pending_sweeps(study, home) == []
    assert early_end(search, journal) == "ended after 4 of 8 trials: no improvement for 1 trial"
    assert remarks(search, journal)[0] == "sweep: 1 of 8 trials repeated an earlier setting and was not trained"
