"""The driver's cost of an event, which does not grow with the number of trials: counted, not timed."""

import itertools
import json
import time
from contextlib import closing
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from ray.tune.experiment import Trial
from ray.tune.trainable.metadata import _TrainingRunMetadata

from study import names
from study.errors import StudyError
from study.execution import progress
from study.execution.callbacks import JournalKeeper
from study.execution.progress import ProgressLine
from study.execution.trial_queue import _Trial, listed_points
from study.search.optuna import Search
from study.search.schedulers import build_scheduler
from study.spec import sweep as sweep_module
from study.spec.sweep import Sweep
from study.state import journal as events
from study.state.journal import JOURNAL_FILE, Journal, TrialState
from support.search_without_training import Launch, told

GRID = Sweep.model_validate(
    {"name": "s", "base": {"mode": "supervised"}, "space": {"loss.alpha": {"grid": [number / 100 for number in range(1, 61)]}}}
)


class Looked(dict[str, TrialState]):
    """Trials of a journal that count how often somebody looks for one."""

    looks = 0

    def __contains__(self, name: object) -> bool:
        self.looks += 1
        return super().__contains__(name)


def test_each_listed_point_is_given_once_and_looked_up_once(tmp_path: Path) -> None:
    with closing(Journal(tmp_path)) as journal:
        for number in (0, 2):
            journal.append(events.TRIAL, trial=GRID.trial_name(number), number=number, point=GRID.points[number])
        looked = journal.trials = Looked(journal.trials)
        next_point, given = listed_points(GRID, journal), []
        while (new := next_point()) is not None:
            given.append(new)
        assert given == [(number, point) for number, point in enumerate(GRID.points) if number not in (0, 2)]
        assert next_point() is None
        assert looked.looks == len(GRID.points)


def test_a_search_reads_all_optuna_trials_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    launch = Launch(tmp_path)
    launch.run(4)
    again = Launch(tmp_path)
    monkeypatch.setattr(Search, "_trials", lambda search: pytest.fail("looked at all trials"))
    again.run(4)
    monkeypatch.undo()
    assert [trial.number for trial in told(tmp_path)] == list(range(8))
    assert all(trial.state.is_finished() and len(trial.intermediate_values) == 1 for trial in told(tmp_path))


def test_lines_read_together_share_names_and_show_a_damaged_one(tmp_path: Path) -> None:
    with closing(Journal(tmp_path)) as journal:
        journal.append(events.TRIAL, trial="a", number=0, point={})
    line = {"time": 1.0, "event": events.EPOCH, "trial": "a", "is_last": False, "rung": True, "metrics": {"val.accuracy": 0.5}}
    lines = [json.dumps({**line, "epoch": epoch}) for epoch in range(1, 2501)]
    path = tmp_path / JOURNAL_FILE
    first = path.read_text()
    path.write_text(first + "\n".join(lines) + "\n")
    read = Journal(tmp_path)
    assert [event["epoch"] for event in read.events[1:]] == list(range(1, 2501))
    named = {id(name) for event in read.events[1:] for name in event["metrics"]}
    assert len(named) <= 3  # of each thousand lines
    for damaged in ("{", f"{lines[0]}, {lines[0]}", "1], [2"):
        path.write_text(first + "\n".join([*lines[:2100], damaged, *lines[2100:]]) + "\n")
        with pytest.raises(StudyError, match="damaged in line 2102;"):
            Journal(tmp_path)


def test_metrics_of_all_epochs_have_the_same_names_in_memory(tmp_path: Path) -> None:
    with closing(Journal(tmp_path)) as journal:
        keeper = JournalKeeper(journal, None, lambda event: None, lambda failure: False)
        keeper.start("a", 0, {})
        for epoch in (1, 2):  # as results come from workers: with strings of their own
            result = {"".join(names.VAL_ACCURACY): 0.5, "epoch": epoch, "is_last": False}
            result = json.loads(json.dumps(result))
            keeper.on_trial_result(1, [], SimpleNamespace(trial_id="a"), result)
        first, second = (next(iter(event["metrics"])) for event in journal.events[1:])
        assert first is second


