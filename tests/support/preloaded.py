"""Processes that begin at once: forked off one that has imported the libraries, which take seconds.

Only libraries are imported beforehand, and `study.execution.ray_session`, which tells Ray things before it is imported. A command
begins a session of its own, as in a shell with job control, has the variables that it is given, and ends as any other.

Beside the command, and in its session, a fork server of its own begins, unless `fresh` processes are asked for. It forks Ray's
workers and the other processes of Python that the command starts through others, in whose place `forks/sitecustomize.py` stands in.
They belong to the command's session, namespaces and control group. All other programs are executed as ever.
"""

import atexit
import contextlib
import ctypes
import gc
import importlib
import json
import os
import platform
import runpy
import select
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import traceback
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

SHARED_RAY = "ACL_TESTS_RAY"  # address of a session that a launch joins
FORK_SERVER = "ACL_TESTS_FORK_SERVER"  # variable with the name of a command's fork server, as in forks/sitecustomize.py
_FORKS = os.path.join(os.path.dirname(os.path.abspath(__file__)), "forks")
_LIBC = ctypes.CDLL(None, use_errno=True)
_PR_SET_PDEATHSIG = 1
# Variables that a worker's Ray reads once, when its library is loaded, and what they are until a worker is forked.
_MARKS = {"RAY_JOB_ID": "acl-tests-job", "RAY_RAYLET_PID": "acl-tests-pid"}
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
    """A command that runs, with what tests ask of a `subprocess.Popen`; its output is read all the time.

    Args:
        program: its words; "acl-study", "ray", "python" with -c or -m, and scripts of Python are forked, all else is executed.
        environment: all its variables.
        folder: to run it in.
        fresh: let all processes that it starts import their libraries themselves.
        node: process in whose namespaces it is to run.
        lasting: go on forking processes when the command has ended.
        output: file for all that it prints.

    Attributes:
        pid: of the process, and of its session.
        returncode: None while it runs; -N if signal N has ended it.
        out, err: what it and the processes that it has left have printed, after `communicate`.
    """

    def __init__(
        self,
        program: Sequence[str],
        environment: Mapping[str, str],
        folder: Path,
        *,
        fresh: bool = False,
        node: int | None = None,
        lasting: bool = False,
        output: int | None = None,
    ) -> None:
        self.returncode: int | None = None
        self.out = self.err = ""
        pipes = [os.pipe(), os.pipe()] if output is None else []
        writing = [end for _, end in pipes]
        self._readers = [_Reader(end) for end, _ in pipes]
        self._socket = socket.socket(socket.AF_UNIX)
        self._socket.connect(_server())
        request = {"program": program, "environment": dict(environment), "folder": str(folder), "node": node, "lasting": lasting}
        message = json.dumps({**request, "begins_session": True, "fresh": fresh}).encode()
        with open(os.devnull, "rb") as nothing:
            files = [nothing.fileno(), *(writing or [output, output])]
            socket.send_fds(self._socket, [message + b"\n"], files)  # type: ignore[list-item]
        for end in writing:
            os.close(end)
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
                said = "".join(reader.text for reader in self._readers)
                raise subprocess.TimeoutExpired(f"process {self.pid}, which has said {said!r}", timeout)
            select.select([self._socket], [], [], left)
            self.poll()
        return self.returncode

    def communicate(self, timeout: float = 240) -> tuple[str, str]:
        self.wait(timeout)
        for reader in self._readers:
            reader.join(timeout)
            if reader.is_alive():
                raise subprocess.TimeoutExpired(f"what process {self.pid} has left", timeout)
        self.out, self.err = (reader.text for reader in self._readers) if self._readers else ("", "")
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
            for line in pipe:
                self.text += line


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


def _address(folder: str) -> str:
    return os.path.join(folder, "socket")


