"""The driver's part while trials report: it keeps the journal and tells Optuna."""

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, ParamSpec, TypeVar

from ray.tune import Callback

from study import names
from study.errors import StudyError
from study.execution.failures import MOST_CRASHES, Failure, failure_of
from study.search.keys import EPOCH, IS_LAST, RUNG_EPOCH
from study.search.optuna import Search
from study.spec.space import Point
from study.state import journal as events
from study.state.home import state_folder
from study.state.journal import Event, Journal

_Arguments = ParamSpec("_Arguments")
_Result = TypeVar("_Result")


class JournalKeeper(Callback):
    """Writes what happens to trials into the journal.

    An error of the journal or of Optuna's, such as a full disk, ends the launch before the trial goes on: what it reported is in
    its checkpoint, and it reports that again.

    Attributes:
        journal: of the sweep.
        error: what ended the launch; Ray hides it in one of its own.
    """

    def __init__(
        self,
        journal: Journal,
        search: Search | None,
        show: Callable[[Event], None],
        ray_is_gone: Callable[[Failure], bool],
        leave_out: Callable[[str], None] = lambda node: None,
        fetch_results: Callable[[str], None] = lambda trial: None,
    ) -> None:
        """Keep `journal`; tell Optuna too where there is a `search`, and `show` each new event.

        Workers that go down with Ray itself are no failures of their trials. A machine on which no trial can run is handed to
        `leave_out`. What a trial's records are made of is fetched to its folder before its end is noted.
        """
        self.journal = journal
        self._search = search
        self._show = show
        self._ray_is_gone = ray_is_gone
        self._leave_out = leave_out
        self._fetch_results = fetch_results
        self.error: OSError | StudyError | None = None

    def start(self, name: str, number: int, point: Point) -> None:
        """A trial begins, or is taken up again: after a failure, or where it was left under way."""
        known = self.journal.trials.get(name)
        if known is None or known.outcome is not None:
            self._note(events.TRIAL, trial=name, number=number, point=dict(point))
        else:
            self._note(events.RESUME, trial=name)

    def note_repeat(self, number: int, point: Point) -> bool:
        """Note a proposed point that a trial of the sweep has already, and tell the search its result; False for a new point."""
        original = self._search.original_of(point) if self._search is not None else None
        if self._search is None or original is None:
            return False
        self._note(events.REPEAT, number=number, point=dict(point), of=original)
        self._kept(self._search.tell_repeat, number)
        return True

    def end_search(self) -> None:
        """End the search where its patience is over or its target reached; trials under way run to their end."""
        reason = self._search.reason_to_end() if self._search is not None else None
        if reason is not None:
            self._note(events.SEARCH_END, reason=reason)

    def end(self, name: str, outcome: str, reason: str | None = None) -> None:
        """A trial is over."""
        self._kept(self._fetch_results, name)
        self._note(events.END, trial=name, outcome=outcome, reason=reason)
        if self._search is not None:
            self._kept(self._search.tell, name)
        self.end_search()

    def change(self, name: str, epoch: int, point: Point, source: str) -> None:
        """After an epoch, a trial takes over another one's weights and goes on with other settings."""
        self._note(events.SETTINGS, trial=name, epoch=epoch, point=dict(point), source=source)

    def end_trained(self, sweep_folder: Path) -> None:
        """End trials whose last epoch was noted when the driver was killed; one without predictions is run, to write them."""
        for state in self.journal.unfinished():
            if state.is_trained and (state_folder(sweep_folder, state.trial) / names.PREDICTIONS_FILE).exists():
                self.end(state.trial, names.FINISHED)

    def on_trial_result(self, iteration: int, trials: list[Any], trial: Any, result: dict[str, Any], **info: Any) -> None:
        """Note the epoch; a trial that was paused reports its last one again."""
        name, epoch, state = trial.trial_id, result[EPOCH], self.journal.trials[trial.trial_id]
        if epoch <= state.epochs:
            return
        # The journal keeps all epochs in memory; each result brings the names of its metrics with it, of which one is enough.
        metrics = {sys.intern(key): value for key, value in result.items() if key.startswith(names.METRIC_PREFIXES)}
        is_last, rung = bool(result[IS_LAST]), RUNG_EPOCH in result
        self._note(events.EPOCH, trial=name, epoch=epoch, is_last=is_last, rung=rung, metrics=metrics)
        if self._search is not None:
            self._kept(self._search.report, name, epoch, metrics)

    def on_trial_complete(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
        """Note the end: finished, or stopped by the scheduler."""
        is_trained = self.journal.trials[trial.trial_id].is_trained
        self.end(trial.trial_id, names.FINISHED if is_trained else names.STOPPED)

    def on_trial_error(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
        """Note the failure with its reason; a trial whose worker was lost gets another chance."""
        failure = failure_of(trial)
        if (failure.worker_is_lost or failure.node_is_lost) and self._ray_is_gone(failure):
            return
        if failure.unfit_node is not None:
            self._leave_out(failure.unfit_node)
        if failure.ends_launch is not None:
            self.error = failure.ends_launch
            raise self.error
        if (failure.worker_is_lost or failure.node_is_lost) and self.journal.trials[trial.trial_id].worker_crashes < MOST_CRASHES:
            elsewhere = {"with_node": failure.node_is_lost, "unfit": failure.unfit_node is not None}
            self._note(events.LOST, trial=trial.trial_id, reason=failure.reason, **elsewhere)
        else:
            self.end(trial.trial_id, names.FAILED, failure.reason)

    def _note(self, event: str, **content: Any) -> None:
        self._show(self._kept(self.journal.append, event, **content))

    def _kept(self, write: Callable[_Arguments, _Result], *args: _Arguments.args, **kwargs: _Arguments.kwargs) -> _Result:
        try:
            return write(*args, **kwargs)
        except OSError as error:
            self.error = error
            raise