@pytest.mark.parametrize("name", ["none", "asha", "median"])
def test_the_next_trial_is_the_first_that_waits(name: str, tmp_path: Path) -> None:
    content = {"base": {"mode": "supervised"}, "space": {"loss.alpha": {"uniform": [0.1, 0.9]}}, "search": "random"}
    sweep = Sweep.model_validate({**content, "budget": {"trials": 12}, "scheduler": name})
    scheduler = build_scheduler(sweep, tmp_path, lambda *change: None)
    statuses = {"s-9999": Trial.PENDING, "s-10000": Trial.PENDING, "s-0001": Trial.RUNNING, "s-0000": Trial.PAUSED}
    live = [SimpleNamespace(trial_id=trial, status=status) for trial, status in statuses.items()]
    for order in itertools.permutations(live):  # what is over is not asked for
        controller: Any = SimpleNamespace(get_live_trials=lambda order=order: order)
        chosen = scheduler.choose_trial_to_run(controller)
        assert chosen is not None
        assert chosen.trial_id == "s-9999"
    live = live[2:]
    controller = SimpleNamespace(get_live_trials=lambda: live)
    assert scheduler.choose_trial_to_run(controller) is live[1]
    assert scheduler.choose_trial_to_run(SimpleNamespace(get_live_trials=lambda: live[:1])) is None  # type: ignore[arg-type]


def test_a_trial_of_rays_keeps_its_last_result_and_no_statistics() -> None:
    trial = _Trial.__new__(_Trial)
    trial.run_metadata = _TrainingRunMetadata()
    for epoch in (1, 2):
        trial.update_last_result({"epoch": epoch, names.VAL_ACCURACY: 0.5})
    assert trial.run_metadata.last_result == {"epoch": 2, names.VAL_ACCURACY: 0.5}
    assert not trial.run_metadata.metric_analysis
    assert not trial.run_metadata.metric_n_steps


def test_a_slow_line_is_drawn_rarely_and_grids_are_counted_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    clock, drawn = [1000.0], [0]
    with closing(Journal(tmp_path)) as journal:
        line = ProgressLine(GRID, journal, epochs=1, at_once=1)
        monkeypatch.setattr(time, "monotonic", lambda: clock[0])
        monkeypatch.setattr(sweep_module, "grid_points", lambda space: pytest.fail("made all points"))
        monkeypatch.setattr(line, "say", lambda text: None)
        outcomes = journal.outcomes

        def slowly() -> list[str]:
            clock[0] += 1.0
            drawn[0] += 1
            return outcomes()

        for number in range(60):
            journal.append(events.TRIAL, trial=GRID.trial_name(number), number=number, point={})
            monkeypatch.setattr(journal, "outcomes", slowly)
            line.take(journal.append(events.EPOCH, trial=GRID.trial_name(number), epoch=1, is_last=True, rung=False, metrics={}))
            monkeypatch.setattr(journal, "outcomes", outcomes)
            line.take(journal.append(events.END, trial=GRID.trial_name(number), outcome=names.FINISHED, reason=None))
            clock[0] += 10.0
        assert 2 <= drawn[0] <= 60 * 10 / 50 + 2  # two hundredths of the time


def test_a_log_file_says_what_begins_and_then_how_far_it_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(progress, "LOG_SECONDS", 0.05)
    sweep = Sweep.model_validate({"name": "s", "base": {"mode": "supervised"}, "space": {"loss.alpha": {"grid": [1.0, 0.5]}}})
    with closing(Journal(tmp_path)) as journal, ProgressLine(sweep, journal, epochs=4, at_once=2).shown():
        time.sleep(0.2)  # no trial has ended, and none reports
    begins, *later = capsys.readouterr().err.splitlines()
    assert begins == "s: 0 of 2 trials are over, up to 2 run at once"
    assert later[0] == "s: 0 of 8 epochs, starting"