def _serve(server: socket.socket, parent: int | None) -> dict[str, Any] | None:
    """Fork a process for each request.

    Args:
        server: socket that listens.
        parent: file whose end means that nobody needs the server any longer.

    Returns:
        The request in the forked processes, None in the server when `parent` has ended.
    """
    woken, waker = socket.socketpair()  # when a process has ended
    waker.setblocking(False)
    signal.set_wakeup_fd(waker.fileno())
    signal.signal(signal.SIGCHLD, lambda number, frame: None)
    running: dict[int, socket.socket | None] = {}
    stand_ins: dict[socket.socket, int] = {}
    while True:
        ready, _, _ = select.select([server, woken, *stand_ins, *([] if parent is None else [parent])], [], [])
        if parent in ready:
            return None
        for client in stand_ins.keys() & set(ready):
            signals = client.recv(4096).split()
            for number in signals or [signal.SIGKILL]:  # who has been killed says nothing
                os.kill(stand_ins[client], int(number))
            if not signals:
                del stand_ins[client]
        if woken in ready:
            woken.recv(4096)
            while running and (ended := os.waitpid(-1, os.WNOHANG))[0]:
                client = running.pop(ended[0])
                if client is not None:
                    stand_ins.pop(client, None)
                    _answer(client, os.waitstatus_to_exitcode(ended[1]))
        if server in ready:
            client, _ = server.accept()
            message, files, _, _ = socket.recv_fds(client, 1 << 20, 3)
            request: dict[str, Any] = json.loads(message)
            pid = os.fork()
            if pid == 0:
                signal.set_wakeup_fd(-1)
                signal.signal(signal.SIGCHLD, signal.SIG_DFL)
                for each in (server, woken, waker, *filter(None, running.values())):
                    each.close()
                return _begin(request, files, client)
            for file in files:
                os.close(file)
            if request.get("node"):
                running[pid] = None  # a process in between, which answers itself
                client.close()
                continue
            running[pid] = client
            if not request.get("begins_session"):
                stand_ins[client] = pid
            client.sendall(b"%d\n" % pid)


def _answer(client: socket.socket, status: int) -> None:
    with contextlib.suppress(OSError), client:  # nobody may wait for it
        client.sendall(b"%d\n" % status)


def _begin(request: dict[str, Any], files: list[int], client: socket.socket) -> dict[str, Any] | None:
    """Become the process that a request is about, with the three files; returns the request, or another in a server's processes."""
    if request.get("node"):
        _enter(request["node"], client)
    client.close()
    if not request.get("begins_session"):
        signal.signal(signal.SIGINT, signal.default_int_handler)
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        signal.pthread_sigmask(signal.SIG_SETMASK, request["blocked"])
        os.setpriority(os.PRIO_PROCESS, 0, request["nice"])
        _open(files)
        return request
    os.setsid()
    if not request["fresh"]:
        command = os.getpid()
        name, server = f"acl-tests-{os.urandom(8).hex()}-{command}", socket.socket(socket.AF_UNIX)
        server.bind(f"\0{name}")
        server.listen()
        if os.fork() == 0:
            for number in (signal.SIGINT, signal.SIGTERM):  # which may be sent to the whole session
                signal.signal(number, signal.SIG_IGN)
            for file in files:
                os.close(file)
            nothing = os.open(os.devnull, os.O_RDWR)
            _open([nothing, nothing, nothing])
            if not request["lasting"]:
                _LIBC.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
                if os.getppid() != command:
                    os._exit(0)
            return _serve(server, None)
        server.close()
        path = request["environment"].get("PYTHONPATH")
        request["environment"] |= {FORK_SERVER: name, "PYTHONPATH": os.pathsep.join(filter(None, (path, _FORKS)))}
    _open(files)
    return request


