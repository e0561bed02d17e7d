"""A search without training: launches of a sweep in which the test says how each trial goes."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
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
from study.state.journal import EarlierResult, Journal

SPACE = {
    "loss.alpha": {"uniform": [0.1, 0.9]},
    "optim.lr": {"loguniform": [1e-4, 1e-1]},
    "optim.batch_size": {"choice": [16, 64]},
}
OBJECTIVE = names.VAL_ACCURACY
TRIALS = 14
KNOWN = {"loss.alpha": 0.25, "optim.lr": 0.01, "optim.batch_size": 64}

Point = Mapping[str, Any]


class Launch:
    """A launch of a sweep: its journal, and the search beside it."""

    def __init__(
        self, folder: Path, search: str = "tpe", seed: int = 0, warm_start: Sequence[EarlierResult] = (), **fields: Any
    ) -> None:
        content = {"name": "s", "base": {"mode": "supervised"}, "space": SPACE, "search": search, "seeds": [seed]}
        content |= {"budget": {"trials": TRIALS}, "objective": OBJECTIVE}
        self.folder = folder
        self.sweep = Sweep.model_validate(content | fields)
        self.journal = Journal(folder)
        if warm_start and self.journal.warm_start is None:
            self.journal.append(events.WARM_START, results=[asdict(result) for result in warm_start])
        self.search = Search(self.sweep, folder, self.journal)

    def __del__(self) -> None:
        self.journal.close()

    def begin(self) -> tuple[str, Point]:
        """Ask for a trial and note it."""
        new = self.ask()
        assert new is not None
        return new

    def ask(self, stop: Callable[[str], None] = lambda moment: None) -> tuple[str, Point] | None:
        """Ask for a trial and note it, as a launch does: a point that comes again is noted and told. None when there is none.

        Calls `stop` at moments at which a driver may be killed.
        """
        while (new := self.search.next_point()) is not None:
            number, point = new
            stop("asked")
            original = self.search.original_of(point)
            if original is None:
                name = self.sweep.trial_name(number)
                self.journal.append(events.TRIAL, trial=name, number=number, point=point)
                return name, point
            self.journal.append(events.REPEAT, number=number, point=point, of=original)
            stop("noted")
            self.search.tell_repeat(number)
        return None

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
    return optuna.load_study(study_name=None, storage=storage).trials
