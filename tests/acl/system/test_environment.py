"""Environments that containers and institutes give a process, in processes of their own."""

import os
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

_SHOW = """
import getpass, os, pathlib, sys
from acl.system.environment import settle_environment
if len(sys.argv) > 1:
    os.setuid(int(sys.argv[1]))  # here, as another user may not be able to read this interpreter
settle_environment()
print(pathlib.Path.home(), getpass.getuser(), os.environ.get("no_proxy", "-"), sep="\\n")
"""
ROOT = Path(__file__).parents[3]


def shown(tmp_path: Path, user: int | None = None, **variables: str) -> list[str]:
    """Home, user and exceptions from the proxy of a process with these variables alone."""
    environment = {"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT), "TMPDIR": str(tmp_path), **variables}
    tmp_path.chmod(0o777)
    command = [sys.executable, "-c", _SHOW, *([] if user is None else [str(user)])]
    run = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    return run.stdout.splitlines()


@pytest.mark.skipif(os.getuid() != 0, reason="only the administrator can become another user")
@pytest.mark.parametrize("variables", [{}, {"HOME": "/"}, {"HOME": "/proc"}])
def test_a_user_without_an_entry_has_a_home_and_a_name(variables: dict[str, str]) -> None:
    with tempfile.TemporaryDirectory() as folder:  # pytest's own are its user's alone
        home, user, _ = shown(Path(folder), user=54321, **variables)
        assert (home, user) == (f"{folder}/acl-study-home-54321", "uid-54321")
        assert Path(home).stat().st_mode & 0o777 == 0o700


def test_a_usable_home_stays(tmp_path: Path) -> None:
    assert shown(tmp_path, HOME=str(tmp_path))[0] == str(tmp_path)


@pytest.mark.parametrize("variable", ["http_proxy", "HTTPS_PROXY"])
def test_a_proxy_is_not_asked_for_this_machine(tmp_path: Path, variable: str) -> None:
    proxy = {variable: "http://proxy.institute:3128"}
    assert shown(tmp_path, HOME=str(tmp_path), **proxy)[2] == "localhost,127.0.0.1,::1"
    kept = shown(tmp_path, HOME=str(tmp_path), no_proxy=".institute,127.0.0.1", **proxy)[2]
    assert kept == ".institute,127.0.0.1,localhost,::1"
    assert shown(tmp_path, HOME=str(tmp_path))[2] == "-"
