"""What the driver does as trials report: records and progress. Both are pickled with the Ray experiment for a resume."""

import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar

from ray.tune import Callback
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.table import Column

from acl.config import build_config, flatten
from acl.provenance import PROVENANCE_FILE
from study import record_names as names
from study.records import StudyRecord
from study.spec import Sweep
from study.trial import EPOCH, IS_LAST, state_folder, trial_settings


class TrialRecorder(Callback):
    """Passes what trials report on to the study's record.

    The record belongs to the class: Ray pickles callbacks with the experiment and restores them on a resume, when the record
    is opened anew.
    """

    record: ClassVar[StudyRecord]

    def __init__(self, sweep: Sweep, sweep_folder: Path) -> None:
        self.sweep = sweep
        self.sweep_folder = sweep_folder

    def on_trial_start(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
        """Open the trial's run; called again when a resumed trial goes on."""
        settings = flatten(build_config(trial_settings(self.sweep.common, trial.config)))
        self.record.start_trial(trial.trial_id, self.sweep.name, self.sweep.objectives[0], settings)

    def on_trial_result(self, iteration: int, trials: list[Any], trial: Any, result: dict[str, Any], **info: Any) -> None:
        """Log the epoch; with the launch's first one, what the trial's numbers come from."""
        self._log_provenance(trial)
        metrics = {name: value for name, value in result.items() if name.startswith(names.METRIC_PREFIXES)}
        self.record.log_epoch(trial.trial_id, result[EPOCH], metrics)

    def on_trial_complete(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
        """Close the run: finished, or stopped by the scheduler."""
        outcome = names.FINISHED if (trial.last_result or {}).get(IS_LAST) else names.STOPPED
        self.record.finish_trial(trial.trial_id, outcome, predictions=self._text(trial, names.PREDICTIONS_FILE))

    def on_trial_error(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
        """Close the run with the reason of the failure and what finished stages predicted; a trial may fail before it starts."""
        if not self.record.knows(trial.trial_id):
            self.on_trial_start(iteration, trials, trial)
        self._log_provenance(trial)
        predictions = self._text(trial, names.PREDICTIONS_FILE)
        self.record.finish_trial(trial.trial_id, names.FAILED, predictions=predictions, reason=failure_reason(trial))

    def _log_provenance(self, trial: Any) -> None:
        if not self.record.has_provenance(trial.trial_id) and (launches := self._text(trial, PROVENANCE_FILE)):
            self.record.log_provenance(trial.trial_id, launches)

    def _text(self, trial: Any, file: str) -> str | None:
        """Content of a file in the trial's folder; None where it is not written (yet)."""
        path = state_folder(self.sweep_folder, trial.trial_id) / file
        return path.read_text(encoding="utf-8") if path.exists() else None


def failure_reason(trial: Any) -> str:
    """One line that says why a trial failed: the error that its worker raised, without Ray's wrapping."""
    # Ray has written the error to its local folder by now, but not yet to the experiment's, where trial.get_error() looks.
    written = Path(trial.error_file) if trial.error_file else None
    text = written.read_text(encoding="utf-8") if written and written.exists() else ""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return lines[-1] if lines else "the worker ended without an error message"


@dataclass
class ProgressLine(Callback):
    """A progress bar over a sweep's trials, with the best objective so far."""

    sweep: Sweep
    epochs: int
    ended: dict[str, str] = field(default_factory=dict)
    _epochs_done: dict[str, int] = field(default_factory=dict)
    _objectives: dict[str, float] = field(default_factory=dict)  # each trial's latest; that of the selected epoch may fall
    _bar: Any = None

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_bar": None}

    def on_step_begin(self, iteration: int, trials: list[Any], **info: Any) -> None:
        """Show the bar, once the experiment runs."""
        if self._bar is None:
            self._bar = Progress(
                TextColumn("{task.description}"),
                BarColumn(bar_width=12),
                MofNCompleteColumn(),
                TextColumn("epochs"),
                TimeElapsedColumn(),
                TimeRemainingColumn(),
                TextColumn("{task.fields[state]}", table_column=Column(no_wrap=False)),  # what a narrow terminal wraps
                console=Console(file=sys.stderr),
            )
            self._task = self._bar.add_task(self.sweep.name, total=self.sweep.runs * self.epochs, state="")
            self._bar.start()
            for trial in trials:  # of a resumed experiment
                last = trial.last_result or {}
                if EPOCH in last:
                    self._epochs_done[trial.trial_id] = last[EPOCH]
                if self.sweep.objectives[0] in last:
                    self._objectives[trial.trial_id] = last[self.sweep.objectives[0]]
                if trial.is_finished():
                    self._end(trial, names.FINISHED if trial.last_result.get(IS_LAST) else names.STOPPED)
            self._show()

    def on_trial_result(self, iteration: int, trials: list[Any], trial: Any, result: dict[str, Any], **info: Any) -> None:
        """Advance by an epoch."""
        self._epochs_done[trial.trial_id] = result[EPOCH]
        if self.sweep.objectives[0] in result:
            self._objectives[trial.trial_id] = result[self.sweep.objectives[0]]
        self._show()

    def on_trial_complete(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
        """Count the trial; one that was stopped early counts as done."""
        outcome = names.FINISHED if (trial.last_result or {}).get(IS_LAST) else names.STOPPED
        self._end(trial, outcome)
        if self._bar is not None and not self._bar.console.is_terminal:  # a log file shows no bar before its end
            self._say(f"{self.sweep.name}: trial {trial.trial_id} {outcome} ({len(self.ended)} of {self.sweep.runs})")

    def on_trial_error(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
        """Say at once which trial failed, and why."""
        self._end(trial, names.FAILED)
        if self._bar is not None:
            self._say(f"trial {trial.trial_id} failed: {failure_reason(trial)}")

    def on_experiment_end(self, trials: list[Any], **info: Any) -> None:
        """Leave the finished bar on the screen."""
        if self._bar is not None:
            self._bar.stop()
            self._bar = None

    def _say(self, line: str) -> None:
        self._bar.console.print(line, markup=False, highlight=False, soft_wrap=True)

    def _end(self, trial: Any, outcome: str) -> None:
        self.ended[trial.trial_id] = outcome
        self._epochs_done[trial.trial_id] = self.epochs
        self._show()

    def _show(self) -> None:
        if self._bar is None:
            return
        counts = [
            f"{list(self.ended.values()).count(outcome)} {outcome}" for outcome in (names.FINISHED, names.STOPPED, names.FAILED)
        ]
        state = ", ".join(count for count in counts if not count.startswith("0 ")) or "starting"
        best = f", best {self.sweep.objectives[0]} {max(self._objectives.values()):.3f}" if self._objectives else ""
        self._bar.update(self._task, completed=sum(self._epochs_done.values()), state=state + best)
