"""Starts MLflow's server, for the commands `ui` and `server`, and ends it quietly."""

import contextlib
import ctypes
import os
import shlex
import signal
import socket
import ssl
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import typer

from study.spec import StudyError

LOOPBACK = "127.0.0.1"
# No telemetry, and none of the processes that run jobs on the server.
_QUIET = {
    "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_LOGGING_LEVEL": "ERROR",
    "PYTHONWARNINGS": "ignore",
}
_LOOK_SECONDS = 0.2
_PR_SET_PDEATHSIG = 1  # of prctl(2)
_GRACE_SECONDS = 5  # for requests that are under way when it ends


def check_port(host: str, port: int) -> None:
    """Whether the server can have the port.

    Raises:
        StudyError: it is taken, or the host is not this machine.
    """
    try:
        family, kind, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        with socket.socket(family, kind) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(address)
    except PermissionError:
        raise StudyError(f"port {port} is the system's own; choose one from 1024 on with --port") from None
    except OSError as error:
        if isinstance(error, socket.gaierror) or error.errno == 99:  # no such name, or another machine's
            raise StudyError(
                f"--host {host} is no address of this machine ({error}); e.g. {LOOPBACK}, or 0.0.0.0 for all"
            ) from None
        raise StudyError(f"port {port} is taken, perhaps by another acl-study ui or server; choose another with --port") from None


def serve(
    database: str,
    port: int,
    announce: Callable[[], None],
    *,
    host: str = LOOPBACK,
    workers: int = 1,
    options: Sequence[str] = (),
    settings: Mapping[str, str] | None = None,
    tls: tuple[Path, Path] | None = None,
) -> None:
    """Serve a database until Ctrl-C or SIGTERM.

    Args:
        database: MLflow store, told by the environment: process lists show command lines to everybody.
        port: to listen on, free.
        announce: says, once the server answers, what a user may do with it.
        host: address to listen on.
        workers: processes that answer.
        options: of `mlflow server`, more than these.
        settings: environment variables of the server.
        tls: certificate and its key, PEM files, for https.

    Raises:
        typer.Exit: the server failed.
    """
    command = [*_command(host, port, workers, tls), *options]
    stores = dict.fromkeys(("MLFLOW_BACKEND_STORE_URI", "MLFLOW_REGISTRY_STORE_URI"), database)
    environment = os.environ | _QUIET | stores | dict(settings or {})
    # In a session of its own: the server answers Ctrl-C with a traceback, SIGTERM with silence. No other thread runs here yet.
    server = subprocess.Popen(
        command,
        env=environment,
        stdout=subprocess.DEVNULL,
        start_new_session=True,
        preexec_fn=_end_with_parent,  # noqa: PLW1509
    )
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.default_int_handler)
    try:
        here = in_address({"0.0.0.0": LOOPBACK, "::": "::1"}.get(host, host))
        while server.poll() is None and not _answers(f"{'http' if tls is None else 'https'}://{here}:{port}/health"):
            time.sleep(_LOOK_SECONDS)
        if server.poll() is None:
            announce()
        raise typer.Exit(server.wait())
    except KeyboardInterrupt:
        pass
    finally:
        server.terminate()
        server.wait()


def _command(host: str, port: int, workers: int, tls: tuple[Path, Path] | None) -> list[str]:
    command = [sys.executable, "-m", "mlflow", "server", "--host", host, "--port", str(port), "--workers", str(workers)]
    web = ["--log-level", "warning", "--timeout-graceful-shutdown", str(_GRACE_SECONDS)]
    web += [] if tls is None else ["--ssl-certfile", str(tls[0]), "--ssl-keyfile", str(tls[1])]
    return [*command, "--uvicorn-opts", shlex.join(web)]


def _end_with_parent() -> None:
    """Have the kernel send this process SIGTERM when the one that started it has died, as by kill -9."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)


def in_address(host: str) -> str:
    """A host as it stands in an address.

    >>> in_address("::1"), in_address("localhost")
    ('[::1]', 'localhost')
    """
    return f"[{host}]" if ":" in host else host


def _answers(address: str) -> bool:
    unchecked = ssl._create_unverified_context()  # only whether it is up; nothing is told to it
    directly = urllib.request.ProxyHandler({}), urllib.request.HTTPSHandler(context=unchecked)
    with contextlib.suppress(OSError), urllib.request.build_opener(*directly).open(address, timeout=5):
        return True
    return False
