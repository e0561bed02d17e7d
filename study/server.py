"""A tracking server for several machines: what `acl-study server` starts, and for whom."""

import importlib.util
import ipaddress
import os
import secrets
import socket
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from urllib.parse import urlsplit

from study.home import Home
from study.serving import LOOPBACK, check_port, in_address, serve
from study.spec import StudyError
from study.stores import check_no_password, check_store

ADMIN = "admin"
PASSWORD_VARIABLE = "MLFLOW_AUTH_ADMIN_PASSWORD"
_SHORTEST_PASSWORD = 12  # MLflow's rule
_SQLITE = "sqlite:///"
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
    database = options.database or f"{_SQLITE}{home.server / 'mlflow.db'}"
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

    tls = None if options.certificate is None or options.key is None else (options.certificate, options.key)
    served = partial(serve, database, options.port, announce, host=options.host, workers=options.workers)
    served(options=arguments, settings=settings, tls=tls)


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
    from study.mlflow_store import artifacts_of

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
    database = f"{_SQLITE}{users}".replace("%", "%%")  # configparser's own sign
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
