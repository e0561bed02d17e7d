"""The status of a study, from the files that it keeps, without a lock, also while another process writes them."""

import shutil
import sqlite3
import time
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from acl.config import build_config, flatten
from acl.system.text import first_line
from analysis.question import Question
from study import names
from study.errors import StudyError
from study.results.selection import PLACE, Choice, Row, choices
from study.spec.sweep import Sweep, longest_epochs
from study.state import journal as events
from study.state.completion import remarks, trials_needed
from study.state.home import Home, sqlite_path
from study.state.journal import Journal, TrialState
from study.state.study_folder import (
    MIRRORED_FILE,
    STUDY_FILE,
    LaunchProcess,
    load_study,
    load_tracking_ref,
    mirrored,
    mirrored_run,
    running_process,
)

RATE_WINDOW = 1800.0  # seconds whose epochs give the rate
RUNNING, WAITING, LOST = "running", "waiting", "lost"
STATES = (RUNNING, WAITING, *names.OUTCOMES, LOST)
_RUN_TO_THE_END = ("none", "pbt")  # schedulers that stop no trial early
_CHECKPOINT_SUFFIX = ".pt"
_SQLITE_SECONDS = 1  # that another process may hold the file


@dataclass(frozen=True)
class SweepStatus:
    """How far a sweep is.

    Attributes:
        sweep: the sweep.
        states: number of trials in each of `STATES`. Running are those that this launch has begun or taken up, as many as it has
            room for; lost are those whose worker died, until they run once more.
        choices: best so far by validation; of a search with one seed, trials count that are not over.
        epochs_per_hour: of all trials together; None before the first epoch of the last launch.
        window: seconds over which that was counted, the last of the last launch.
        epochs_left: until all trials are over; an upper bound where the scheduler stops trials or the search can end early.
        is_bound: whether it is an upper bound.
        failures: reason -> trials that failed or are lost for it.
        needed: trials that the sweep consists of; fewer than its budget where its search has ended early.
        remarks: why they are fewer, in words.
    """

    sweep: Sweep
    states: dict[str, int]
    choices: list[Choice]
    epochs_per_hour: float | None
    window: float
    epochs_left: int
    is_bound: bool
    failures: dict[str, list[str]]
    needed: int
    remarks: list[str]

    @property
    def over(self) -> int:
        """Trials that are over."""
        return self.states[names.FINISHED] + self.states[names.STOPPED] + self.states[names.FAILED]

    @property
    def hours_left(self) -> float | None:
        """Hours that the epochs left take at this rate."""
        return self.epochs_left / self.epochs_per_hour if self.epochs_per_hour else None


@dataclass(frozen=True)
class StudyStatus:
    """How far a study is.

    Attributes:
        name: under which it was launched.
        process: that runs it; None where none does.
        sweeps: in their order.
        last_activity: when a journal was last written, Unix seconds; None where none has begun.
        events_behind: entries of the journals that MLflow does not have yet.
        records_gone: the database that had the study's records and has them no more; None where that is not known.
        size: bytes of the study's folder, of which `checkpoints`.
        checkpoints: bytes.
        free: bytes on that disk.
    """

    name: str
    process: LaunchProcess | None
    sweeps: list[SweepStatus]
    last_activity: float | None
    events_behind: int
    records_gone: Path | None
    size: int
    checkpoints: int
    free: int

    @property
    def over(self) -> int:
        """Trials that are over."""
        return sum(sweep.over for sweep in self.sweeps)

    @property
    def total(self) -> int:
        """Trials that there are at most."""
        return sum(sweep.needed for sweep in self.sweeps)

    @property
    def state(self) -> Literal["running", "interrupted", "complete"]:
        """A launch that was killed leaves an interrupted study."""
        if self.process is not None:
            return "running"
        return "complete" if self.over >= self.total else "interrupted"


@dataclass(frozen=True)
class UnreadableStudy:
    """A study of another version, or with damaged files.

    Attributes:
        name: under which it was launched.
        reason: why it cannot be read, one line.
    """

    name: str
    reason: str


def launched_studies(home: Home) -> list[str]:
    """Names of the studies in `home`, sorted."""
    return sorted(path.parent.name for path in home.root.glob(f"studies/*/{STUDY_FILE}"))


def home_status(home: Home) -> list[StudyStatus | UnreadableStudy]:
    """Look at every study in `home`; an unreadable one does not hide the others."""
    found: list[StudyStatus | UnreadableStudy] = []
    for name in launched_studies(home):
        try:
            found.append(study_status(home, name))
        except ValueError as error:
            found.append(UnreadableStudy(name, first_line(error, "")))
    return found


def study_status(home: Home, name: str, *, now: float | None = None) -> StudyStatus:
    """How far the study is.

    Args:
        home: folder of results.
        name: of a launched study.
        now: Unix seconds; None is this moment.

    Raises:
        StudyError: there is no such study, or a journal is damaged before its last line.
    """
    study, folder, process = load_study(home, name), home.study(name), running_process(home, name)
    journals = [Journal(folder / sweep.name) for sweep in study.sweeps]
    at_work, questions = _at_work(journals, process), {mode: study.question_in(mode) for mode in study.modes}
    gone = _records_gone(home, name)
    written = {} if gone is not None else mirrored(folder / MIRRORED_FILE)
    size, checkpoints = _sizes(folder)
    times = [journal.events[-1]["time"] for journal in journals if journal.events]
    return StudyStatus(
        name,
        process,
        [
            sweep_status(sweep, journal, questions[sweep.base["mode"]], is_running=journal is at_work, now=now or time.time())
            for sweep, journal in zip(study.sweeps, journals, strict=True)
        ],
        max(times, default=None),
        sum(len(journal.events) - written.get(sweep.name, 0) for sweep, journal in zip(study.sweeps, journals, strict=True)),
        gone,
        size,
        checkpoints,
        shutil.disk_usage(folder).free,
    )