def _enter(node: int, client: socket.socket) -> None:
    """Go on, as another process, in the namespaces of a process; this one tells the client how that ends."""
    namespaces = [os.open(f"/proc/{node}/ns/{kind}", os.O_RDONLY) for kind in ("net", "uts", "pid", "mnt")]
    for namespace in namespaces:
        if _LIBC.setns(namespace, 0):
            raise OSError(ctypes.get_errno(), "setns")
        os.close(namespace)
    if pid := os.fork():
        client.sendall(b"%d\n" % pid)
        _answer(client, os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
        os._exit(0)


def joining(init: Callable[..., Any], address: str) -> Callable[..., Any]:
    """`ray.init` that joins a running session where a launch would start one of its own."""

    def join(**options: Any) -> Any:
        if options.get("address") == "local":
            # Ray does so for a session that it starts or finds by itself.
            sys.modules["ray._private.authentication.authentication_token_setup"].enable_token_auth_by_default()
            options = {name: value for name, value in options.items() if name != "include_dashboard"} | {"address": address}
        return init(**options)

    return join


def _open(files: list[int]) -> None:
    """Have three files as standard input, output and error."""
    for number, file in enumerate(files):
        os.dup2(file, number)
    for file in set(files):
        os.close(file)
    sys.stdin = open(0, closefd=False)  # noqa: SIM115
    sys.stdout = open(1, "w", closefd=False)  # noqa: SIM115
    sys.stderr = open(2, "w", buffering=1, errors="backslashreplace", closefd=False)  # noqa: SIM115


def _main(address: str) -> None:
    before = set(os.environ)
    os.environ.update(_MARKS)
    for library in _LIBRARIES:
        importlib.import_module(library)
    ray = sys.modules["ray"]
    for own in [name for name in sys.modules if name.partition(".")[0] in ("acl", "acl_study", "study")]:
        del sys.modules[own]  # a request may be about other sources
    sys.meta_path[:] = [finder for finder in sys.meta_path if type(finder).__module__ != "acl_study"]
    said_to_ray = {name: value for name, value in os.environ.items() if name not in before and name not in _MARKS}
    places = _places_of(_MARKS)
    gc.freeze()  # its marks are written beside the objects, whose memory would be copied
    server = socket.socket(socket.AF_UNIX)
    server.bind(address)
    server.listen()
    print("ready", flush=True)
    request = _serve(server, 0)
    if request is None:
        return
    program, environment = request["program"], request["environment"]
    os.environ.clear()
    os.environ.update(environment)
    os.chdir(request["folder"])
    if program[0] not in ("acl-study", "python", "ray") and not program[0].endswith(".py"):
        for number in (signal.SIGPIPE, signal.SIGXFSZ):  # which Python ignores
            signal.signal(number, signal.SIG_DFL)
        os.execvp(program[0], program)
    sys.path[:0] = filter(None, os.environ.get("PYTHONPATH", "").split(os.pathsep))
    sys.argv = program if program[0] != "python" else [program[1], *program[3:]]
    if program[0] == "acl-study":
        os.environ.update(said_to_ray | environment)
    platform._uname_cache = None  # type: ignore[attr-defined]  # a node has another name
    for name, place in places.items():
        _write_text(place, environment.get(name, ""))
    ray._raylet.Config.initialize("")  # it has read the variables when it was imported,
    ray._raylet.AuthenticationTokenLoader.instance().reset_cache()  # and found no token, so that it would write another one
    if address := os.environ.pop(SHARED_RAY, ""):
        ray.init = joining(ray.init, address)
    try:
        if program[0] == "acl-study":
            importlib.import_module("acl_study").main()
        elif program[0] == "ray":
            importlib.import_module("ray.scripts.scripts").main()
        elif program[:2] == ["python", "-c"]:
            sys.path.insert(0, "")
            exec(compile(program[2], "<string>", "exec"), {"__name__": "__main__"})
        elif program[:2] == ["python", "-m"]:
            runpy.run_module(program[2], run_name="__main__", alter_sys=True)
        else:
            sys.path.insert(0, os.path.dirname(program[0]))
            runpy.run_path(program[0], run_name="__main__")
    except SystemExit as end:
        _end(end.code)
    except BaseException:
        traceback.print_exc()
        _end(1)
    _end(0)


def _places_of(marks: Mapping[str, str]) -> dict[str, int]:
    """Addresses of the texts of those std::string in the memory of Ray's library that are equal to the marks.

    Its strings are pointers to texts, before which stand their length, the room for them and a count, each of eight bytes.
    """
    own: list[tuple[int, int]] = []
    heap = range(0)
    mine = False
    for line in Path("/proc/self/maps").read_text().splitlines():
        bounds, rights, _, _, _, *path = line.split(maxsplit=5)
        begin, end = (int(bound, 16) for bound in bounds.split("-"))
        mine = path[0].endswith("/_raylet.so") if path else mine  # its variables without a value lie behind it
        if mine and rights.startswith("rw"):
            own.append((begin, end))
        if path == ["[heap]"]:
            heap = range(begin, end)
    found: dict[str, int] = {}
    for begin, end in own:
        for value in memoryview(ctypes.string_at(begin, end - begin)).cast("Q"):
            if value in heap:
                for name, mark in marks.items():
                    if ctypes.string_at(value, len(mark) + 1) == mark.encode() + b"\0":
                        found[name] = value
    assert found.keys() == marks.keys(), "Ray keeps its variables in another way"
    return found


def _write_text(place: int, text: str) -> None:
    """Set a std::string, which has room for a mark."""
    content = text.encode()
    assert len(content) <= int.from_bytes(ctypes.string_at(place - 16, 8), "little"), text
    ctypes.memmove(place - 24, len(content).to_bytes(8, "little"), 8)
    ctypes.memmove(place, content + b"\0", len(content) + 1)


def _end(status: Any) -> None:
    """As Python does, but for taking apart what was imported, whose memory is the server's and would be copied for it."""
    if isinstance(status, str):
        print(status, file=sys.stderr)
    threading._shutdown()  # type: ignore[attr-defined]
    atexit._run_exitfuncs()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(status if isinstance(status, int) else int(status is not None))


if __name__ == "__main__":
    _main(sys.argv[1])
