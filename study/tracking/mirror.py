"""A mirror of a study's journals in MLflow, in a thread of its own: training never waits for the store."""

import contextlib
import queue
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any

from acl.config import build_config, flatten
from acl.provenance import PROVENANCE_FILE
from study import names
from study.errors import RecordError, StoreUnavailableError
from study.spec.space import Point
from study.spec.sweep import Sweep
from study.state import journal as events
from study.state.home import state_folder
from study.state.journal import Event, Journal
from study.state.seeds import setting_of
from study.state.study_folder import MIRRORED_FILE, keep_mirrored, mirrored
from study.tracking.writer import StudyRecord

PATIENCE_SECONDS = 60.0  # how long the end of a launch waits for a store that does not answer
_MOST_EVENTS = 5000  # taken together: of hundreds of trials at once, several epochs of each, once the store is behind
_GATHER_SECONDS = 1.0  # short epochs come in one batch
_FIRST_WAIT, _LONGEST_WAIT = 0.5, 10.0  # seconds between two tries

Journals = Mapping[str, tuple[Sweep, Journal]]
Say = Callable[[str], None]


class Mirror:
    """Writes the events of a study's journals to its record, in their order and with their times, as often as it takes.

    What is written twice, because a driver was killed in between, changes nothing: trials are found by their names, epochs that the
    store has are skipped.

    Args:
        record: of the study.
        folder: of the study.
        journals: every sweep with its journal.
        say: shows a line to the person who waits.
        notes: file of the folder that says what the store of this record has.
    """

    def __init__(self, record: StudyRecord, folder: Path, journals: Journals, say: Say, notes: str = MIRRORED_FILE):
        self._record = record
        self._folder = folder
        self._notes = folder / notes
        self._journals = journals
        self._say = say
        self._queue: queue.SimpleQueue[tuple[str, Event] | None] = queue.SimpleQueue()
        self._earlier = {name: len(journal.events) for name, (_, journal) in journals.items()}  # events of earlier launches
        self._written: dict[str, int] = {}
        self._stop = threading.Event()  # set: give up what the store does not take
        self._is_through = False  # everything was offered to the store
        self._described: dict[str, str] = {}  # provenance that the store has, by trial
        self._refusals: set[str] = set()
        self._thread = threading.Thread(target=self._run, name="mirror", daemon=True)
        self._thread.start()

    @property
    def has_refusals(self) -> bool:
        """Whether the store has refused a record for good."""
        return bool(self._refusals)

    def add(self, sweep: str, event: Event) -> None:
        """Have an event written, soon."""
        self._queue.put((sweep, event))

    def close(self, *, complete: bool, patience: float = PATIENCE_SECONDS) -> bool:
        """Write what is left, and how the study ended; False if the store does not take it.

        What is not written is in the journals, and the next launch writes it.

        Args:
            complete: whether every trial of the study is over.
            patience: seconds to wait for a store that does not answer.
        """
        self._queue.put(None)
        given_up = threading.Timer(patience, self._stop.set)  # at its next failure: a store that takes all may take its time
        given_up.daemon = True
        given_up.start()
        while self._thread.is_alive():
            self._thread.join(timeout=0.2)  # a wait with an end lets signals through
        given_up.cancel()
        if not self._is_through:
            return False
        try:
            self._record.close(complete=complete, at=max(self._times(), default=None))
        except Exception as error:  # a launch that ends for a reason of its own is to say that one
            self._refuse(self._record.study, error)
            return False
        return True

    def _run(self) -> None:
        try:
            self._is_through = self._open() and self._write_earlier() and self._write_new()
        except BaseException as error:
            self._refuse(self._record.study, error)

    def _open(self) -> bool:
        """Find the record, or begin a new one, and learn what is written."""
        began = min(self._times(), default=None)
        if not self._insist(self._record.study, partial(self._record.open, began)) or not self._record.parent_run_id:
            return False
        self._written = mirrored(self._notes, self._record.parent_run_id)
        if not self._written and mirrored(self._notes):
            self._say(f"the MLflow store has no record of {self._record.study} any more; it is written anew from the journals")
        if any(self._written.get(name, 0) > count for name, count in self._earlier.items()):
            self._written = {}  # the end of a journal is lost: everything is compared anew
        self._note_written()
        return True

    def _write_earlier(self) -> bool:
        """Write what earlier launches have left in the journals."""
        left = [
            (name, event)
            for name, (_, journal) in self._journals.items()
            for event in journal.events[self._written.get(name, 0) : self._earlier[name]]
        ]
        return all(self._write(left[first : first + _MOST_EVENTS]) for first in range(0, len(left), _MOST_EVENTS))

    def _write_new(self) -> bool:
        """Write what this launch adds, until its end."""
        at_end = False
        while not at_end:
            taken, at_end = self._take()
            if not self._write(taken):
                return False
        return True

    def _write(self, taken: list[tuple[str, Event]]) -> bool:
        for sweep, batch in _batches(taken):
            for write in self._writes(sweep, batch):
                if not self._insist(batch[0].get("trial", sweep), write):
                    return False
        for sweep, _ in taken:
            self._written[sweep] = self._written.get(sweep, 0) + 1
        self._note_written()
        return True

    def _note_written(self) -> None:
        with contextlib.suppress(OSError):  # of a full disk: the next launch compares more than it must
            keep_mirrored(self._notes, self._record.parent_run_id, self._written)

    def _take(self) -> tuple[list[tuple[str, Event]], bool]:
        """What comes within a moment, at least one event; and whether the end did."""
        taken: list[tuple[str, Event]] = []
        entry = self._queue.get()
        until = time.monotonic() + _GATHER_SECONDS
        while entry is not None:
            taken.append(entry)
            if len(taken) >= _MOST_EVENTS:
                return taken, False
            try:
                entry = self._queue.get(timeout=max(0.0, until - time.monotonic()))
            except queue.Empty:
                return taken, False
        return taken, True

    def _insist(self, what: str, write: Callable[[], None]) -> bool:
        """Write until the store takes it or refuses it; False when the patience is over."""
        wait = _FIRST_WAIT
        while True:
            try:
                write()
            except StoreUnavailableError as error:
                if wait == _FIRST_WAIT:
                    self._say(f"the MLflow store does not answer ({error}); records follow when it does")
                if self._stop.wait(wait):
                    return False
                wait = min(2 * wait, _LONGEST_WAIT)
            except Exception as error:  # it will never be taken, e.g. of a run that somebody deleted; the others are
                self._refuse(what, error)
                return True
            else:
                if wait > _FIRST_WAIT:
                    self._say("the MLflow store answers again")
                return True

    def _refuse(self, what: str, error: BaseException) -> None:
        """Say, once, what is not written."""
        known = isinstance(error, RecordError | StoreUnavailableError)
        line = f"MLflow refuses a record of {what}: {error if known else f'unexpected {type(error).__name__}: {error}'}"
        if line not in self._refusals:
            self._say(line)
        self._refusals.add(line)

    def _writes(self, sweep_name: str, batch: list[Event]) -> Iterator[Callable[[], None]]:
        """What is to be written of an event, or of a trial's epochs; each of it can be refused without the others."""
        (sweep, journal), event, record = self._journals[sweep_name], batch[0], self._record
        if event["event"] == events.LAUNCH:
            yield record.go_on
            return
        if "trial" not in event:  # about the search: MLflow has trials only
            return
        trial, folder = event["trial"], state_folder(self._folder / sweep_name, event["trial"])
        if event["event"] == events.TRIAL:
            yield lambda: record.start_trial(trial, sweep, _all_settings(sweep, event["point"]), event["time"])
            return
        if event["event"] == events.LOST:
            self._described.pop(trial, None)  # another worker goes on
            return
        is_due = trial not in self._described or event["event"] == events.END  # another one may have gone on with it meanwhile
        launches = _text(folder / PROVENANCE_FILE) if is_due else None
        if launches and self._described.get(trial) != launches:
            self._described[trial] = launches
            yield partial(record.log_provenance, trial, launches)
        if event["event"] == events.EPOCH:
            epochs, times = ({entry["epoch"]: entry[what] for entry in batch} for what in ("metrics", "time"))
            yield lambda: record.log_epochs(trial, epochs, times)
        elif event["event"] == events.SETTINGS:
            yield lambda: record.log_settings(trial, event["point"])
        elif event["event"] == events.END:
            predictions = _text(folder / names.PREDICTIONS_FILE)
            ended = {"predictions": predictions, "reason": event["reason"], "at": event["time"]}
            yield lambda: record.finish_trial(trial, event["outcome"], **ended)
            if len(sweep.seeds) > 1:
                yield lambda: self._write_setting(sweep, journal, trial, event["time"])

    def _write_setting(self, sweep: Sweep, journal: Journal, trial: str, at: float) -> None:
        """What the seeds of the trial's setting have given, as the journal has it now: writing it again changes nothing."""
        setting = setting_of(journal.trials[trial].point, list(journal.trials.values()))
        figures = setting.figures(sweep.objectives)
        settings, is_over = _all_settings(sweep, setting.point), setting.is_over(sweep.seeds)
        self._record.log_setting(sweep, settings, figures, is_over=is_over, at=at)

    def _times(self) -> list[float]:
        """When something happened, from the study's begin to what is its end so far."""
        return [event["time"] for _, journal in self._journals.values() for event in journal.events]


def _all_settings(sweep: Sweep, point: Point) -> dict[str, Any]:
    return flatten(build_config({**sweep.common, **point}))


def _batches(taken: list[tuple[str, Event]]) -> list[tuple[str, list[Event]]]:
    """Epochs of a trial together, unless something else happened to it in between; the order within a trial stays."""
    batches: list[tuple[str, list[Event]]] = []
    epochs: dict[str, list[Event]] = {}
    for sweep, event in taken:
        trial = event.get("trial", "")
        if event["event"] == events.EPOCH and trial in epochs:
            epochs[trial].append(event)
            continue
        batches.append((sweep, [event]))
        if event["event"] == events.EPOCH:
            epochs[trial] = batches[-1][1]
        else:
            epochs.pop(trial, None)
    return batches


def _text(path: Path) -> str | None:
    return path.read_text(encoding="utf-8", errors="replace") if path.exists() else None
