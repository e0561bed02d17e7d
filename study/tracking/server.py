"""A tracking server for several machines, and MLflow's own server process."""

import contextlib
import ctypes
import importlib.util
import ipaddress
import os
import secrets
import shlex
import signal
import socket
import ssl
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import typer

from study.errors import StudyError
from study.state.home import Home, sqlite_uri
from study.tracking.uri import check_no_password, check_store

ADMIN = "admin"
LOOPBACK = "127.0.0.1"
PASSWORD_VARIABLE = "MLFLOW_AUTH_ADMIN_PASSWORD"
_SHORTEST_PASSWORD = 12  # MLflow's rule
# Who is let in may write to the one experiment that all studies share; MLflow's own default is that they only read it. Each look at
# a password takes a tenth of a second, so it is remembered for half a minute.
_AUTHENTICATION = """[mlflow]
default_permission = EDIT
database_uri = {database}
admin_username = {admin}
authorization_function = mlflow.server.auth:authenticate_request_basic_auth
auth_cache_ttl_seconds = 30
"""


@dataclass(frozen=True)
class ServerOptions:
    """What a user asks for.

    Attributes:
        database: SQLAlchemy address of the records; None is a SQLite file in the home folder.
        artifacts: folder or object store for the files of runs; None is a folder in the home folder.
        host: address to listen on.
        port: to listen on.
        auth: whether clients need a user and a password; None if nobody said.
        names: under which clients know this machine, beside its own.
        certificate: of TLS, PEM.
        key: of the certificate, PEM.
        workers: processes that answer.
    """

    database: str | None
    artifacts: str | None
    host: str
    port: int
    auth: bool | None
    names: Sequence[str]
    certificate: Path | None
    key: Path | None
    workers: int


def run_server(options: ServerOptions, home: Home) -> None:
    """Serve until Ctrl-C.

    Raises:
        StudyError: the options are wrong or unsafe, the database does not answer, or the port is taken.
        typer.Exit: the server failed.
    """
    _check(options)
    check_port(options.host, options.port)
    home.server.mkdir(parents=True, exist_ok=True, mode=0o700)
    database = options.database or sqlite_uri(home.server / "mlflow.db")
    _check_artifacts(database)
    settings, note = authentication(home) if options.auth else ({}, "")
    scheme = "http" if options.certificate is None else "https"
    names = known_names(options)
    known = [*names, *(f"{name.replace('[', '[[]')}:*" for name in names)]  # patterns; at any port, of a tunnel, say
    arguments = ["--artifacts-destination", options.artifacts or str(home.server / "artifacts"), "--allowed-hosts", ",".join(known)]
    arguments += ["--cors-allowed-origins", ",".join(f"{scheme}://{name}" for name in known)]  # of MLflow's page in a browser
    arguments += ["--app-name", "basic-auth"] if options.auth else []
    address = f"{scheme}://{names[0]}:{options.port}"

    def announce() -> None:
        print(f"MLflow server: {address}  (Ctrl-C ends it)")
        print(f"`run` and `sync` record there with --store {address}")
        print(note, end="", flush=True)

    listener = Listener(options.port, options.host, options.workers, options.certificate, options.key)
    serve(database, listener, announce, arguments, settings)


def _check(options: ServerOptions) -> None:
    if options.auth is None and not _is_loopback(options.host):
        raise StudyError(
            f"--host {options.host}: whoever reaches it could read, change and delete all records; add --auth, or --no-auth if "
            "all of them may"
        )
    if (options.certificate is None) != (options.key is None):
        raise StudyError("--certificate and --key belong together; name both files, in PEM")
    for file in (options.certificate, options.key):
        if file is not None and not file.is_file():
            raise StudyError(f"{file} is no file; name the certificate and its key, in PEM")
    if options.auth and importlib.util.find_spec("flask_wtf") is None:
        raise StudyError("--auth needs the package Flask-WTF; pip install 'acl-study[server]'")
    if options.auth and 0 < len(os.environ.get(PASSWORD_VARIABLE, "")) < _SHORTEST_PASSWORD:
        raise StudyError(f"{PASSWORD_VARIABLE} is too short; MLflow takes {_SHORTEST_PASSWORD} characters or more")
    if (options.artifacts or "").startswith("s3:") and importlib.util.find_spec("boto3") is None:
        raise StudyError(f"--artifacts {options.artifacts} needs the package boto3; pip install boto3")
    for address in (options.database, options.artifacts):
        if address is not None:
            check_no_password(address)
    if options.database is not None and urlsplit(options.database).scheme in ("", "http", "https"):
        raise StudyError(
            f"--database {options.database} is no database; e.g. sqlite:////data/mlflow.db or postgresql://user@host/name"
        )


