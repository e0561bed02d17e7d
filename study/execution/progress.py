"""The line that shows how far a sweep is."""

import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.table import Column

from study import names
from study.spec.objectives import value_text
from study.spec.sweep import Sweep
from study.state import journal as events
from study.state.completion import early_end, trials_needed
from study.state.journal import Event, Journal

LOG_SECONDS = 180.0  # between two lines of a log file
_SHOWN_EACH_SECONDS = 0.2
_MOST_OF_THE_TIME = 0.02  # that drawing may take: it looks at all trials


class ProgressLine:
    """A progress bar over a sweep's epochs, with the best objective so far.

    In a log file: a line when the sweep begins, one for each trial that ends, and one every few minutes.
    """

    def __init__(self, sweep: Sweep, journal: Journal, epochs: int, at_once: int) -> None:
        self._sweep = sweep
        self._journal = journal
        self._epochs = epochs
        self._at_once = at_once
        self._needed = trials_needed(sweep, journal)  # not again for each event: a grid makes all its points to count them
        self._done = {name: epochs if state.outcome else state.epochs for name, state in journal.trials.items()}
        self._bar = Progress(
            TextColumn("{task.description}", markup=False),
            BarColumn(bar_width=12),
            MofNCompleteColumn(),
            TextColumn("epochs"),
            TimeElapsedColumn(),
            TimeRemainingColumn(),
            TextColumn("{task.fields[state]}", markup=False, table_column=Column(no_wrap=False)),  # what a narrow terminal wraps
            console=Console(file=sys.stderr),
        )
        self._show_next = 0.0
        self._task = self._bar.add_task(sweep.name, total=self._needed * epochs, completed=sum(self._done.values()), state="")

    @contextmanager
    def shown(self) -> Iterator[None]:
        """Show the bar; it stays on the screen as it is in the end."""
        self._show()
        ended = threading.Event()
        if not self._bar.console.is_terminal:
            over = len(self._journal.outcomes())
            self.say(f"{self._sweep.name}: {over} of {self._needed} trials are over, up to {self._at_once} run at once")
            threading.Thread(target=self._log, args=(ended,), daemon=True).start()
        with self._bar:
            try:
                yield
            finally:
                ended.set()
            self._show()

    def _log(self, ended: threading.Event) -> None:
        while not ended.wait(LOG_SECONDS):
            (task,) = self._bar.tasks
            self.say(f"{self._sweep.name}: {task.completed:.0f} of {task.total:.0f} epochs, {task.fields['state']}")

    def take(self, event: Event) -> None:
        """Show what an event of the sweep changes."""
        trial = event.get("trial", "")
        if event["event"] in (events.REPEAT, events.SEARCH_END):
            self._take_fewer(event)
        elif event["event"] == events.TRIAL:
            self._count(trial, self._journal.trials[trial].epochs)
        elif event["event"] == events.EPOCH:
            self._count(trial, event["epoch"])
        elif event["event"] == events.LOST:
            goes_on = "once more, alone," if self._journal.trials[trial].worker_crashes else "on, on another one,"
            self.say(f"{trial}: {event['reason']}; it goes {goes_on} when the others are through")
        elif event["event"] == events.END:
            self._count(trial, self._epochs)  # one that was stopped early counts as done
            if event["outcome"] == names.FAILED:
                self.say(f"{trial} failed: {event['reason']}")
            elif not self._bar.console.is_terminal:
                self.say(f"{trial} {event['outcome']} ({len(self._journal.outcomes())} of {self._needed})")
        if time.monotonic() > self._show_next:
            self._show()

    def say(self, line: str) -> None:
        """A line above the bar."""
        self._bar.console.print(line, markup=False, highlight=False, soft_wrap=True)

    def _take_fewer(self, event: Event) -> None:
        """Show that the sweep has fewer trials than its budget: a point came again, or the search ended early."""
        self._needed = trials_needed(self._sweep, self._journal)
        self._bar.update(self._task, total=self._needed * self._epochs)
        if event["event"] == events.SEARCH_END:
            under_way = len(self._journal.unfinished())
            then = f"; {under_way} under way run{'s' * (under_way == 1)} to the end" if under_way else ""
            self.say(f"{self._sweep.name}: {early_end(self._sweep, self._journal)}{then}")
        elif not self._bar.console.is_terminal:
            self.say(f"{self._sweep.trial_name(event['number'])} repeats {event['of']} and is not trained")

    def _count(self, trial: str, epochs: int) -> None:
        self._done[trial] = epochs

    def _show(self) -> None:
        began = time.monotonic()
        ended = self._journal.outcomes()
        counts = [f"{ended.count(outcome)} {outcome}" for outcome in names.OUTCOMES if outcome in ended]
        objective = self._sweep.objectives[0]
        found = [state.metrics[objective] for state in self._journal.trials.values() if objective in state.metrics]
        state = ", ".join(counts) or "starting"
        if found and len(self._sweep.objectives) == 1:  # of several none is the best
            best = max(found) if self._sweep.directions[0] == "max" else min(found)
            state += f", best {value_text(objective, best)}"
        self._bar.update(self._task, completed=sum(self._done.values()), state=state)
        now = time.monotonic()
        self._show_next = now + max(_SHOWN_EACH_SECONDS, (now - began) / _MOST_OF_THE_TIME)
