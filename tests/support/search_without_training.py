"""A search without training: launches of a sweep in which the test says how each trial goes."""

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import optuna
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend
from optuna.trial import FrozenTrial

from study import names
from study.search.optuna import STORAGE_FILE, Search
from study.spec.sweep import Sweep
from study.state import journal as events
from study.state.journal import Journal

SPACE = {
    "loss.alpha": {"uniform": [0.1, 0.9]},
    "optim.lr": {"loguniform": [1e-4, 1e-1]},
    "optim.batch_size": {"choice": [16, 64]},
}
OBJECTIVE = names.VAL_ACCURACY
TRIALS = 14

Point = Mapping[str, Any]


class Launch:
    """A launch of a sweep: its journal, and the search beside it."""

    def __init__(self, folder: Path, search: str = "tpe", seed: int = 0, **fields: Any) -> None:
        content = {"name": "s", "base": {"mode": "supervised"}, "space": SPACE, "search": search, "seeds": [seed]}
        content |= {"budget": {"trials": TRIALS}, "objective": OBJECTIVE}
        self.folder = folder
        self.sweep = Sweep.model_validate(content | fields)
        self.journal = Journal(folder)
        self.search = Search(self.sweep, folder, self.journal)

    def __del__(self) -> None:
        self.journal.close()

    def begin(self) -> tuple[str, Point]:
        """Ask for a trial and note it."""
        new = self.search.next_point()
        assert new is not None
        name = self.sweep.trial_name(new[0])
        self.journal.append(events.TRIAL, trial=name, number=new[0], point=new[1])
        return name, new[1]

    def epoch(self, name: str, epoch: int, **metrics: float) -> None:
        metrics = {key.replace("__", "."): value for key, value in metrics.items()}
        self.journal.append(events.EPOCH, trial=name, epoch=epoch, is_last=epoch == 3, rung=True, metrics=metrics)
        self.search.report(name, epoch, metrics)

    def end(self, name: str, outcome: str, *, tell: bool = True) -> None:
        self.journal.append(events.END, trial=name, outcome=outcome, reason=None)
        if tell:
            self.search.tell(name)

    def run(self, trials: int) -> list[Point]:
        """Finish this many trials, whose objective is best at alpha 0.3 and lr 0.01; each third one is stopped early."""
        points = []
        for _ in range(trials):
            name, point = self.begin()
            value = 1 - abs(point["loss.alpha"] - 0.3) - abs(math.log10(point["optim.lr"]) + 2) / 10
            self.epoch(name, 1, val__accuracy=value)
            self.end(name, names.STOPPED if len(self.journal.trials) % 3 == 0 else names.FINISHED)
            points.append(point)
        return points


def told(folder: Path) -> list[FrozenTrial]:
    """Trials of a sweep's storage, read with Optuna alone."""
    storage = JournalStorage(JournalFileBackend(str(folder / STORAGE_FILE)))
    return optuna.load_study(study_name="s", storage=storage).trials
