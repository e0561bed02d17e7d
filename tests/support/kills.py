"""Ways in which a launch can die, each done to real processes."""

import os
import signal
import subprocess
import time
from pathlib import Path

from support.forks.sitecustomize import STAND_IN

_AGENTS = ("ray::DashboardAgent", "ray::RuntimeEnvAgent")  # idle helpers of Ray, which look for its head for a minute first
# A grid, then a search with a scheduler, both small.
STUDY = """
name: crash
question: Does a study survive?
profile: mini
sweeps:
  - name: grid
    base: {mode: supervised, data.subset: clean, optim.epochs: 8}
    space: {loss.alpha: {grid: [1.0, 0.5]}}
  - name: tpe
    base: {mode: supervised, data.subset: clean, optim.epochs: 6}
    space: {loss.alpha: {uniform: [0.1, 0.9]}, optim.lr: {loguniform: [1.0e-4, 1.0e-1]}}
    search: tpe
    budget: {trials: 4}
    scheduler: {name: asha, grace: 0.34, reduction_factor: 2}
    objective: val.accuracy
"""
_VICTIMS = {"worker": "ray::ImplicitFunc", "gcs": "gcs/gcs_server", "raylet": "raylet/raylet", "agent": "ray::DashboardAgent"}
_OF_RAY = {  # which of Ray's processes is ended, and by which signal
    "worker": ("worker", signal.SIGKILL),
    "gcs": ("gcs", signal.SIGKILL),
    "gcs, softly": ("gcs", signal.SIGTERM),
    "raylet": ("raylet", signal.SIGKILL),
    "raylet, softly": ("raylet", signal.SIGTERM),
    "agent": ("agent", signal.SIGKILL),
}
WAYS = ("driver", "group", *_OF_RAY, "sigterm", "ctrl-c", "ctrl-c twice")


def processes_of(session: int) -> dict[int, str]:
    """Living processes of a session that the command line began, with their names; without those that stand in for others."""
    found: dict[int, str] = {}
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        try:
            name, _, rest = (entry / "stat").read_text().rpartition(")")
            state, _, _, of_session = rest.split()[:4]
            command = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode()
        except OSError:  # it has just ended
            continue
        if int(of_session) == session and state not in "ZX" and name.partition("(")[2] != STAND_IN:
            found[int(entry.name)] = command.strip()
    return found


def strike(process: "subprocess.Popen[str]", way: str) -> bool:
    """End a launch in one of the WAYS; False where what would be killed does not run."""
    if process.poll() is not None:
        return False
    if way == "driver":
        process.kill()
    elif way == "group":
        os.killpg(process.pid, signal.SIGKILL)
    elif way in _OF_RAY:
        which, number = _OF_RAY[way]
        victims = [pid for pid, command in processes_of(process.pid).items() if _VICTIMS[which] in command.partition(" ")[0]]
        for pid in victims:
            os.kill(pid, number)
        return bool(victims)
    elif way == "sigterm":
        process.terminate()
    else:  # a terminal sends Ctrl-C to the whole group
        os.killpg(process.pid, signal.SIGINT)
        if way == "ctrl-c twice":
            time.sleep(0.5)
            os.killpg(process.pid, signal.SIGINT)
    return True


def wait_until_gone(session: int, seconds: float = 30) -> None:
    """Wait until nothing of a session is left, but for Ray's agents.

    Raises:
        AssertionError: something outlives it.
    """
    deadline = time.monotonic() + seconds
    while left := [command for command in processes_of(session).values() if command not in _AGENTS]:
        assert time.monotonic() < deadline, f"left after {seconds:g} s: {left}"
        time.sleep(0.1)
