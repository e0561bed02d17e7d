"""The early end of a launch: Ctrl-C, SIGTERM, the end of its hours, a full disk; and its last line when it is killed."""

import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

from acl.system.signals import EXIT_STATUS, signal_name, signals_to

_TOGETHER_SECONDS = 0.3  # `timeout` signals a process and at once its group, which is one request


class Interruption:
    """A request to stop, which the sweep sees between two steps of Ray.

    Args:
        resume: the command that continues afterwards.

    Attributes:
        resume: that command.
        reason: why, in words; None while nobody has asked.
    """

    def __init__(self, resume: str) -> None:
        self.reason: str | None = None
        self.resume = resume
        self._signalled_at: float | None = None

    def request(self, reason: str) -> None:
        """Ask for the end; the first reason counts."""
        self.reason = self.reason or reason

    @contextmanager
    def on_signals(self) -> Iterator[None]:
        """Ctrl-C and SIGTERM, which batch systems send, ask for the end; the second one ends the process at once.

        That loses no more than the first: the journal and the trials' checkpoints are whole at every moment.
        """

        def handle(number: int, frame: FrameType | None) -> None:
            word = signal_name(number)
            if self._signalled_at is not None and time.monotonic() - self._signalled_at < _TOGETHER_SECONDS:
                return
            if self._signalled_at is not None:
                os.write(2, f"\n{word} again: ended at once; continue with: {self.resume}\n".encode())
                not_needed()
                os._exit(EXIT_STATUS)
            self._signalled_at = time.monotonic()
            doing = "stopping, epochs in progress are given up" if self.reason is None else f"stopping already ({self.reason})"
            self.request(word)
            os.write(2, f"\n{word}: {doing}; {word} again ends at once\n".encode())

        with signals_to(handle):
            yield

    @contextmanager
    def after(self, hours: float | None, has_epochs: Callable[[], bool]) -> Iterator[None]:
        """Ask for the end after `hours`; never where that is None. `has_epochs` tells whether any was completed until then."""
        if hours is None:
            yield
            return

        def end() -> None:
            in_vain = "" if has_epochs() else " before an epoch was complete (more with --set budget.hours=H)"
            self.request(f"the budget of {hours:g} hours is used up{in_vain}")

        timer = threading.Timer(hours * 3600, end)
        timer.daemon = True
        timer.start()
        try:
            yield
        finally:
            timer.cancel()


_OVER = b"."
# Reads until the launch closes its end, however it dies. Ctrl-C is meant for the launch.
_LISTENER = """
import signal, sys
signal.signal(signal.SIGINT, signal.SIG_IGN)
signal.signal(signal.SIGTERM, signal.SIG_IGN)
if not sys.stdin.buffer.read():
    sys.stderr.write(sys.argv[1])
"""
_listener: subprocess.Popen[bytes] | None = None


@contextmanager
def last_words(line: str) -> Iterator[None]:
    """Have `line` said if this process ends before the block does, without having said so itself."""
    global _listener  # noqa: PLW0603 (one for a process: it is about the process's end)
    _listener = subprocess.Popen([sys.executable, "-I", "-S", "-c", _LISTENER, f"{line}\n"], stdin=subprocess.PIPE)
    try:
        yield
    finally:
        not_needed()


def not_needed() -> None:
    """The process says itself that it ends, and why."""
    global _listener  # noqa: PLW0603
    if _listener is not None and _listener.stdin is not None:
        _listener.stdin.write(_OVER)
        _listener.stdin.close()
        _listener.wait()
    _listener = None
