"""The search on real Optuna storages: points inside the space, ends of trials, and crashes at any moment."""

import json
import math
import shutil
from pathlib import Path

import pytest
from optuna.trial import TrialState

from study import names
from study.errors import StudyError
from study.search.optuna import STORAGE_FILE
from study.state import journal as events
from support.search_without_training import KNOWN, OBJECTIVE, SPACE, TRIALS, Launch, Point, told

METHODS = ["tpe", "gp", "cmaes", "qmc"]


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[Point]]:
    """The points of each method's whole search."""
    return {method: Launch(tmp_path_factory.mktemp(method), method).run(TRIALS) for method in METHODS}


@pytest.mark.parametrize("method", METHODS)
def test_points_lie_inside_the_space_and_follow_from_the_seed(
    method: str, uninterrupted: dict[str, list[Point]], tmp_path: Path
) -> None:
    points = uninterrupted[method]
    for point in points:
        assert point.keys() == SPACE.keys()
        assert 0.1 <= point["loss.alpha"] <= 0.9
        assert 1e-4 <= point["optim.lr"] <= 1e-1
        assert point["optim.batch_size"] in (16, 64)
    assert len({point["loss.alpha"] for point in points}) == TRIALS
    assert Launch(tmp_path / "other", method, seed=1).run(2) != points[:2]


def test_a_logarithmic_dimension_is_searched_by_decades(uninterrupted: dict[str, list[Point]]) -> None:
    rates = [point["optim.lr"] for point in uninterrupted["qmc"]]
    assert sum(rate < math.sqrt(1e-4 * 1e-1) for rate in rates) in range(5, 10)


def test_there_are_as_many_trials_as_the_sweep_has(tmp_path: Path) -> None:
    launch = Launch(tmp_path, budget={"trials": 2})
    launch.run(2)
    assert launch.search.next_point() is None
    assert Launch(tmp_path, budget={"trials": 2}).search.next_point() is None


@pytest.mark.parametrize("method", METHODS)
def test_a_resumed_search_samples_as_an_uninterrupted_one(
    method: str, uninterrupted: dict[str, list[Point]], tmp_path: Path
) -> None:
    assert [Launch(tmp_path, method).run(1)[0] for _ in range(TRIALS)] == uninterrupted[method]


