"""Ctrl-C and SIGTERM, which batch systems send, from the first import of a command to its end. Imports no more than it must.

A signal ends a command at once while it is imported, by an exception while it works, so that it can tidy up, and as a launch wants
it while trials run. Each says in a line on standard error what the signal has ended, and the status is `EXIT_STATUS`.
"""

import os
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

EXIT_STATUS = 130  # of a command that a signal, or a launch that any other interruption has ended
SIGNALS = (signal.SIGINT, signal.SIGTERM)
Handler = Callable[[int, FrameType | None], object]


def signal_name(number: int) -> str:
    """What the signal is called where people read it.

    >>> signal_name(2), signal_name(15)
    ('Ctrl-C', 'SIGTERM')
    """
    return "Ctrl-C" if number == signal.SIGINT else signal.Signals(number).name


def end_at_once(number: int, frame: FrameType | None = None) -> None:
    """Handle a signal before a command works: nothing has begun that would need an end."""
    say_end(signal_name(number))
    os._exit(EXIT_STATUS)


def say_end(name: str) -> None:
    """Say that a signal has ended the command. This does not use `sys.stderr`, which may be in the middle of a line of its own."""
    os.write(2, f"\n{name}: ended early; run the same command again\n".encode())


def take_signals(handler: Handler) -> None:
    """Have the signals call `handler` from now on, but for one that this process was started to ignore, as `nohup` and `&` do."""
    for number in SIGNALS:
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, handler)


def ignore_signals() -> None:
    """Ignore the signals: the process ends anyway."""
    for number in SIGNALS:
        signal.signal(number, signal.SIG_IGN)


@contextmanager
def signals_to(handler: Handler) -> Iterator[None]:
    """Have the signals call `handler` during the block."""
    previous = {number: signal.signal(number, handler) for number in SIGNALS}
    try:
        yield
    finally:
        for number, before in previous.items():
            signal.signal(number, before)


@contextmanager
def signals_raised() -> Iterator[list[str]]:
    """Have the first signal raise KeyboardInterrupt during the block, and a further one end the process at once.

    Yields the names of signals that have come. They tell more than the exception that leaves the block: libraries make one of their
    own of it, typer as well as compiled modules while they are imported.
    """
    received: list[str] = []

    def handle(number: int, frame: FrameType | None) -> None:
        if received:
            end_at_once(number)
        received.append(signal_name(number))
        raise KeyboardInterrupt

    previous = {number: signal.getsignal(number) for number in SIGNALS}
    take_signals(handle)
    try:
        yield received
    finally:
        for number, before in previous.items():
            signal.signal(number, before)
