"""Ray and the command line on the nodes of `nodes.py`, which can go down and see less than others."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from nodes import Node, nodes

PORT = 6379
_PROJECT = Path(__file__).parents[1]
_RAY = Path(sys.executable).with_name("ray")
_TOKEN = {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": "5e" * 32}


@dataclass(frozen=True)
class Machine:
    """A node, and what a test has started on it; `head` is the address of the cluster that it belongs to."""

    node: Node
    head: str
    env: Mapping[str, str] = field(default_factory=dict)
    processes: list["subprocess.Popen[str]"] = field(default_factory=list)

    @property
    def name(self) -> str:
        """Its host name."""
        return self.node.name

    def start(self, *command: object) -> "subprocess.Popen[str]":
        """Start a command there, in a session of its own."""
        process = subprocess.Popen(
            self.node.command([str(part) for part in command], _PROJECT),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
            env={**os.environ, "COLUMNS": "150", "RAY_USAGE_STATS_ENABLED": "0", **_TOKEN, **self.env},
        )
        self.processes.append(process)
        return process

    def acl_study(self, *arguments: object) -> "subprocess.Popen[str]":
        """Start the command line there."""
        return self.start(sys.executable, "-m", "study.cli.app", *arguments)

    def join(self, cpus: int = 1, gpus: int = 0) -> None:
        """Start Ray there; it takes our word for the GPUs."""
        where = [f"--address={self.head}"]
        if self.head == f"{self.node.address}:{PORT}":
            where = ["--head", f"--port={PORT}", "--include-dashboard=false"]
        options = [
            f"--node-ip-address={self.node.address}",
            f"--num-cpus={cpus}",
            f"--num-gpus={gpus}",
            "--object-store-memory=100000000",
        ]
        started = self.start("env", "-u", "MALLOC_ARENA_MAX", _RAY, "start", *where, *options)  # which this process may have
        out, err = started.communicate(timeout=90)
        assert started.returncode == 0, out + err

    def hide(self, folder: Path) -> None:
        """Mount something empty over a folder."""
        done = self.start("mount", "-t", "tmpfs", "none", folder)
        assert done.wait() == 0, done.communicate()

    def kill(self, name: str = "") -> None:
        """Kill at once the processes there in whose program's path the name is; without a name, all."""
        for pid, command in self.node.processes().items():
            if name in command.partition(" ")[0]:
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)


@contextmanager
def machines(count: int, shared: Path, **env: str) -> Iterator[list[Machine]]:
    """So many machines that share a folder, without Ray so far; all that was started there ends in the end."""
    with nodes(count, shared) as found:
        head = f"{found[0].address}:{PORT}"
        made = [Machine(node, head, env) for node in found]
        try:
            yield made
        finally:
            for machine in made:
                machine.kill()
                for process in machine.processes:
                    process.communicate()


def wait_until(happened: Callable[[], bool], process: "subprocess.Popen[str] | None" = None, seconds: float = 90) -> None:
    """Wait until something has happened, while a process goes on."""
    deadline = time.monotonic() + seconds
    while not happened():
        assert time.monotonic() < deadline
        assert process is None or process.poll() is None, process.communicate()
        time.sleep(0.1)
