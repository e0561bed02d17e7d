"""Machines of a Ray cluster: processes in network namespaces with addresses, host names and mounts of their own.

They share this machine's files, but for `/tmp` and what a test hides from one of them. Needs root, iproute2 and util-linux.
"""

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

PORT = 6379
_TOKEN = {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": "5e" * 32}
_RAY = Path(sys.executable).with_name("ray")


def can_make_machines() -> bool:
    """Whether this system lets us."""
    tools = all(shutil.which(tool) for tool in ("ip", "nsenter", "unshare"))
    return tools and os.getuid() == 0 and subprocess.run(["unshare", "-mnu", "true"], check=False).returncode == 0


@dataclass
class Machine:
    """One of them; `anchor` is a process that holds its namespaces."""

    name: str
    address: str
    namespace: str
    anchor: "subprocess.Popen[bytes]"
    processes: list["subprocess.Popen[str]"] = field(default_factory=list)

    def start(self, *command: object, env: Mapping[str, str] | None = None) -> "subprocess.Popen[str]":
        """Start a command there, in a session of its own."""
        inside = ["nsenter", "--target", str(self.anchor.pid), "--mount", "--net", "--uts", "--", *map(str, command)]
        process = subprocess.Popen(
            inside,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
            cwd=Path(__file__).parents[1],
            env={**os.environ, "COLUMNS": "150", **_TOKEN, **(env or {})},
        )
        self.processes.append(process)
        return process

    def acl_study(self, *arguments: object, env: Mapping[str, str] | None = None) -> "subprocess.Popen[str]":
        """Start the command line there."""
        return self.start(sys.executable, "-m", "study.cli", *arguments, env=env)

    def hide(self, folder: Path) -> None:
        """Mount something empty over a folder."""
        done = self.start("mount", "-t", "tmpfs", "none", folder)
        assert done.wait() == 0, done.communicate()

    def kill(self, name: str = "") -> None:
        """Kill the processes there in whose program's path the name is."""
        pids = subprocess.run(["ip", "netns", "pids", self.namespace], capture_output=True, text=True, check=True).stdout.split()
        for pid in map(int, pids):
            if pid != self.anchor.pid:
                with suppress(ProcessLookupError, FileNotFoundError):
                    if name in Path(f"/proc/{pid}/cmdline").read_text().partition("\0")[0]:
                        os.kill(pid, signal.SIGKILL)

    def power_off(self) -> None:
        """Kill everything that runs there at once."""
        self.kill()


class Machines:
    """A network of them."""

    def __init__(self, prefix: str) -> None:
        self._prefix = prefix
        self._hub = f"{prefix}hub"
        self.all: list[Machine] = []
        _ip("netns", "add", self._hub)
        _ip("-n", self._hub, "link", "add", "bridge", "type", "bridge")
        _ip("-n", self._hub, "link", "set", "bridge", "up")

    def add(self, name: str) -> Machine:
        """A new machine, on which nothing runs yet."""
        number = len(self.all) + 1
        namespace, address = f"{self._prefix}{name}", f"10.78.5.{number}"
        _ip("netns", "add", namespace)
        _ip("-n", namespace, "link", "set", "lo", "up")
        _ip("-n", namespace, "link", "add", "eth0", "type", "veth", "peer", "name", f"port{number}", "netns", self._hub)
        _ip("-n", self._hub, "link", "set", f"port{number}", "master", "bridge", "up")
        _ip("-n", namespace, "addr", "add", f"{address}/24", "dev", "eth0")
        _ip("-n", namespace, "link", "set", "eth0", "up")
        _ip("-n", namespace, "route", "add", "default", "dev", "eth0")
        # Ray's sockets lie in /tmp, and so do copies of features.
        setup = f"hostname {name} && mount --make-rprivate / && mount -t tmpfs none /tmp/ray && echo ready && exec sleep infinity"
        Path("/tmp/ray").mkdir(exist_ok=True)
        anchor = subprocess.Popen(
            ["ip", "netns", "exec", namespace, "unshare", "--mount", "--uts", "sh", "-c", setup], stdout=subprocess.PIPE
        )
        assert anchor.stdout is not None
        with anchor.stdout as said:
            assert said.readline() == b"ready\n"
        machine = Machine(name, address, namespace, anchor)
        self.all.append(machine)
        return machine

    def join(self, machine: Machine, cpus: int = 1, env: Mapping[str, str] | None = None) -> None:
        """Start Ray there; the first machine is the head."""
        where = ["--head", f"--port={PORT}", "--include-dashboard=false"]
        if machine is not self.all[0]:
            where = [f"--address={self.all[0].address}:{PORT}"]
        options = [f"--node-ip-address={machine.address}", f"--num-cpus={cpus}", "--object-store-memory=100000000"]
        quiet = {"RAY_USAGE_STATS_ENABLED": "0", "TMPDIR": "/tmp/ray", **(env or {})}
        started = machine.start(_RAY, "start", *where, *options, "--disable-usage-stats", env=quiet)
        out, err = started.communicate(timeout=90)
        assert started.returncode == 0, out + err

    def close(self) -> None:
        """End all of it."""
        for machine in self.all:
            machine.power_off()
            machine.anchor.kill()
            machine.anchor.wait()
            for process in machine.processes:
                with suppress(ProcessLookupError):
                    os.killpg(process.pid, signal.SIGKILL)
                process.wait()
                for pipe in (process.stdout, process.stderr):
                    if pipe is not None:
                        pipe.close()
            _ip("netns", "del", machine.namespace)
        _ip("netns", "del", self._hub)


@contextmanager
def machines() -> Iterator[Machines]:
    """A network of machines, ended in the end."""
    network = Machines(f"acl{os.getpid()}")
    try:
        yield network
    finally:
        network.close()


def wait_until(happened: Callable[[], bool], process: "subprocess.Popen[str] | None" = None, seconds: float = 90) -> None:
    """Wait until something has happened, while a process goes on."""
    deadline = time.monotonic() + seconds
    while not happened():
        assert time.monotonic() < deadline
        assert process is None or process.poll() is None, process.communicate()
        time.sleep(0.1)


def _ip(*arguments: str) -> None:
    subprocess.run(["ip", *arguments], check=True)
