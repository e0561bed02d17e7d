"""A line for launches that cannot say themselves why they end: killed, or ended by Ray from within."""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

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