@pytest.mark.parametrize("method", METHODS)
def test_a_cut_optuna_file_does_not_change_the_search(method: str, uninterrupted: dict[str, list[Point]], tmp_path: Path) -> None:
    """The driver is killed after each write between the twelfth trial's end and the next one's note in the journal."""
    whole = tmp_path / "whole"
    launch = Launch(whole, method)
    launch.run(11)
    before = (whole / STORAGE_FILE).read_bytes()
    launch.run(1)
    launch.search.next_point()
    launch.journal.close()
    content = (whole / STORAGE_FILE).read_bytes()
    ends = [place + 1 for place, byte in enumerate(content) if byte == 10 and place >= len(before)]
    for cut in sorted({*ends, *(end - 7 for end in ends), len(before) // 2, 0}):
        folder = tmp_path / str(cut)
        shutil.copytree(whole, folder)
        (folder / STORAGE_FILE).write_bytes(content[:cut])
        (folder / f"{STORAGE_FILE}.lock").write_text("")  # of a driver that is gone
        again = Launch(folder, method)
        assert [trial.state for trial in told(folder)[:12]] == [TrialState.COMPLETE, TrialState.COMPLETE, TrialState.PRUNED] * 4
        if cut < len(before) and method == "cmaes":  # the strategy's own state is gone with the file: it begins anew
            again.run(1)
        else:
            assert again.run(1) == uninterrupted[method][12:13], cut
        assert len(told(folder)) == 13
        assert all(trial.state.is_finished() for trial in told(folder))
        shutil.rmtree(folder)


def test_a_point_that_the_journal_lost_keeps_its_name(uninterrupted: dict[str, list[Point]], tmp_path: Path) -> None:
    Launch(tmp_path).run(6)
    path = tmp_path / "journal.jsonl"
    lines = path.read_text().splitlines(keepends=True)
    first_of_last = next(place for place, line in enumerate(lines) if json.loads(line).get("trial") == "s-0004")
    path.write_text("".join(lines[:first_of_last]))
    assert Launch(tmp_path).run(4) == uninterrupted["tpe"][4:8]
    assert len(told(tmp_path)) == 8


@pytest.mark.parametrize(
    ("metrics", "outcome", "state", "value"),
    [
        ({"val__accuracy": 0.5}, names.FINISHED, TrialState.COMPLETE, 0.5),
        ({"val__accuracy": 0.5}, names.STOPPED, TrialState.PRUNED, 0.5),
        ({"val__accuracy": math.nan}, names.FINISHED, TrialState.FAIL, None),
        ({"val__accuracy": math.inf}, names.FINISHED, TrialState.FAIL, None),
        ({"train__loss": 0.5}, names.FINISHED, TrialState.FAIL, None),
        ({"val__accuracy": 0.5}, names.FAILED, TrialState.FAIL, None),
    ],
    ids=["finished", "stopped", "NaN", "infinite", "no objective", "error"],
)
def test_every_end_of_a_trial_has_its_optuna_state(
    metrics: dict[str, float], outcome: str, state: TrialState, value: float | None, tmp_path: Path
) -> None:
    for tell in (True, False):
        launch = Launch(tmp_path / str(tell))
        name, _ = launch.begin()
        launch.epoch(name, 3, **metrics)
        launch.end(name, outcome, tell=tell)
        launch.begin()  # running when the driver is killed
        Launch(tmp_path / str(tell)).begin()  # the sampler copes with every kind of ended trial
        first, second, third = told(tmp_path / str(tell))
        assert (first.state, first.value) == (state, value)
        assert (second.state, third.state) == (TrialState.RUNNING, TrialState.RUNNING)


def test_intermediate_values_are_of_epochs_with_the_objective(tmp_path: Path) -> None:
    launch = Launch(tmp_path)
    name, _ = launch.begin()
    for epoch, value in enumerate([None, 0.2, math.nan, 0.4], start=1):
        launch.epoch(name, epoch, **({} if value is None else {"val__accuracy": value}))
    Launch(tmp_path).search.report(name, 4, {OBJECTIVE: 0.4})  # reported again after a crash
    assert told(tmp_path)[0].intermediate_values == {2: 0.2, 4: 0.4}


def test_only_a_failed_trial_is_told_a_second_time(tmp_path: Path) -> None:
    launch = Launch(tmp_path)
    for outcome in (names.FINISHED, names.FAILED):
        name, _ = launch.begin()
        launch.epoch(name, 1, val__accuracy=0.5)
        launch.end(name, outcome)
        launch.search.tell(name)
    again = Launch(tmp_path)
    number, point = again.journal.trials[name].number, again.journal.trials[name].point
    again.journal.append(events.TRIAL, trial=name, number=number, point=point)
    again.epoch(name, 3, val__accuracy=0.75)
    again.end(name, names.FINISHED)
    Launch(tmp_path)
    assert [(trial.state, trial.value) for trial in told(tmp_path)] == [
        (TrialState.COMPLETE, 0.5),
        (TrialState.FAIL, None),
        (TrialState.COMPLETE, 0.75),
    ]
    assert told(tmp_path)[2].params == told(tmp_path)[1].params
    name, _ = Launch(tmp_path).begin()
    assert name == "s-0002"  # although Optuna has three by now


def test_several_objectives_are_told_together(tmp_path: Path) -> None:
    launch = Launch(tmp_path, objective=[OBJECTIVE, names.VAL_MACRO_ACCURACY])
    values = [(0.5, 0.25), (0.25, 0.5), (0.25, math.nan)]
    for accuracy, macro in values:
        name, _ = launch.begin()
        launch.epoch(name, 3, val__accuracy=accuracy, val__macro_accuracy=macro)
        launch.end(name, names.FINISHED)
    assert [trial.values for trial in told(tmp_path)] == [[0.5, 0.25], [0.25, 0.5], None]
    (tmp_path / STORAGE_FILE).unlink()
    Launch(tmp_path, objective=[OBJECTIVE, names.VAL_MACRO_ACCURACY]).begin()
    assert [trial.values for trial in told(tmp_path)] == [[0.5, 0.25], [0.25, 0.5], None, None]


@pytest.mark.parametrize("lost", ["nothing", "everything", "all but that they are known"])
def test_known_points_come_first_and_once(lost: str, tmp_path: Path) -> None:
    other = {**KNOWN, "loss.alpha": 0.75}
    points, storage = [], tmp_path / STORAGE_FILE
    for _ in range(4):
        launch = Launch(tmp_path, enqueue=[KNOWN, other])
        if not points:
            enqueued = storage.read_bytes()
        points += [launch.begin()[1]]
        launch.end(f"s-{len(points) - 1:04d}", names.FAILED)
        if lost != "nothing":
            storage.write_bytes(enqueued if lost.startswith("all") else b"")
    assert points[:2] == [KNOWN, other]
    assert KNOWN not in points[2:]
    assert other not in points[2:]
    Launch(tmp_path, enqueue=[KNOWN, other])
    assert len(told(tmp_path)) == 4


def test_a_storage_that_is_damaged_is_refused_with_its_remedy(tmp_path: Path) -> None:
    Launch(tmp_path).run(2)
    path = tmp_path / STORAGE_FILE
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join([*lines[:2], b"not json\n", *lines[3:]]))
    with pytest.raises(StudyError, match=r"is damaged .*delete it, and `resume` writes it anew"):
        Launch(tmp_path)


def test_a_conditional_search_goes_on_after_inactive_settings(tmp_path: Path) -> None:
    space = {
        "optim.batch_size": {"choice": [16, 64]},
        "optim.lr": {"loguniform": [1e-4, 1e-1]},  # without it, a batch size alone would be a point that comes again
        "loss.margin": {"uniform": [0.1, 1.0], "when": {"optim.batch_size": 64}},
    }
    points = []
    for _ in range(8):
        launch = Launch(tmp_path, space=space)  # each is the launch after a kill: the trials before are under way
        points.append(launch.begin()[1])
    assert {tuple(point) for point in points} == {
        ("optim.batch_size", "optim.lr"),
        ("optim.batch_size", "optim.lr", "loss.margin"),
    }
    assert [trial.params for trial in told(tmp_path)] == points
    (tmp_path / STORAGE_FILE).unlink()
    Launch(tmp_path, space=space)
    assert [trial.params for trial in told(tmp_path)] == points
