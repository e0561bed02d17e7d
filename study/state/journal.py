"""A sweep's journal: what happened to its trials, appended line by line and flushed to the disk.

The journal is the truth about a sweep. Ray only schedules its trials, Optuna's storage is brought in line with it when a sweep is
opened, and MLflow mirrors it. A line is one JSON object with its `time` (Unix seconds) and its `event`:

    launch    resources                           a launch begins
    trial     trial, number, point                a trial exists
    resume    trial                               a launch takes up one that an earlier launch left under way
    epoch     trial, epoch, is_last, rung, metrics
                                                  an epoch of it has been trained, its checkpoint is written; at a `rung`, the
                                                  scheduler may stop it
    settings  trial, epoch, point, source         population-based training has given the trial other settings after that epoch,
                                                  and the weights of `source`, a copy of another trial's checkpoint
    lost      trial, reason, with_node, unfit     its worker died or ran out of memory: it runs once more, alone; or the worker's
                                                  machine went down, or is unfit for trials: it goes on elsewhere
    end       trial, outcome, reason              it is over
    warm_start  results                           finished trials of earlier studies that a search begins with; they are no
                                                  trials of this sweep
    repeat    number, point, of                   a search has proposed the point of the trial `of` again: it is not trained twice,
                                                  the number is used up
    search_end  reason                            a search ends before its budget is used; trials under way run to their end

A crash can leave half a line at the end: it is cut off.
"""

import json
import os
import re
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from types import NoneType
from typing import IO, Any

from acl.system.text import parse_json
from study import names
from study.errors import StudyError
from study.spec.space import Point

JOURNAL_FILE = "journal.jsonl"
_READ_TOGETHER = 1000  # lines
LAUNCH, TRIAL, RESUME, EPOCH, SETTINGS, LOST, END = "launch", "trial", "resume", "epoch", "settings", "lost", "end"
WARM_START, REPEAT, SEARCH_END = "warm_start", "repeat", "search_end"
Event = dict[str, Any]
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
_NUMBER, _TEXT = (int, float), (str,)
_LARGEST = 2**53  # of whole numbers, all of which are numbers to others, too
_FIELDS: dict[str, dict[str, tuple[type, ...]]] = {
    LAUNCH: {"resources": (dict,)},
    TRIAL: {"trial": _TEXT, "number": (int,), "point": (dict,)},
    RESUME: {"trial": _TEXT},
    EPOCH: {"trial": _TEXT, "epoch": (int,), "is_last": (bool,), "rung": (bool,), "metrics": (dict,)},
    SETTINGS: {"trial": _TEXT, "epoch": (int,), "point": (dict,), "source": _TEXT},
    LOST: {"trial": _TEXT, "reason": _TEXT},
    END: {"trial": _TEXT, "outcome": _TEXT, "reason": (str, NoneType)},
    WARM_START: {"results": (list,)},
    REPEAT: {"number": (int,), "point": (dict,), "of": _TEXT},
    SEARCH_END: {"reason": _TEXT},
}


@dataclass(frozen=True)
class EarlierResult:
    """A finished trial of an earlier study, with which a search begins.

    Attributes:
        study, trial: their names.
        point: its values of what the search varies.
        values: of the search's objectives.
    """

    study: str
    trial: str
    point: Point
    values: list[float]


@dataclass(frozen=True)
class Repeat:
    """A point that a search has proposed again: it has a number of the sweep, and the result of the trial `of`."""

    number: int
    of: str


@dataclass
class TrialState:
    """A trial as its journal tells it.

    Attributes:
        trial: its name, e.g. "supervised-0003".
        number: its place in the sweep, from 0.
        point: the values of what the sweep varies, seed included.
        source: copy of the checkpoint that it has last taken over, if any.
        epochs: last epoch that it has reported.
        is_trained: whether that was its run's last epoch.
        metrics: last value of every metric.
        worker_crashes: how often it lost its worker, perhaps by its own fault.
        outcome: finished, stopped or failed; None while it is not over.
        reason: of its failure or loss.
    """

    trial: str
    number: int
    point: Point
    source: str | None = None
    epochs: int = 0
    is_trained: bool = False
    metrics: dict[str, float] = field(default_factory=dict)
    worker_crashes: int = 0
    outcome: str | None = None
    reason: str | None = None
    _next: Event | None = None
    _epochs_with_node: int = -1  # those that it had when it last lost its machine

    def apply(self, event: Event) -> None:
        """Take an event in."""
        if event["event"] == EPOCH:
            self.epochs, self.is_trained = event["epoch"], event["is_last"]
            self.metrics |= event["metrics"]
            self._change()
        elif event["event"] == SETTINGS:
            self._next = event
            self._change()
        elif event["event"] == LOST:
            self.reason = event["reason"]
            # A trial that takes machines down with it does not get far between two of them; of those that are unfit none did harm.
            if event.get("unfit"):
                return
            if not event.get("with_node") or self.epochs == self._epochs_with_node:
                self.worker_crashes += 1
            if event.get("with_node"):
                self._epochs_with_node = self.epochs
        elif event["event"] == END:
            self.outcome, self.reason = event["outcome"], event["reason"]
        elif event["event"] == TRIAL:  # taken up again after a failure
            self.outcome = self.reason = None
            self.worker_crashes, self._epochs_with_node = 0, -1

    def _change(self) -> None:
        """Take over settings once the epoch is noted after which they hold: that of the trial that decides comes after them."""
        if self._next is not None and self.epochs >= self._next["epoch"]:
            self.point, self.source, self._next = self._next["point"], self._next["source"], None


