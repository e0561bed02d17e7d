"""Ends of a launch whose driver cannot go on."""

import errno
from contextlib import closing
from pathlib import Path
from types import SimpleNamespace

import pytest
from ray.tune.experiment import Trial

from study import names
from study.execution.callbacks import JournalKeeper
from study.execution.trial_queue import TrialQueue
from study.search.optuna import Search
from study.search.schedulers import build_scheduler
from study.spec.sweep import Sweep
from study.state import journal as events
from study.state.completion import is_complete, trials_left
from study.state.journal import Event, Journal
from support.file_systems import fill, small_disk

SWEEP = Sweep.model_validate(
    {
        "name": "s",
        "base": {"mode": "supervised"},
        "space": {"loss.alpha": {"uniform": [0.1, 0.9]}},
        "search": "tpe",
        "objective": names.VAL_ACCURACY,
        "budget": {"trials": 2},
    }
)


def test_a_full_disk_under_optunas_file_ends_the_launch(tmp_path: Path) -> None:
    with small_disk(tmp_path / "disk", "64k") as disk, closing(Journal(tmp_path)) as journal:  # the journal's own disk has room
        search = Search(SWEEP, disk, journal)

        def keeper() -> JournalKeeper:
            return JournalKeeper(journal, search, lambda event: None, lambda failure: False)

        reporting, ending = keeper(), keeper()
        new = search.next_point()
        assert new is not None
        trial = SimpleNamespace(trial_id=SWEEP.trial_name(new[0]))
        reporting.start(trial.trial_id, *new)
        fill(disk / "filler")

        def report() -> None:
            for epoch in range(1, 100):  # the last page of the file takes some
                reporting.on_trial_result(1, [], trial, {"epoch": epoch, "is_last": False, names.VAL_ACCURACY: 0.5})

        for kept, write in ((reporting, report), (ending, lambda: ending.end(trial.trial_id, names.FAILED, "x"))):
            with pytest.raises(OSError, match="No space left"):
                write()
            assert kept.error is not None
            assert kept.error.errno == errno.ENOSPC


SMALL = {"space": {"optim.batch_size": {"choice": [16, 32, 64, 128]}}, "budget": {"trials": 9, "target": 0.5}}


def finish(journal: Journal, name: str, value: float) -> None:
    journal.append(events.EPOCH, trial=name, epoch=1, is_last=True, rung=False, metrics={names.VAL_ACCURACY: value})


def test_a_search_that_ends_starts_no_further_trial(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sweep = SWEEP.model_validate({**SWEEP.model_dump(exclude_none=True), **SMALL})
    shown: list[Event] = []

    def stand_in(queue: TrialQueue, name: str, *args: object, **kwargs: object) -> SimpleNamespace:
        trial = SimpleNamespace(trial_id=name, status=Trial.PENDING)
        trial.is_finished = lambda: journal.trials[name].outcome is not None
        return trial

    monkeypatch.setattr(TrialQueue, "_trial", stand_in)
    with closing(Journal(tmp_path)) as journal:
        search = Search(sweep, tmp_path, journal)
        keeper = JournalKeeper(journal, search, shown.append, lambda failure: False)
        queue = TrialQueue(
            sweep, keeper, sweep.resources, [], search.next_point, build_scheduler(sweep, tmp_path, keeper.change), 2
        )
        first, second = queue.next_trial(), queue.next_trial()
        assert first is not None
        assert second is not None
        assert queue.next_trial() is None  # none waits for a worker
        finish(journal, first.trial_id, 0.25)
        keeper.end(first.trial_id, names.FINISHED)
        third = queue.next_trial()
        assert third is not None
        finish(journal, second.trial_id, 0.75)
        keeper.end(second.trial_id, names.FINISHED)
        assert shown[-1]["event"] == events.SEARCH_END
        assert shown[-1]["reason"] == "val.accuracy 75.0 % reaches the target 50.0 %"
        assert queue.next_trial() is None
        assert trials_left(sweep, journal) == 1
        finish(journal, third.trial_id, 0.9)
        keeper.end(third.trial_id, names.FINISHED)
        assert is_complete(sweep, journal)
        assert [event["event"] for event in journal.events].count(events.SEARCH_END) == 1
        assert shown == [event for event in journal.events if event["event"] != events.EPOCH]  # the mirror counts events


def test_a_kill_before_the_end_is_noted_gives_the_same_end(tmp_path: Path) -> None:
    sweep = SWEEP.model_validate({**SWEEP.model_dump(exclude_none=True), **SMALL})
    with closing(Journal(tmp_path)) as journal:
        search = Search(sweep, tmp_path, journal)
        for value in (0.25, 0.75):
            while (new := search.next_point()) is not None and search.original_of(new[1]) is not None:
                journal.append(events.REPEAT, number=new[0], point=new[1], of=search.original_of(new[1]))
            assert new is not None
            journal.append(events.TRIAL, trial=sweep.trial_name(new[0]), number=new[0], point=new[1])
            finish(journal, sweep.trial_name(new[0]), value)
            journal.append(events.END, trial=sweep.trial_name(new[0]), outcome=names.FINISHED, reason=None)
        again = Search(sweep, tmp_path, journal)
        JournalKeeper(journal, again, lambda event: None, lambda failure: False).end_search()
        assert journal.search_end == "val.accuracy 75.0 % reaches the target 50.0 %"
        assert again.next_point() is None
        assert is_complete(sweep, journal)
