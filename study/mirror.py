"""Keeps MLflow up to date with a study's journals, in a thread of its own: training never waits for the store."""

import contextlib
import queue
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from acl.config import build_config, flatten
from acl.provenance import PROVENANCE_FILE
from study import journal as events
from study import record_names as names
from study.home import state_folder
from study.journal import Event, Journal
from study.launched import keep_mirrored, mirrored
from study.mlflow_store import RecordError, StoreUnavailableError
from study.records import StudyRecord
from study.seeds import setting_of
from study.spaces import Point
from study.sweep import Sweep

PATIENCE_SECONDS = 60.0  # how long the end of a launch waits for a store that does not answer
_MOST_EVENTS = 500  # that are taken together
_GATHER_SECONDS = 1.0  # short epochs come in one batch
_FIRST_WAIT, _LONGEST_WAIT = 0.5, 10.0  # seconds between two tries


class Mirror:
    """Writes the events of a study's journals to its record, in their order, as often as it takes.

    What is written twice, because a driver was killed in between, changes nothing: trials are found by their names, epochs that the
    store has are skipped.

    Args:
        record: of the study.
        folder: of the study.
        journals: every sweep with its journal.
        say: shows a line to the person who waits.
    """

    def __init__(
        self, record: StudyRecord, folder: Path, journals: Mapping[str, tuple[Sweep, Journal]], say: Callable[[str], None]
    ):
        self._record = record
        self._folder = folder
        self._journals = journals
        self._say = say
        self._queue: queue.SimpleQueue[tuple[str, Event] | None] = queue.SimpleQueue()
        self._written = mirrored(folder)
        if any(self._written.get(name, 0) > len(journal.events) for name, (_, journal) in journals.items()):
            self._written = {}  # the end of a journal is lost: everything is compared anew
            self._note_written()
        self._stop = threading.Event()  # set: give up what the store does not take
        self._crash: BaseException | None = None
        self._described: set[str] = set()
        for name, (_, journal) in journals.items():
            for event in journal.events[self._written.get(name, 0) :]:
                self._queue.put((name, event))
        self._thread = threading.Thread(target=self._run, name="mirror", daemon=True)
        self._thread.start()

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
        given_up = threading.Timer(patience, self._give_up)
        given_up.daemon = True
        given_up.start()
        while self._thread.is_alive():
            self._thread.join(timeout=0.2)  # a wait with an end lets signals through
        given_up.cancel()
        if self._crash is not None:
            raise self._crash
        if self._stop.is_set():
            return False
        try:
            self._record.close(complete=complete)
        except StoreUnavailableError:
            return False
        return True

    def _give_up(self) -> None:
        """Give up at the next failure; a store that takes one write after the other may take its time."""
        self._stop.set()

    def _run(self) -> None:
        try:
            while True:
                taken, at_end = self._take()
                for sweep, batch in _batches(taken):
                    if not self._insist(sweep, batch):
                        return
                for sweep, _ in taken:
                    self._written[sweep] = self._written.get(sweep, 0) + 1
                self._note_written()
                if at_end:
                    self._stop.clear()
                    return
        except BaseException as error:
            self._crash = error

    def _note_written(self) -> None:
        with contextlib.suppress(OSError):  # of a full disk: the next launch compares more than it must
            keep_mirrored(self._folder, self._written)

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

    def _insist(self, sweep: str, batch: list[Event]) -> bool:
        """Write until the store takes it; False when the patience is over."""
        wait = _FIRST_WAIT
        while True:
            try:
                self._write(sweep, batch)
            except StoreUnavailableError as error:
                if wait == _FIRST_WAIT:
                    self._say(f"the MLflow store does not answer ({error}); trials go on, their records follow")
                if self._stop.wait(wait):
                    return False
                wait = min(2 * wait, _LONGEST_WAIT)
            except RecordError as error:  # it will never take this, e.g. of a run that somebody deleted
                self._say(f"MLflow refuses a record of {batch[0].get('trial', sweep)}: {error}")
                return True
            else:
                if wait > _FIRST_WAIT:
                    self._say("the MLflow store answers again")
                return True

    def _write(self, sweep_name: str, batch: list[Event]) -> None:
        (sweep, journal), event = self._journals[sweep_name], batch[0]
        if event["event"] == events.LAUNCH:
            return
        trial, folder = event["trial"], state_folder(self._folder / sweep_name, event["trial"])
        if event["event"] == events.TRIAL:
            self._record.start_trial(trial, sweep, _all_settings(sweep, event["point"]))
            return
        if event["event"] == events.LOST:
            self._described.discard(trial)  # another worker goes on
            return
        if trial not in self._described and (launches := _text(folder / PROVENANCE_FILE)):
            self._record.log_provenance(trial, launches)
            self._described.add(trial)
        if event["event"] == events.EPOCH:
            self._record.log_epochs(trial, {entry["epoch"]: entry["metrics"] for entry in batch})
        elif event["event"] == events.SETTINGS:
            self._record.log_settings(trial, event["point"])
        elif event["event"] == events.END:
            predictions = _text(folder / names.PREDICTIONS_FILE)
            self._record.finish_trial(trial, event["outcome"], predictions=predictions, reason=event["reason"])
            if len(sweep.seeds) > 1:
                self._write_setting(sweep, journal, trial)

    def _write_setting(self, sweep: Sweep, journal: Journal, trial: str) -> None:
        """What the seeds of the trial's setting have given, as the journal has it now: writing it again changes nothing."""
        setting = setting_of(journal.trials[trial].point, list(journal.trials.values()))
        figures = setting.figures(sweep.objectives)
        self._record.log_setting(sweep, _all_settings(sweep, setting.point), figures, is_over=setting.is_over(sweep.seeds))


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
    return path.read_text(encoding="utf-8") if path.exists() else None
