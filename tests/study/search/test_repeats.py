"""Points that a search proposes again, and results of earlier studies: what Optuna's storage and the journal have of them."""

import shutil
from pathlib import Path
from typing import Any

import pytest
from optuna.trial import TrialState

from study import names
from study.search.optuna import STORAGE_FILE
from study.state import journal as events
from study.state.completion import is_complete, trials_left
from study.state.journal import EarlierResult, Repeat
from support.search_without_training import KNOWN, SPACE, Launch, told

SMALL: dict[str, Any] = {
    "space": {"optim.batch_size": {"choice": [16, 32, 64]}, "loss.alpha": {"grid": [0.5, 1.0]}},
    "budget": {"trials": 12},
}
EARLIER = [
    EarlierResult("earlier", f"s-{number:04d}", {"loss.alpha": alpha, "optim.lr": 0.01, "optim.batch_size": 16}, [1 - alpha])
    for number, alpha in enumerate((0.25, 0.5, 0.75))
]


class KilledError(Exception):
    """The driver is gone."""


def run(folder: Path, kill_at: int | None = None, **fields: Any) -> int:
    """Run a search on, one trial at a time, to its end or until it is killed; returns the moments that have passed."""
    moments = 0

    def stop(moment: str) -> None:
        nonlocal moments
        moments += 1
        if moments == kill_at:
            raise KilledError(moment)

    launch = Launch(folder, **{**SMALL, **fields})
    under_way = launch.journal.unfinished()
    while under_way or launch.ask(stop) is not None:
        (trial,) = launch.journal.unfinished()
        under_way = []
        launch.epoch(trial.trial, 3, val__accuracy=trial.point["loss.alpha"] - trial.point["optim.batch_size"] / 100)
        launch.journal.append(events.END, trial=trial.trial, outcome=names.FINISHED, reason=None)
        stop("ended")
        launch.search.tell(trial.trial)
    assert is_complete(launch.sweep, launch.journal)
    launch.journal.close()
    return moments


def content(folder: Path, **fields: Any) -> tuple[Any, ...]:
    """What journal and storage have in the end."""
    journal = Launch(folder, **{**SMALL, **fields}).journal
    points = {name: trial.point for name, trial in journal.trials.items()}
    return points, journal.repeats, [(trial.params, trial.values, trial.state) for trial in told(folder)]


@pytest.mark.parametrize("method", ["tpe", "gp", "cmaes", "qmc"])
def test_a_small_space_ends_without_training_a_point_twice(method: str, tmp_path: Path) -> None:
    run(tmp_path, search=method)
    points, repeats, optuna = content(tmp_path, search=method)
    assert len(points) + len(repeats) == 12
    assert len(repeats) >= 6
    assert len({tuple(point.items()) for point in points.values()}) == len(points)
    values = {name: optuna[int(name[2:])] for name in points}
    for repeat in repeats:
        assert optuna[repeat.number] == values[repeat.of]
    assert all(state == TrialState.COMPLETE for _, _, state in optuna)


def test_a_kill_at_any_moment_gives_the_same_repeats(tmp_path: Path) -> None:
    warm: dict[str, Any] = {"warm_start": [EarlierResult("earlier", "s-0000", {"optim.batch_size": 16, "loss.alpha": 0.5}, [0.3])]}
    moments = run(tmp_path / "whole", **warm)
    whole = content(tmp_path / "whole", **warm)
    for moment in range(1, moments + 1):
        folder = tmp_path / str(moment)
        with pytest.raises(KilledError):
            run(folder, kill_at=moment, **warm)
        run(folder, **warm)
        assert content(folder, **warm) == whole, moment
        shutil.rmtree(folder)


def test_a_lost_storage_is_written_anew_with_its_repeats(tmp_path: Path) -> None:
    run(tmp_path)
    whole = content(tmp_path)
    lines = (tmp_path / STORAGE_FILE).read_bytes().splitlines(keepends=True)
    for kept in (0, len(lines) // 2, len(lines) - 1):
        (tmp_path / STORAGE_FILE).write_bytes(b"".join(lines[:kept]))
        assert content(tmp_path) == whole, kept


@pytest.mark.parametrize(
    ("outcome", "state"),
    [(names.FINISHED, TrialState.COMPLETE), (names.STOPPED, TrialState.PRUNED), (names.FAILED, TrialState.FAIL)],
)
def test_a_repeat_of_a_running_trial_gets_its_result_later(outcome: str, state: TrialState, tmp_path: Path) -> None:
    fields: dict[str, Any] = {"space": {"loss.alpha": {"choice": [0.5]}}, "budget": {"trials": 3}}
    launch = Launch(tmp_path, **fields)
    name, _ = launch.begin()
    assert launch.ask() is None
    assert launch.journal.repeats == [Repeat(1, name), Repeat(2, name)]
    assert trials_left(launch.sweep, launch.journal) == 1
    assert [trial.state for trial in told(tmp_path)] == [TrialState.RUNNING] * 3
    launch.epoch(name, 1, val__accuracy=0.5)
    launch.end(name, outcome, tell=outcome != names.STOPPED)  # else the driver is killed before
    Launch(tmp_path, **fields)
    reported = [(trial.state, trial.value, trial.intermediate_values) for trial in told(tmp_path)]
    assert reported == [(state, None if outcome == names.FAILED else 0.5, {1: 0.5})] * 3


@pytest.mark.parametrize("lost", ["nothing", "half", "everything"])
def test_earlier_results_come_first_and_are_no_trials(lost: str, tmp_path: Path) -> None:
    known = EARLIER[0].point
    fields: dict[str, Any] = {"warm_start": EARLIER, "enqueue": [known, KNOWN]}
    points, path = [], tmp_path / STORAGE_FILE
    for number in range(4):
        launch = Launch(tmp_path, **fields)
        name, point = launch.begin()
        assert name == f"s-{number:04d}"
        points.append(point)
        launch.end(name, names.FAILED)
        lines = path.read_bytes().splitlines(keepends=True)
        path.write_bytes(b"".join(lines[: {"nothing": len(lines), "half": len(lines) // 2, "everything": 0}[lost]]))
    assert points[:2] == [known, KNOWN]  # a point that an earlier study has is tried all the same
    trials = Launch(tmp_path, **fields).journal.trials
    assert list(trials) == [f"s-{number:04d}" for number in range(4)]
    assert [trial.user_attrs.get("warm_start") for trial in told(tmp_path)] == [
        *("earlier/s-0000", "earlier/s-0001", "earlier/s-0002"),
        *[None] * 4,
    ]
    assert [trial.value for trial in told(tmp_path)[:3]] == [0.75, 0.5, 0.25]
    assert [trial.state for trial in told(tmp_path)[3:]] == [TrialState.FAIL] * 4


@pytest.mark.parametrize("method", ["tpe", "gp"])
def test_a_warm_search_resumes_as_an_uninterrupted_one(method: str, tmp_path: Path) -> None:
    cold = Launch(tmp_path / "cold", method).run(4)
    whole = Launch(tmp_path / "whole", method, warm_start=EARLIER * 4).run(4)
    assert whole != cold  # the sampler has learnt from them
    assert [Launch(tmp_path / "again", method, warm_start=EARLIER * 4).run(1)[0] for _ in range(4)] == whole
    assert all(point.keys() == SPACE.keys() for point in whole)
