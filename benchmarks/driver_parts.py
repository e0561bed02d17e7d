"""Which part of a sweep's driver takes how much of its thread, for benchmarks that run real sweeps."""

import time
from collections import defaultdict
from collections.abc import Callable
from functools import wraps
from typing import Any

from ray.tune.execution.tune_controller import TuneController
from ray.tune.schedulers import AsyncHyperBandScheduler

from study.execution.callbacks import JournalKeeper
from study.execution.progress import ProgressLine
from study.execution.trial_queue import TrialQueue
from study.search.optuna import Search
from study.search.schedulers import _InOrder
from study.state.journal import Journal

_PARTS: dict[str, list[tuple[type, str]]] = {
    "journal": [(Journal, "append")],
    "Optuna ask": [(Search, "next_point")],
    "Optuna report": [(Search, "report")],
    "Optuna tell": [(Search, "tell")],
    "scheduler": [(AsyncHyperBandScheduler, "on_trial_result"), (AsyncHyperBandScheduler, "on_trial_complete")],
    "next to run": [(_InOrder, "choose_trial_to_run")],
    "new trials": [(TrialQueue, "next_trial")],
    "progress": [(ProgressLine, "take")],
    "callbacks": [(JournalKeeper, "on_trial_result"), (JournalKeeper, "on_trial_complete")],
    "Ray's snapshot": [(TuneController, "checkpoint")],
}


class Meter:
    """Seconds of the driver's thread and on the clock, by part; a part within another one counts as itself only."""

    def __init__(self) -> None:
        self.processor: defaultdict[str, float] = defaultdict(float)
        self.clock: defaultdict[str, float] = defaultdict(float)
        self.calls: defaultdict[str, int] = defaultdict(int)
        self._within: list[list[float]] = []  # of each part under way, what parts within it have taken: processor, clock

    def watch(self) -> None:
        """Measure every part from now on."""
        for part, methods in _PARTS.items():
            for owner, name in methods:
                setattr(owner, name, self.timed(part, getattr(owner, name)))

    def timed(self, part: str, call: Callable[..., Any]) -> Callable[..., Any]:
        """`call`, measured as a part."""

        @wraps(call)
        def calling(*args: Any, **kwargs: Any) -> Any:
            within = [0.0, 0.0]
            self._within.append(within)
            processor, clock = time.thread_time(), time.perf_counter()
            try:
                return call(*args, **kwargs)
            finally:
                processor, clock = time.thread_time() - processor, time.perf_counter() - clock
                self._within.pop()
                self.processor[part] += processor - within[0]
                self.clock[part] += clock - within[1]
                self.calls[part] += 1
                if self._within:
                    self._within[-1][0] += processor
                    self._within[-1][1] += clock

        return calling