class Journal:
    """The journal of one sweep.

    Attributes:
        events: everything in it, oldest first.
        trials: what it amounts to, by name and in the order of their numbers.
        finished: names of the finished trials, in the order in which they ended.
        repeats: points that a search has proposed again.
        warm_start: what a search begins with; None where that is not noted.
        search_end: why a search has ended before its budget was used; None while it goes on.
    """

    def __init__(self, folder: Path) -> None:
        """Read the journal in `folder`; an absent one is empty.

        Raises:
            StudyError: it is damaged before its last line.
        """
        self.path = folder / JOURNAL_FILE
        self.events: list[Event] = []
        self.trials: dict[str, TrialState] = {}
        self.finished: list[str] = []
        self.repeats: list[Repeat] = []
        self.warm_start: list[EarlierResult] | None = None
        self.search_end: str | None = None
        self._file: IO[bytes] | None = None
        content, self._whole = read_whole_lines(self.path)
        try:
            for event in _events(content):
                _check(event)
                self._apply(event)
        except (ValueError, KeyError, TypeError, AttributeError):
            raise StudyError(
                f"{self.path} is damaged in line {len(self.events) + 1}; restore it from a backup, or delete that line and the "
                "study's mirrored.json, which counts lines, and resume"
            ) from None
        self.trials = dict(sorted(self.trials.items(), key=lambda item: item[1].number))

    def append(self, event: str, **content: Any) -> Event:
        """Write an event; it is on the disk when this returns."""
        entry: Event = {"time": round(time.time(), 3), "event": event, **content}
        if self._file is None:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self._file = self.path.open("ab", buffering=0)
            self._file.truncate(self._whole)
        line = json.dumps(entry, allow_nan=True).encode() + b"\n"
        try:
            if self._file.write(line) != len(line):  # a disk that fills up takes half a line without an error
                raise OSError(28, os.strerror(28), str(self.path))
            os.fsync(self._file.fileno())
        except OSError as error:
            error.filename = error.filename or str(self.path)
            with suppress(OSError):  # of a disk that is gone: the next launch cuts off half a line
                self._file.truncate(self._whole)
            raise
        self._whole += len(line)
        self._apply(entry)
        return entry

    def close(self) -> None:
        """Close the file."""
        if self._file is not None:
            self._file.close()
            self._file = None

    def unfinished(self) -> list[TrialState]:
        """Trials that are not over, in the order of their numbers."""
        return [state for state in self.trials.values() if state.outcome is None]

    def outcomes(self) -> list[str]:
        """How the trials ended that are over."""
        return [state.outcome for state in self.trials.values() if state.outcome is not None]

    def _apply(self, event: Event) -> None:
        if event["event"] == TRIAL and event["trial"] not in self.trials:
            self.trials[event["trial"]] = TrialState(event["trial"], event["number"], event["point"])
        elif "trial" in event:
            self.trials[event["trial"]].apply(event)
            if event["event"] == END and event["outcome"] == names.FINISHED:
                self.finished.append(event["trial"])
        elif event["event"] == REPEAT:
            self.repeats.append(Repeat(event["number"], self.trials[event["of"]].trial))
        elif event["event"] == WARM_START:
            self.warm_start = [EarlierResult(**result) for result in event["results"]]
        elif event["event"] == SEARCH_END:
            self.search_end = event["reason"]
        self.events.append(event)


def _events(lines: list[bytes]) -> Iterator[Event]:
    """What the lines say. Read together, they share the names in them, which else take half of the memory.

    Raises:
        ValueError: at the first line that is damaged, after those before it.
    """
    for first in range(0, len(lines), _READ_TOGETHER):
        some = lines[first : first + _READ_TOGETHER]
        try:
            read = parse_json(b"[" + b",".join(some) + b"]")
        except ValueError:
            read = []
        yield from read if len(read) == len(some) else map(parse_json, some)


def _check(event: Any) -> None:
    """Raise ValueError, KeyError or TypeError for an entry that no launch wrote."""
    fields = {"time": _NUMBER, **_FIELDS.get(event["event"], {})}
    if wrong := [name for name, kinds in fields.items() if type(event[name]) not in kinds]:
        raise TypeError(wrong[0])
    numbers: list[Any] = [event["time"], *(event[name] for name in ("number", "epoch") if name in fields)]
    if "trial" in event and not _NAME.fullmatch(event["trial"]):  # names a folder
        raise ValueError(event["trial"])
    if "point" in fields:
        _check_point(event["point"])
    if event["event"] == WARM_START:
        for result in event["results"]:
            _check_point(result["point"])
            numbers += result["values"]
            if not all(type(result[name]) is str for name in ("study", "trial")):
                raise TypeError("results")
    if "metrics" in fields:
        numbers += event["metrics"].values()
    if not all(type(value) is float or (type(value) is int and abs(value) < _LARGEST) for value in numbers):
        raise TypeError("a number")
    if event["event"] == END and event["outcome"] not in names.OUTCOMES:
        raise ValueError(event["outcome"])


def _check_point(point: dict[str, Any]) -> None:
    if not all(type(value) in (*_NUMBER, bool, str) for value in point.values()):
        raise TypeError("point")


def read_whole_lines(path: Path) -> tuple[list[bytes], int]:
    """Lines of a file that end in a newline, and how many bytes they take: a crash can leave half a line behind them."""
    content = path.read_bytes() if path.exists() else b""
    whole = content.rfind(b"\n") + 1
    return content[:whole].splitlines(), whole
