"""The MLflow store behind two errors: what it will never take, and what it may take later."""

import getpass
import logging
import os
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import wraps
from pathlib import Path
from typing import ParamSpec, TypeVar

from acl.system.text import first_line

os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
os.environ.setdefault("GIT_PYTHON_REFRESH", "quiet")
os.environ.setdefault("MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT", "true")  # two lines for every run that ends on a server
# A server that is gone is asked again by study.tracking.mirror, which says so meanwhile and does not write twice what was written
# although the answer is lost; MLflow itself would be silent for minutes, and repeat the request as it is.
os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
os.environ.setdefault("MLFLOW_HTTP_REQUEST_TIMEOUT", "30")

import mlflow
import sqlalchemy as sa
from mlflow.entities import Run
from mlflow.exceptions import MlflowException
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.pool import NullPool

from acl.system.locks import ANY_PATIENCE, take_lock
from study import names
from study.errors import NoAccessError, RecordError, StoreUnavailableError
from study.state.home import sqlite_path

for _noisy in ("alembic", "mlflow.store.db.utils", "mlflow.tracking.fluent"):
    logging.getLogger(_noisy).setLevel(logging.CRITICAL)  # what fails is said in a line of ours

_KEY = 2211054420260  # of PostgreSQL's advisory lock: a number that nobody else has
SERVERS = ("http://", "https://")
_EXPERIMENT_KIND = "mlflow.experimentKind"  # without it MLflow's page opens on its views of language models
_PAGE = 1000
_OWN = "acl_study."  # how names of the project's tags begin
# What MLflow answers when the request itself is wrong; anything else may be different in a moment.
_REFUSALS = ("INVALID_PARAMETER_VALUE", "RESOURCE_DOES_NOT_EXIST", "RESOURCE_ALREADY_EXISTS", "BAD_REQUEST", "INVALID_STATE")

# A server's answers to those whom it does not know (401), and to those who may not (403).
_UNKNOWN, _FORBIDDEN = ("UNAUTHENTICATED", "CUSTOMER_UNAUTHORIZED"), ("PERMISSION_DENIED",)

_DATABASE_REFUSALS = ("password authentication failed", "no password supplied")  # PostgreSQL's
_OTHER_VERSION = "another version of MLflow has written the database: install that version, or name another store"
_DATABASE_REASONS = {  # by what SQLite, SQLAlchemy and MLflow say
    "database is locked": "the database is locked by another process",
    "disk is full": "the disk of the database is full",
    "readonly database": "the database is read-only: make the file and its folder writable",
    "unable to open database file": "the database file is gone, or you may not open it",
    "disk I/O error": "the disk of the database fails or is gone",
    "disk image is malformed": "the database file is damaged",
    "file is not a database": "the file is damaged, or no database",
    "no such table": "the database lacks its tables",
    "Can't locate revision": _OTHER_VERSION,
    "out-of-date database schema": _OTHER_VERSION,
}
_SQLALCHEMY = "(Background on this error at: https://sqlalche.me/"  # in its texts, which a tracking server passes on

_Arguments = ParamSpec("_Arguments")
_Result = TypeVar("_Result")


def translate_mlflow_errors(call: Callable[_Arguments, _Result]) -> Callable[_Arguments, _Result]:
    """Turn what MLflow, and the databases and file systems behind it, raise into the errors of records in `study.errors`."""

    @wraps(call)
    def calling(*args: _Arguments.args, **kwargs: _Arguments.kwargs) -> _Result:
        try:
            return call(*args, **kwargs)
        except MlflowException as error:
            said = reason_of_database(str(error)) or first_line(error, "no message")
            if (refusal := _refused_access(error)) is not None:
                raise NoAccessError(refusal) from error
            if error.error_code in _REFUSALS and not _is_of_the_database(error):
                raise RecordError(said) from error
            raise StoreUnavailableError(said[:200]) from error
        except (OSError, SQLAlchemyError) as error:
            said = reason_of_database(str(error)) or first_line(error)[:200]
            if any(sign in said for sign in _DATABASE_REFUSALS):
                raise NoAccessError(f"{said}; set PGPASSWORD, or write the password into ~/.pgpass") from error
            raise StoreUnavailableError(said) from error

    return calling


def reason_of_database(text: str) -> str | None:
    """Why a database does not do what it is asked, in plain words; None where its text is none of those that are known.

    >>> reason_of_database("(raised as a result of Query-invoked autoflush) (sqlite3.OperationalError) database is locked")
    'the database is locked by another process'
    """
    return next((reason for sign, reason in _DATABASE_REASONS.items() if sign in text), None)


def _refused_access(error: MlflowException) -> str | None:
    """Why a server has no ear for this user, and what to do; None if it is something else."""
    text = str(error)
    if "SSLError(" in text or "TLS CA certificate" in text:
        reason = "its certificate is not trusted" if "CERTIFICATE_VERIFY_FAILED" in text else "no TLS connection comes about"
        return (
            f"{reason}; name a file with its certificate, or its issuer's, in MLFLOW_TRACKING_SERVER_CERT_PATH, and check the host"
        )
    if "Invalid Host header" in text:
        return "the server does not know itself by this name; start it with --name, or use the address that it prints"
    if error.error_code in _UNKNOWN:
        return "it asks for another user or password; set MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD"
    if error.error_code in _FORBIDDEN:
        return "this user may not do that; ask who runs the server, or set another MLFLOW_TRACKING_USERNAME and its password"
    return None


