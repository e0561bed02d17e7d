"""Nodes of a cluster on this machine, in namespaces of their own, and Ray on them."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from support.preloaded import Command

# The first process of a node: it sets the node up and then waits, which also takes leave of processes that nobody waits for.
_INIT = r"""
set -e
mount --make-rprivate /
hostname "$0"
ip link set lo up
hosts=$1 && shift
mount --bind "$hosts" /etc/hosts
mount --rbind /tmp /mnt && mount -t tmpfs tmpfs /tmp
for folder; do
  case $folder in /tmp/*) mkdir -p "$folder" && mount --rbind "/mnt/${folder#/tmp/}" "$folder" ;; esac
done
umount --lazy /mnt
mount -t tmpfs tmpfs /dev/shm
echo ready
exec >/dev/null 2>&1
sleep infinity &
while true; do wait; done
"""
_PROGRAMS = (Path(__file__).parents[2], Path(sys.prefix))  # also needed, wherever they lie
PORT = 6379
_PROJECT = Path(__file__).parents[2]
_RAY = Path(sys.executable).with_name("ray")
_TOKEN = {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": "5e" * 32}


@dataclass(frozen=True)
class Node:
    """A machine of its own, but for the processor, the memory and all folders other than /tmp.

    Attributes:
        pid: its first process, as this machine sees it.
    """

    name: str
    address: str
    pid: int

    def command(self, command: list[str], folder: Path) -> list[str]:
        """What runs `command` on it."""
        return ["nsenter", "-t", str(self.pid), "-n", "-u", "-p", "-m", f"--wd={folder}", "--", *command]

    def processes(self) -> dict[int, str]:
        """Its living processes but the first and its sleep: number on this machine -> command line."""
        own = os.readlink(f"/proc/{self.pid}/ns/pid")
        found = {}
        for entry in Path("/proc").iterdir():
            try:
                if not entry.name.isdigit() or os.readlink(entry / "ns" / "pid") != own:
                    continue
                state = (entry / "stat").read_text().rpartition(")")[2].split()[0]
                command = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace").strip()
            except OSError:  # it has just ended
                continue
            if state not in "ZX" and int(entry.name) != self.pid and command != "sleep infinity":
                found[int(entry.name)] = command
        return found


def children(pid: int) -> list[int]:
    """Processes that `pid` has started and that run."""
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


@contextmanager
def nodes(count: int, shared: Path) -> Iterator[list[Node]]:
    """Start nodes that see each other and, in their /tmp, the folder `shared` only. Skips where the system does not permit it."""
    if os.geteuid() != 0:
        pytest.skip("only root may make network namespaces")
    names = {f"node{number}": f"10.77.0.{number}" for number in range(1, count + 1)}
    hosts = shared / "hosts"
    # As Debian has it: a machine's own name is a loopback address, which is of no use to others.
    hosts.write_text("127.0.0.1 localhost\n" + "".join(f"{address} {name}\n" for name, address in names.items()))
    with ExitStack() as stack:
        try:
            switch = _holder(
                stack, ["unshare", "--net", "--fork", "--kill-child"], "ip link add br0 type bridge && ip link set br0 up"
            )
            found = []
            for name, address in names.items():
                command = ["unshare", "--net", "--uts", "--pid", "--mount", "--fork", "--mount-proc", "--kill-child"]
                pid = _holder(stack, command, _INIT, name, *map(str, (hosts, shared, *_PROGRAMS)))
                port = f"to-{name}"
                _in(switch, f"ip link add {port} type veth peer name eth0 netns {pid} && ip link set {port} up master br0")
                _in(pid, f"ip address add {address}/24 dev eth0 && ip link set eth0 up")
                found.append(Node(name, address, pid))
        except (OSError, subprocess.CalledProcessError) as error:
            pytest.skip(f"this system does not permit network namespaces ({error})")
        yield found


def _holder(stack: ExitStack, command: list[str], script: str, *arguments: str) -> int:
    """Start the first process in new namespaces, and return its number when the script is through."""
    if "echo ready" not in script:
        script += " && echo ready && exec sleep infinity"
    holder = subprocess.Popen(
        [*command, "bash", "-c", script, *arguments], stdout=subprocess.PIPE, text=True, start_new_session=True
    )
    stack.callback(holder.wait)
    stack.callback(holder.kill)
    assert holder.stdout is not None
    stack.callback(holder.stdout.close)
    if holder.stdout.readline().strip() != "ready":
        raise OSError("unshare failed")
    return children(holder.pid)[0]


def _in(pid: int, script: str) -> None:
    subprocess.run(["nsenter", "-t", str(pid), "-n", "bash", "-c", script], check=True, capture_output=True)


@dataclass(frozen=True)
class RayNode:
    """A node, and what a test has started on it.

    Attributes:
        head: address of the cluster that it belongs to.
        env, fresh: as in `ray_nodes`.
        processes: what was started.
    """

    node: Node
    head: str
    env: Mapping[str, str] = field(default_factory=dict)
    fresh: bool = False
    processes: list[Command] = field(default_factory=list)

    @property
    def name(self) -> str:
        """Its host name."""
        return self.node.name

    def start(self, *command: object, lasting: bool = False) -> Command:
        """Start a command there, in a session of its own; `lasting` as in `Command`."""
        environment = {**os.environ, "COLUMNS": "150", "RAY_USAGE_STATS_ENABLED": "0", **_TOKEN, **self.env}
        environment.pop("MALLOC_ARENA_MAX", None)  # which this process may have
        process = Command([*map(str, command)], environment, _PROJECT, node=self.node.pid, fresh=self.fresh, lasting=lasting)
        self.processes.append(process)
        return process

    def acl_study(self, *arguments: object) -> Command:
        """Start the command line there."""
        return self.start(*((sys.executable, "-m", "study.cli") if self.fresh else ("acl-study",)), *arguments)

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
        started = self.start(_RAY if self.fresh else "ray", "start", *where, *options, lasting=True)
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
def ray_nodes(count: int, shared: Path, fresh: bool = False, **env: str) -> Iterator[list[RayNode]]:
    """So many machines that share a folder, without Ray so far; all that was started there ends in the end.

    Args:
        count: of machines.
        shared: folder that they share.
        fresh: let all processes import their libraries themselves, as in production.
        env: variables of all that is started there.
    """
    with nodes(count, shared) as found:
        head = f"{found[0].address}:{PORT}"
        made = [RayNode(node, head, env, fresh) for node in found]
        try:
            yield made
        finally:
            for machine in made:
                machine.kill()
                for process in machine.processes:
                    process.communicate()


def wait_until(happened: Callable[[], bool], process: Command | None = None, seconds: float = 90) -> None:
    """Wait until something has happened, while a process goes on."""
    deadline = time.monotonic() + seconds
    while not happened():
        assert time.monotonic() < deadline
        assert process is None or process.poll() is None, process.communicate()
        time.sleep(0.1)