def _records_gone(home: Home, name: str) -> Path | None:
    """The SQLite file that the study's run was written into, if it lies there no more or lacks the run."""
    try:
        run, kept = mirrored_run(home.study(name) / MIRRORED_FILE), load_tracking_ref(home, name)
        file = None if kept is None else sqlite_path(kept.store_uri)
        if run is None or file is None:
            return None
        return None if file.exists() and _has_run(file, run) else file
    except (StudyError, OSError, sqlite3.Error):  # damaged, or in use
        return None


def _has_run(file: Path, run: str) -> bool:
    with closing(sqlite3.connect(f"{file.as_uri()}?mode=ro", uri=True, timeout=_SQLITE_SECONDS)) as connection:
        return connection.execute("SELECT 1 FROM runs WHERE run_uuid = ?", (run,)).fetchone() is not None


def sweep_status(sweep: Sweep, journal: Journal, question: Question, *, is_running: bool, now: float) -> SweepStatus:
    """How far the sweep is.

    Args:
        sweep: to look at.
        journal: of the sweep.
        question: of the study, in the sweep's mode.
        is_running: whether a launch is at it.
        now: Unix seconds.
    """
    longest, trials = longest_epochs(sweep), list(journal.trials.values())
    needed = trials_needed(sweep, journal)
    not_begun = max(0, needed - len(trials))
    active = _since_launch(journal) if is_running else set()
    kinds = {trial.trial: _state(trial, active) for trial in trials}
    states = {state: list(kinds.values()).count(state) for state in STATES}
    states[WAITING] += not_begun
    begun = sum(max(0, longest - trial.epochs) for trial in trials if trial.outcome is None)
    left = begun + longest * not_begun
    rate, window = _rate(journal, now if is_running else None)
    failures: dict[str, list[str]] = {}
    for trial in trials:
        if kinds[trial.trial] in (names.FAILED, LOST):
            failures.setdefault(trial.reason or "", []).append(trial.trial)
    return SweepStatus(
        sweep,
        states,
        choices(sweep, [_row(sweep, trial) for trial in trials if _counts(sweep, trial)], question),
        rate,
        window,
        left,
        sweep.scheduler.name not in _RUN_TO_THE_END or sweep.can_end_early,
        failures,
        needed,
        remarks(sweep, journal),
    )


def _at_work(journals: Sequence[Journal], process: LaunchProcess | None) -> Journal | None:
    """The journal that the launch writes: sweeps run one after the other, so it is the one that was begun last."""
    if process is None:
        return None
    begun = [(journal.events[place]["time"], journal) for journal in journals if (place := _launched_at(journal)) is not None]
    when, last = max(begun, key=lambda pair: pair[0], default=(0.0, None))
    return last if when >= process.since - 1 else None  # journals round their times


def _launched_at(journal: Journal) -> int | None:
    """Place of the last launch among the events."""
    places = range(len(journal.events) - 1, -1, -1)
    return next((place for place in places if journal.events[place]["event"] == events.LAUNCH), None)


def _since_launch(journal: Journal) -> set[str]:
    """Trials that the last launch has begun or taken up, but for those lost since, and those that it has no room for yet."""
    launched = _launched_at(journal) or 0
    active: dict[str, None] = {}
    reported: set[str] = set()
    for event in journal.events[launched:]:
        if event["event"] == events.LOST:
            active.pop(event["trial"], None)
        elif "trial" in event:
            active[event["trial"]] = None
            if event["event"] == events.EPOCH:
                reported.add(event["trial"])
    at_once = journal.events[launched].get("at_once", len(active)) if journal.events else 0
    going = [trial for trial in active if journal.trials[trial].outcome is None]
    silent = [trial for trial in going if trial not in reported]
    return set(active) - set(silent[max(0, at_once - (len(going) - len(silent))) :])


def _state(trial: TrialState, active: set[str]) -> str:
    if trial.outcome is not None:
        return trial.outcome
    if trial.trial in active:
        return RUNNING
    return LOST if trial.worker_crashes else WAITING


def _rate(journal: Journal, now: float | None) -> tuple[float | None, float]:
    """Epochs per hour in the last part of the last launch, and how many seconds that part has; `now` None is its last event."""
    place = _launched_at(journal)
    if place is None:
        return None, 0.0
    end = journal.events[-1]["time"] if now is None else now
    start = max(journal.events[place]["time"], end - RATE_WINDOW)
    epochs = sum(event["event"] == events.EPOCH and event["time"] >= start for event in journal.events[place:])
    return (epochs / (end - start) * 3600 if epochs and end > start else None), end - start


def _counts(sweep: Sweep, trial: TrialState) -> bool:
    """A mean over seeds is one of finished trials; else every trial says how good its setting is so far."""
    return trial.outcome == names.FINISHED if len(sweep.seeds) > 1 else trial.outcome != names.FAILED


def _row(sweep: Sweep, trial: TrialState) -> Row:
    return {**flatten(build_config({**sweep.common, **trial.point})), **trial.metrics, PLACE: trial.number}


def _sizes(folder: Path) -> tuple[int, int]:
    """Bytes of all files and of the checkpoints among them; files come and go meanwhile."""
    size = checkpoints = 0
    for path in folder.rglob("*"):
        try:
            own = path.stat().st_size if path.is_file() else 0
        except OSError:
            continue
        size += own
        checkpoints += own if path.suffix == _CHECKPOINT_SUFFIX else 0
    return size, checkpoints