def _is_of_the_database(error: MlflowException) -> bool:
    """Whether a database failed, e.g. one that is damaged: MLflow calls most of that a bad request, with SQLAlchemy's text."""
    return isinstance(error.__cause__, SQLAlchemyError) or _SQLALCHEMY in str(error)


def experiment_of(client: mlflow.MlflowClient, store_uri: str, artifacts: Path | None = None) -> str:
    """The project's experiment, made where it is absent.

    In a SQLite store the artifacts lie beside the database, in another database's where `artifacts` says, and a tracking server has
    its own place for them.
    """
    experiment = client.get_experiment_by_name(names.EXPERIMENT)
    if experiment is not None:
        return str(experiment.experiment_id)
    if (file := sqlite_path(store_uri)) is not None:
        artifacts = file.resolve().parent / "artifacts"
    elif store_uri.startswith(SERVERS):
        artifacts = None
    tags = {_EXPERIMENT_KIND: "custom_model_development"}
    location = None if artifacts is None else artifacts.as_uri()
    try:
        return str(client.create_experiment(names.EXPERIMENT, artifact_location=location, tags=tags))
    except MlflowException as error:
        made = client.get_experiment_by_name(names.EXPERIMENT)
        if error.error_code != "RESOURCE_ALREADY_EXISTS" or made is None:
            raise
        return str(made.experiment_id)  # by another process, a moment ago


@translate_mlflow_errors
def begin_store(store_uri: str, artifacts: Path) -> None:
    """Have the store ready for a first record; `artifacts` is for those of a database that is not SQLite."""
    with schema_lock(store_uri):
        experiment_of(mlflow.MlflowClient(store_uri), store_uri, artifacts)


@translate_mlflow_errors
def artifacts_of(store_uri: str) -> str | None:
    """Where the experiment keeps its artifacts; None where there is no experiment yet. A new database gets its tables."""
    with schema_lock(store_uri):
        experiment = mlflow.MlflowClient(store_uri).get_experiment_by_name(names.EXPERIMENT)
    return None if experiment is None else str(experiment.artifact_location)


@translate_mlflow_errors
def study_of_others(store_uri: str, study: str, key: str = "") -> str | None:
    """Whose study of this name the store has already, under another record's key, and since when; None if there is none."""
    client = mlflow.MlflowClient(store_uri)
    condition = f"tags.`{names.KIND}` = '{names.KIND_STUDY}' and tags.`{names.STUDY}` = '{study}'"
    for run in client.search_runs([experiment_of(client, store_uri)], condition):
        if run.data.tags.get(names.RECORD) != key:
            since = time.strftime("%Y-%m-%d", time.gmtime(run.info.start_time / 1000))
            return f"{run.data.tags.get('mlflow.user', 'unknown')}, since {since}, run {run.info.run_id}"
    return None


@translate_mlflow_errors
def tags_of_record(store_uri: str, key: str) -> dict[str, str]:
    """What a study's run says of the study, but for what is true in that store only; nothing where there is no such run."""
    client = mlflow.MlflowClient(store_uri)
    found = client.search_runs([experiment_of(client, store_uri)], f"tags.`{names.RECORD}` = '{key}'")
    return {
        name: value for run in found for name, value in run.data.tags.items() if name.startswith(_OWN) and name != names.WINNERS
    }


def runs_of_study(client: mlflow.MlflowClient, experiment: str, study_run: str, *conditions: str) -> list[Run]:
    """All runs that belong to a study's run, whoever their parent is; with conditions, those that meet them."""
    condition = " and ".join([f"tags.`{names.STUDY_RUN}` = '{study_run}'", *conditions])
    page = client.search_runs([experiment], condition, max_results=_PAGE)
    found = list(page)
    while page.token:
        page = client.search_runs([experiment], condition, max_results=_PAGE, page_token=page.token)
        found += page
    return found


def milliseconds(at: float | None) -> int:
    """MLflow's time of `at`, Unix seconds; None is now."""
    return round((time.time() if at is None else at) * 1000)


def user() -> str:
    """Who is shown as the author of a run: the name under which this process was logged in, else that of its account."""
    try:
        return getpass.getuser()
    except (OSError, KeyError):  # an account without a name, as in some containers
        return "unknown"


@contextmanager
def schema_lock(store_uri: str) -> Iterator[None]:
    """Hold the store while its tables may be made, against all who ask with this function; a tracking server needs no such care.

    Raises:
        OSError, SQLAlchemyError: the database cannot be reached.
    """
    if (file := sqlite_path(store_uri)) is not None:
        path = file.with_name(f"{file.name}.lock")
        path.parent.mkdir(parents=True, exist_ok=True)

        def say(reason: str) -> None:
            print(f"{path.parent} is on a file system without locks ({reason}): begin one study there at a time", file=sys.stderr)

        with take_lock(path, ANY_PATIENCE, on_no_locks=say):
            yield
    elif store_uri.startswith("postgresql"):
        engine = sa.create_engine(store_uri, poolclass=NullPool, isolation_level="AUTOCOMMIT")
        with engine.connect() as connection:  # its end gives the lock back, whatever happens
            connection.execute(sa.text("SELECT pg_advisory_lock(:key)"), {"key": _KEY})
            yield
    else:
        yield