def _check_artifacts(database: str) -> None:
    """The experiment of a database that studies wrote to directly names a folder, which clients elsewhere do not see."""
    from study.tracking.store import artifacts_of

    check_store(database)
    where = artifacts_of(database)
    if where is not None and not where.startswith("mlflow-artifacts:"):
        raise StudyError(
            f"the records in {database} keep their files in {where}, where a server's clients cannot write; serve another "
            "--database and push the studies there with `sync`, or browse them with `ui`"
        )


def authentication(home: Home) -> tuple[dict[str, str], str]:
    """Settings of basic authentication, with the first start's password of the administrator; and what to tell the user."""
    users = home.server / "users.db"
    configuration = home.server / "auth.ini"
    database = sqlite_uri(users)
    configuration.write_text(_AUTHENTICATION.format(database=database, admin=ADMIN), encoding="utf-8")
    settings = {"MLFLOW_AUTH_CONFIG_PATH": str(configuration), "MLFLOW_FLASK_SERVER_SECRET_KEY": secrets.token_hex(32)}
    kept = home.server / "admin-password"
    if os.environ.get(PASSWORD_VARIABLE):
        where = f"the one in {PASSWORD_VARIABLE}" + (" at the first start" if users.exists() else "")
    elif users.exists() and not kept.exists():
        where = f"the one in {PASSWORD_VARIABLE} at the first start"
    else:
        if not kept.exists():
            with open(os.open(kept, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as file:
                file.write(secrets.token_urlsafe(24) + "\n")
        settings[PASSWORD_VARIABLE] = kept.read_text(encoding="utf-8").strip()
        where = f"in {kept}"
    note = (
        f"clients set MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD; user: {ADMIN}, password: {where}; /signup adds users\n"
    )
    return settings, note


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def known_names(options: ServerOptions) -> list[str]:
    """Under which clients may ask for this server; the first is the one to tell them."""
    own = [*options.names]
    if options.host in ("0.0.0.0", "::"):
        own += [socket.getfqdn(), socket.gethostname(), *_addresses()]
    else:
        own.append(in_address(options.host))
    return list(dict.fromkeys([*own, "localhost", LOOPBACK]))


def _addresses() -> list[str]:
    """IPv4 addresses of this machine by its name."""
    try:
        found = socket.getaddrinfo(socket.gethostname(), None, socket.AF_INET)
    except OSError:
        return []
    return [str(address[0]) for *_, address in found]


# No telemetry, and none of the processes that run jobs on the server.
_QUIET = {
    "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_LOGGING_LEVEL": "ERROR",
    "PYTHONWARNINGS": "ignore",
    "PYTHONSAFEPATH": "1",  # what lies in the working directory is no part of the server
}
_LOOK_SECONDS = 0.2
_START_SECONDS = 120
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


@dataclass(frozen=True)
class Listener:
    """Where MLflow's server listens.

    Attributes:
        port: free.
        host: address of this machine.
        workers: processes that answer.
        certificate, key: PEM files, for https.
    """

    port: int
    host: str = LOOPBACK
    workers: int = 1
    certificate: Path | None = None
    key: Path | None = None

    @property
    def health(self) -> str:
        """Address that answers as soon as the server does."""
        here = in_address({"0.0.0.0": LOOPBACK, "::": "::1"}.get(self.host, self.host))
        return f"{'http' if self.certificate is None else 'https'}://{here}:{self.port}/health"


def serve(
    database: str,
    listener: Listener,
    announce: Callable[[], None],
    options: Sequence[str] = (),
    settings: Mapping[str, str] | None = None,
) -> None:
    """Serve a database until Ctrl-C or SIGTERM.

    Args:
        database: MLflow store, told by the environment: process lists show command lines to everybody.
        listener: where to listen.
        announce: says, once the server answers, what a user may do with it.
        options: of `mlflow server`, more than these.
        settings: environment variables of the server.

    Raises:
        typer.Exit: the server failed.
        StudyError: it has not answered in time.
    """
    command = [*_command(listener), *options]
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
        deadline = time.monotonic() + _START_SECONDS
        while server.poll() is None and not _answers(listener.health):
            if time.monotonic() > deadline:
                raise StudyError(
                    f"the MLflow server has not answered at {listener.health} within {_START_SECONDS} s; try again when the "
                    "machine is less busy, or check the database with: acl-study doctor"
                )
            time.sleep(_LOOK_SECONDS)
        if server.poll() is None:
            announce()
        raise typer.Exit(server.wait())
    except KeyboardInterrupt:
        pass
    finally:
        server.terminate()
        server.wait()


def _command(listener: Listener) -> list[str]:
    where = ["--host", listener.host, "--port", str(listener.port), "--workers", str(listener.workers)]
    command = [sys.executable, "-m", "mlflow", "server", *where]
    web = ["--log-level", "warning", "--timeout-graceful-shutdown", str(_GRACE_SECONDS)]
    if listener.certificate is not None:
        web += ["--ssl-certfile", str(listener.certificate), "--ssl-keyfile", str(listener.key)]
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
