"""The command of `--on-end`, which runs once when a launch has ended."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from types import FrameType
from typing import Literal

from acl.system.signals import signals_to
from study.errors import one_line
from study.spec.study import Study
from study.state.completion import outcome_of
from study.state.home import Home
from study.state.journal import Journal

LIMIT_SECONDS = 600.0  # that the command may take
EndState = Literal["complete", "interrupted", "failed"]
_NOT_FOUND = 127  # status of a shell


@dataclass
class LaunchEnd:
    """The end of a launch, as far as it is known.

    Attributes:
        has_begun: whether the launch was not refused.
        state: `failed` until the launch returns; afterwards that of its outcome.
    """

    has_begun: bool = False
    state: EndState = "failed"

    def begin(self) -> None:
        """Note that the launch was not refused."""
        self.has_begun = True


@contextmanager
def command_at_end(command: str | None, study: Study, home: Home) -> Iterator[LaunchEnd]:
    """Run `command` when the block ends in whichever way, unless the launch in it was refused; None runs nothing.

    A failure of the command is a line on standard error. It changes neither the exception that ends the block nor the exit status.
    """
    end = LaunchEnd()
    try:
        yield end
    finally:
        if command is not None and end.has_begun:
            try:
                failure = _run(command, _variables(study, home, end.state))
            except (OSError, ValueError) as error:  # no shell, too long a command, a damaged journal
                failure = f"was not run ({error})"
            if failure is not None:
                print(one_line(f"--on-end: the command {failure}: {command}"), file=sys.stderr, flush=True)


def _variables(study: Study, home: Home, state: EndState) -> dict[str, str]:
    """The study and its trials as environment variables. The counts are those of the journals, also after a crash."""
    outcomes = [outcome_of(sweep, Journal(home.study(study.name) / sweep.name)) for sweep in study.sweeps]
    counts = {
        "TRIALS": sum(each.finished + each.stopped + each.failed + each.left for each in outcomes),
        "FINISHED": sum(each.finished for each in outcomes),
        "STOPPED": sum(each.stopped for each in outcomes),
        "FAILED": sum(each.failed for each in outcomes),
        "LEFT": sum(each.left for each in outcomes),
    }
    values = {"NAME": study.name, "STATE": state, "HOME": home.root.resolve(), **counts}
    return {f"ACL_STUDY_{name}": str(value) for name, value in values.items()}


def _run(command: str, variables: Mapping[str, str]) -> str | None:
    """Run a shell command within `LIMIT_SECONDS`; returns what went wrong.

    It has a session of its own, so that a signal to this process reaches it only from here and ends all that it started.
    """
    started: list[subprocess.Popen[bytes]] = []
    received: list[str] = []

    def end(number: int, frame: FrameType | None) -> None:
        received.append(signal.Signals(number).name)
        for process in started:
            _kill(process)

    sys.stdout.flush()
    with signals_to(end):
        environment = {**os.environ, **variables}
        started.append(subprocess.Popen(command, shell=True, env=environment, stdin=subprocess.DEVNULL, start_new_session=True))
        if received:  # while it started
            _kill(started[0])
        try:
            status = started[0].wait(LIMIT_SECONDS)
        except subprocess.TimeoutExpired:
            _kill(started[0])
            started[0].wait()
            return f"ran longer than {LIMIT_SECONDS:g} s and was ended"
    if received:
        return f"was ended by {received[0]}"
    if status == _NOT_FOUND:
        return "was not found"
    return f"ended with status {status}" if status else None


def _kill(process: subprocess.Popen[bytes]) -> None:
    """End a command and what it started."""
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
