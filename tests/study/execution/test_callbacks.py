"""Ends of a launch whose driver cannot go on."""

import errno
from contextlib import closing
from pathlib import Path
from types import SimpleNamespace

import pytest

from study import names
from study.execution.callbacks import JournalKeeper
from study.search.optuna import Search
from study.spec.sweep import Sweep
from study.state.journal import Journal
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
            return JournalKeeper(journal, search, lambda event: None, lambda: False)

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
