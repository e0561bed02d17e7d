"""The command line in processes that begin at once: forked off one that has imported the libraries, which take seconds.

Only libraries are imported beforehand, and `study.execution.ray_session`, which tells Ray things before it is imported. A process
is a session of its own, as of a shell with job control, has the variables of the test and what comes on top of them, and ends as
any other. The workers of a shared session of Ray (`shared_ray`) begin like that, too; all others begin as always.
"""

import atexit
import contextlib
import gc
import importlib
import json
import os
import runpy
import select
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

SHARED_RAY = "ACL_TESTS_RAY"  # address of a session that a launch joins
_LIBRARIES = (
    "study.execution.ray_session",  # before other parts of Ray
    "mlflow.pyfunc",
    "mlflow.store.tracking.sqlalchemy_store",
    "optuna",
    "plotly.graph_objects",
    "ray.tune",
    "scipy.integrate",
    "scipy.stats",
    "statsmodels.stats.multitest",
    "acl.torchaudio_import",
)


class Command:
    """A command line that runs, with what tests ask of a `subprocess.Popen`; its output is read all the time.

    Attributes:
        pid: of the process, and of its session.
        returncode: None while it runs; -N if signal N has ended it.
        out, err: what it and the processes that it has left have printed, after `communicate`.
    """

    def __init__(self, arguments: list[str], environment: Mapping[str, str], folder: Path) -> None:
        self.returncode: int | None = None
        self.out = self.err = ""
        pipes = [os.pipe(), os.pipe()]
        self._readers = [_Reader(reading) for reading, _ in pipes]
        self._socket = socket.socket(socket.AF_UNIX)
        self._socket.connect(_server())
        request = {"arguments": arguments, "environment": dict(environment), "folder": str(folder)}
        socket.send_fds(self._socket, [json.dumps(request).encode() + b"\n"], [writing for _, writing in pipes])
        for _, writing in pipes:
            os.close(writing)
        self._answers = self._socket.makefile()
        self.pid = int(self._answers.readline())

    def poll(self) -> int | None:
        if self.returncode is None and select.select([self._socket], [], [], 0)[0]:
            self.returncode = int(self._answers.readline())
            self._answers.close()
            self._socket.close()
        return self.returncode

    def wait(self, timeout: float = 240) -> int:
        deadline = time.monotonic() + timeout
        while self.returncode is None:
            left = deadline - time.monotonic()
            if left < 0:
                raise subprocess.TimeoutExpired(f"process {self.pid}", timeout)
            select.select([self._socket], [], [], left)
            self.poll()
        return self.returncode

    def communicate(self, timeout: float = 240) -> tuple[str, str]:
        self.wait(timeout)
        for reader in self._readers:
            reader.join(timeout)
            if reader.is_alive():
                raise subprocess.TimeoutExpired(f"what process {self.pid} has left", timeout)
        self.out, self.err = (reader.text for reader in self._readers)
        return self.out, self.err

    def send_signal(self, number: int) -> None:
        if self.poll() is None:
            os.kill(self.pid, number)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)

    def terminate(self) -> None:
        self.send_signal(signal.SIGTERM)


class _Reader(threading.Thread):
    """Reads all that comes out of a pipe."""

    def __init__(self, pipe: int) -> None:
        super().__init__(daemon=True)
        self.text = ""
        self._pipe = pipe
        self.start()

    def run(self) -> None:
        with open(self._pipe, encoding="utf-8", errors="replace") as pipe:
            self.text = pipe.read()


# By the process that has started it, of which pytest-xdist has several.
_started: dict[int, tuple["subprocess.Popen[bytes]", "tempfile.TemporaryDirectory[str]"]] = {}


def _server() -> str:
    """Address of the server of this process, which ends with it."""
    if os.getpid() not in _started:
        folder = tempfile.TemporaryDirectory(prefix="acl-preloaded-")
        command = [sys.executable, "-P", __file__, _address(folder.name)]  # tests/acl is no package acl
        server = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, start_new_session=True)
        assert server.stdout is not None
        assert server.stdout.readline() == b"ready\n"
        _started[os.getpid()] = (server, folder)
    return _address(_started[os.getpid()][1].name)


def server_address() -> str:
    """Address of this process's server, for `worker_stub`."""
    return _server()


def _address(folder: str) -> str:
    return os.path.join(folder, "socket")


