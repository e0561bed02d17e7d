"""A Slurm of three commands: it runs batch scripts and their job steps as real processes on the nodes of `cluster_nodes`.

Of what Slurm does it has what the scripts rely on, and refuses options that it does not know. What it does differently: steps may
leave processes behind, which Slurm would kill; the tests want to see them.
"""

import argparse
import json
import os
import signal
import socket
import socketserver
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from support.cluster_nodes import Node
from support.kills import processes_of
from support.preloaded import Command

# All commands: they send what they were asked to the stand-in, and end as it says. A node cannot start processes on another.
_CLIENT = """#!/usr/bin/python3 -S
import json, os, signal, socket, sys
os.chdir({folder!r})
there = socket.socket(socket.AF_UNIX)
there.connect("slurm.sock")  # a socket's whole path may be too long
signal.signal(signal.SIGTERM, lambda number, frame: there.sendall(b"TERM\\n"))
request = dict(command=os.path.basename(sys.argv[0]), arguments=sys.argv[1:], environment=dict(os.environ))
there.sendall(json.dumps(request).encode() + b"\\n")
reply = json.loads(there.makefile().readline())
sys.stdout.write(reply["out"])
sys.exit(reply["status"])
"""


@dataclass
class Job:
    """One start of a batch script.

    Attributes:
        output: file that everything is written to.
        requeued: whether the script asked for another start.
        steps: tasks of each srun.
        state: what Slurm says about it.
    """

    number: int
    script: Path
    output: Path
    nodes: list[Node]
    restarts: int = 0
    requeued: bool = False
    state: str = "RUNNING"
    process: Command | None = None
    steps: list[list[Command]] = field(default_factory=list)

    @property
    def text(self) -> str:
        return self.output.read_text() if self.output.exists() else ""

    def terminate(self) -> None:
        """SIGTERM to the batch script alone, as --signal=B:TERM@120 sends it."""
        assert self.process is not None
        self.process.terminate()

    def wait(self, seconds: float = 240) -> int:
        """Its exit status."""
        assert self.process is not None
        return self.process.wait(timeout=seconds)


class SlurmStandIn:
    """Runs jobs on nodes; `folder` is shared by them."""

    def __init__(self, nodes: list[Node], folder: Path) -> None:
        self.nodes = nodes
        self.folder = folder
        self.jobs: dict[int, Job] = {}
        self._started: list[Command] = []
        self._bin = folder / "bin"
        self._bin.mkdir()
        for command in ("srun", "scontrol", "scancel"):
            (self._bin / command).write_text(_CLIENT.format(folder=str(folder)))
            (self._bin / command).chmod(0o755)

    def start(self, script: Path, number: int, restarts: int = 0, **environment: str) -> Job:
        """Start a batch script on as many nodes as it asks for."""
        text = script.read_text()
        wanted = int(text.partition("#SBATCH --nodes=")[2].split()[0])
        job = Job(number, script, self.folder / f"{script.stem}-{number}.out", self.nodes[:wanted], restarts)
        self.jobs[number] = job
        given = {
            "SLURM_JOB_ID": str(number),
            "SLURM_JOB_NUM_NODES": str(wanted),
            "SLURM_JOB_NODELIST": f"node[1-{wanted}]",
            "PATH": f"{self._bin}:{os.environ['PATH']}",
            **({"SLURM_RESTART_COUNT": str(restarts)} if restarts else {}),
            **environment,
        }
        job.process = self._on(job, self.nodes[0], ["bash", str(script)], os.environ | given)
        return job

    def requeue(self, job: Job, **environment: str) -> Job:
        """The next start of a job that has ended."""
        return self.start(job.script, job.number, job.restarts + 1, **environment)

    def _on(self, job: Job, node: Node, command: list[str], environment: dict[str, str]) -> Command:
        with job.output.open("a") as output:
            process = Command(command, environment, self.folder, node=node.pid, output=output.fileno())
        self._started.append(process)
        return process

    def end(self) -> None:
        """End what a test that failed has left running."""
        for process in self._started:
            process.kill()
            process.wait()

    def answer(self, request: dict[str, Any], connection: socket.socket) -> tuple[str, int]:
        """What a command prints, and its exit status."""
        job = self.jobs[int(request["environment"]["SLURM_JOB_ID"])]
        if request["command"] == "srun":
            return "", self._srun(job, request["arguments"], request["environment"], connection)
        if request["command"] == "scancel":
            assert request["arguments"] == ["--signal=TERM", f"{job.number}.0"], request
            _signal(job.steps[0], signal.SIGTERM)
            return "", 0
        if request["arguments"] == ["show", "job", "-o", str(job.number)]:
            return f"JobId={job.number} JobName={job.script.stem} JobState={job.state} Reason=None\n", 0
        assert request["arguments"] == ["requeue", str(job.number)], request
        job.requeued = True
        return "", 0

    def _srun(self, job: Job, arguments: list[str], environment: dict[str, str], connection: socket.socket) -> int:
        parser = argparse.ArgumentParser()
        for option in ("nodes", "ntasks", "ntasks-per-node", "kill-on-bad-exit"):
            parser.add_argument(f"--{option}", type=int)
        parser.add_argument("--wait", type=float, default=float("inf"))
        parser.add_argument("command", nargs=argparse.REMAINDER)
        asked = parser.parse_args(arguments)
        assert (asked.nodes, asked.ntasks, asked.ntasks_per_node) == (len(job.nodes), len(job.nodes), 1)
        tasks = []
        for number, node in enumerate(job.nodes):
            own = {"SLURM_PROCID": str(number), "SLURM_NODEID": str(number), "SLURMD_NODENAME": node.name}
            tasks.append(self._on(job, node, asked.command, environment | own))
        job.steps.append(tasks)
        threading.Thread(target=_end_on_signal, args=(connection, tasks), daemon=True).start()
        first_end = None
        while any(task.poll() is None for task in tasks):
            if first_end is None and any(task.poll() is not None for task in tasks):
                first_end = time.monotonic()
            is_bad = asked.kill_on_bad_exit and any(task.returncode for task in tasks)
            if is_bad or (first_end is not None and time.monotonic() > first_end + asked.wait):
                _signal(tasks, signal.SIGKILL)
            time.sleep(0.05)
        return max(task.wait() % 256 for task in tasks)


def _end_on_signal(connection: socket.socket, tasks: list[Command]) -> None:
    """As srun: SIGTERM ends its tasks at once."""
    while line := connection.recv(64):
        if b"TERM" in line:
            _signal(tasks, signal.SIGKILL)


def _signal(tasks: list[Command], number: int) -> None:
    """To all processes of tasks, as Slurm does."""
    for task in tasks:
        for pid in processes_of(task.pid):
            with suppress(ProcessLookupError):
                os.kill(pid, number)


@contextmanager
def slurm(nodes: list[Node], folder: Path) -> Iterator[SlurmStandIn]:
    """A stand-in that answers srun and scontrol."""
    stand_in = SlurmStandIn(nodes, folder)

    class Handler(socketserver.StreamRequestHandler):
        def handle(self) -> None:
            out, status = stand_in.answer(json.loads(self.rfile.readline()), self.connection)
            self.wfile.write(json.dumps({"out": out, "status": status}).encode() + b"\n")

    here = Path.cwd()
    os.chdir(folder)
    try:
        server = socketserver.ThreadingUnixStreamServer("slurm.sock", Handler)
    finally:
        os.chdir(here)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield stand_in
    finally:
        stand_in.end()
        server.shutdown()
        server.server_close()
