"""Ctrl-C and SIGTERM at any moment of a command."""

import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

MOMENTS = 20
_SCRIPT = str(Path(sys.executable).with_name("acl-study"))


def start() -> "subprocess.Popen[str]":
    pipe = subprocess.PIPE
    return subprocess.Popen([_SCRIPT, "studies"], stdout=pipe, stderr=pipe, text=True, start_new_session=True)


@pytest.mark.parametrize(("number", "name"), [(signal.SIGINT, "Ctrl-C"), (signal.SIGTERM, "SIGTERM")])
def test_a_signal_at_any_moment_is_a_line_or_too_late(number: int, name: str) -> None:
    began = time.monotonic()
    whole, _ = start().communicate()
    length = time.monotonic() - began
    said = 0
    for place in range(MOMENTS // 2):
        process = start()
        time.sleep(length * place / (MOMENTS // 2))
        process.send_signal(number)
        out, err = process.communicate(timeout=30)
        if process.returncode == 130:
            assert err == f"\n{name}: ended early; run the same command again\n"
            said += 1
        elif process.returncode == 0:  # it was through
            assert (out, err) == (whole, "")
        else:  # Python itself had not begun
            assert (process.returncode, err) == (-number, "")
            assert place < 2
    assert said >= 2  # on a busy machine the first run is the longest, and many are through before their signal