def _serve(address: str) -> dict[str, Any] | None:
    """Fork a process for each request; returns the request in the processes, None in the server when its own parent is gone."""
    server = socket.socket(socket.AF_UNIX)
    server.bind(address)
    server.listen()
    woken, waker = socket.socketpair()  # when a process has ended
    waker.setblocking(False)
    signal.set_wakeup_fd(waker.fileno())
    signal.signal(signal.SIGCHLD, lambda number, frame: None)
    print("ready", flush=True)
    running: dict[int, socket.socket] = {}
    while True:
        ready, _, _ = select.select([server, woken, sys.stdin], [], [])
        if sys.stdin in ready:
            return None
        if woken in ready:
            woken.recv(4096)
            while running and (ended := os.waitpid(-1, os.WNOHANG))[0]:
                with contextlib.suppress(OSError), running.pop(ended[0]) as client:  # nobody may wait for it
                    client.sendall(f"{os.waitstatus_to_exitcode(ended[1])}\n".encode())
        if server in ready:
            client, _ = server.accept()
            message, files, _, _ = socket.recv_fds(client, 1 << 20, 2)
            pid = os.fork()
            if pid == 0:
                signal.set_wakeup_fd(-1)
                signal.signal(signal.SIGCHLD, signal.SIG_DFL)
                for each in (server, woken, waker, client, *running.values()):
                    each.close()
                _become(files)
                request: dict[str, Any] = json.loads(message)
                return request
            for file in files:
                os.close(file)
            running[pid] = client
            client.sendall(f"{pid}\n".encode())


def joining(init: Callable[..., Any], address: str) -> Callable[..., Any]:
    """`ray.init` that joins a running session where a launch would start one of its own."""

    def join(**options: Any) -> Any:
        if options.get("address") == "local":
            # Ray does so for a session that it starts or finds by itself.
            sys.modules["ray._private.authentication.authentication_token_setup"].enable_token_auth_by_default()
            options = {name: value for name, value in options.items() if name != "include_dashboard"} | {"address": address}
        return init(**options)

    return join


def _become(files: list[int]) -> None:
    """A session of its own that writes to two files."""
    os.setsid()
    nothing = os.open(os.devnull, os.O_RDONLY)
    for old, new in ((nothing, 0), *zip(files, (1, 2), strict=True)):
        os.dup2(old, new)
        os.close(old)
    sys.stdin = open(0, closefd=False)  # noqa: SIM115
    sys.stdout = open(1, "w", closefd=False)  # noqa: SIM115
    sys.stderr = open(2, "w", buffering=1, errors="backslashreplace", closefd=False)  # noqa: SIM115


def _main(address: str) -> None:
    before = set(os.environ)
    for library in _LIBRARIES:
        importlib.import_module(library)
    ray = sys.modules["ray"]
    for own in [name for name in sys.modules if name.partition(".")[0] in ("acl", "study")]:
        del sys.modules[own]  # a request may be about other sources
    said_to_ray = {name: value for name, value in os.environ.items() if name not in before}
    gc.freeze()  # its marks are written beside the objects, whose memory would be copied
    request = _serve(address)
    if request is not None:
        os.environ.clear()
        os.environ.update(said_to_ray | request["environment"])
        os.chdir(request["folder"])
        sys.path[:0] = filter(None, os.environ.get("PYTHONPATH", "").split(os.pathsep))
        ray._raylet.Config.initialize("")  # it has read the variables when it was imported,
        ray._raylet.AuthenticationTokenLoader.instance().reset_cache()  # and found no token, so that it would write another one
        if address := os.environ.pop(SHARED_RAY, ""):
            ray.init = joining(ray.init, address)
        if request.get("is_worker"):
            sys.argv = request["arguments"]
            sys.path.insert(0, os.path.dirname(sys.argv[0]))
            runpy.run_path(sys.argv[0], run_name="__main__")
            _end(0)
        sys.argv = ["acl-study", *request["arguments"]]
        from study.cli.app import main

        try:
            main()
        except SystemExit as end:  # which is all that it raises
            _end(end.code)


def _end(status: Any) -> None:
    """As Python does, but for taking apart what was imported, whose memory is the server's and would be copied for it."""
    threading._shutdown()  # type: ignore[attr-defined]
    atexit._run_exitfuncs()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(status if isinstance(status, int) else int(status is not None))


if __name__ == "__main__":
    _main(sys.argv[1])
