"""The command line as a user starts it."""

import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

from study.cli import app as cli
from support.preloaded import Command

SMOKE = Path(__file__).parents[1] / "study" / "smoke.yaml"


def acl_study(
    *arguments: object, wait: bool = True, env: Mapping[str, str] | None = None, folder: Path | None = None, fresh: bool = False
) -> Command:
    """Run the command line in a process group of its own, whose libraries are imported already.

    Args:
        arguments: of the command line.
        wait: until it ends.
        env: on top of this process's variables.
        folder: to run it in, by default the current one.
        fresh: let Ray's processes import their libraries themselves.
    """
    environment = os.environ | {"COLUMNS": "500"} | dict(env or {})
    process = Command(["acl-study", *map(str, arguments)], environment, folder or Path.cwd(), fresh=fresh)
    if wait:
        process.communicate()
    return process


def python(*arguments: object, env: Mapping[str, str] | None = None, folder: Path | None = None) -> str:
    """Run Python with `-c` or `-m`, and with the libraries already imported; returns what it prints.

    Raises:
        AssertionError: it ends with another status than 0.
    """
    process = Command(["python", *map(str, arguments)], os.environ | dict(env or {}), folder or Path.cwd(), fresh=True)
    process.communicate()
    assert process.returncode == 0, process.err
    return process.out


def fresh_acl_study(*arguments: object, env: Mapping[str, str] | None = None) -> subprocess.Popen[str]:
    """Start the command line as a shell does: for variables that matter while Python starts, and output that is read meanwhile."""
    return subprocess.Popen(
        [sys.executable, "-m", "study.cli", *map(str, arguments)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        env=os.environ | {"COLUMNS": "500"} | dict(env or {}),
    )


def call(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> int:
    """The command line in this process; returns its exit status."""
    monkeypatch.setattr(sys, "argv", ["acl-study", *arguments])
    with pytest.raises(SystemExit) as stop:
        cli.main()
    assert isinstance(stop.value.code, int)
    return stop.value.code
