"""The MLflow store that a command means, and whether it may be used: asked before anything runs."""

import socket
from collections.abc import Sequence
from urllib.parse import parse_qsl, urlsplit

from study.errors import NoAccessError, RecordError, StoreUnavailableError, StudyError
from study.state.home import Home, invocation, sqlite_path, sqlite_uri
from study.state.study_folder import STUDY_FILE, load_tracking_ref

_SECRETS = ("password", "passwd", "pwd", "token", "secret")  # in names of what follows the ? of an address
_TIMEOUT_SECONDS = 5


def existing_store(home: Home, store: str | None, studies: Sequence[str] = ()) -> str:
    """URI of the records to read: `store`, or the one that the first of `studies` was launched with, or the home's own.

    Raises:
        StudyError: there are none, or the store does not answer.
    """
    if store is None:
        kept = load_tracking_ref(home, studies[0]) if studies else None
        store = home.store_uri if kept is None else kept.store_uri
    file = sqlite_path(store)
    if file is not None and not file.exists():
        if store != home.store_uri:
            raise StudyError(f"no records at {file}; correct --store, or leave it out")
        if launched := sorted(path.parent.name for path in home.root.glob(f"studies/*/{STUDY_FILE}")):
            again = next((name for name in studies if name in launched), launched[0])
            raise StudyError(
                f"{file} is gone, the journals of {len(launched)} studies are there: `{invocation(f'resume {again}', home)}` "
                "writes the records of that study anew from them"
            )
        raise StudyError(f"no records in {home.root}; run a study first (acl-study quickstart), or name another folder with --home")
    check_store(store)
    return store


def check_store(store_uri: str) -> None:
    """Ask at once whether a server or a database answers, and whether it lets this user in; SQLite files need not be there.

    Raises:
        StudyError: it does not, or the address has a password in it, or is none.
    """
    check_no_password(store_uri)
    scheme = urlsplit(store_uri).scheme
    if not scheme:
        raise StudyError(f"{store_uri!r} is no address of a store; write e.g. http://server:5000 or sqlite:////data/records.db")
    if (file := sqlite_path(store_uri)) is not None:
        sqlite_uri(file)
        return
    if scheme in ("http", "https"):
        _check_listener(store_uri)
    from study.tracking.store import artifacts_of

    try:
        artifacts_of(store_uri)
    except NoAccessError as error:
        raise StudyError(f"no access to the MLflow store {store_uri}: {error}") from None
    except (StoreUnavailableError, RecordError) as error:
        raise StudyError(f"the MLflow store {store_uri} does not answer ({error}); start it, or correct its address") from None
    except ModuleNotFoundError as error:
        raise StudyError(f"{store_uri} needs the package {error.name}; pip install 'acl-study[server]'") from None


def begin_records(study: str, home: Home, store_uri: str, key: str = "") -> None:
    """Have the store ready for a study's first record there, under a `key` by which a later one finds it; empty: none yet.

    A first launch ends here where the store does not answer; later ones go on, and their records follow.

    Raises:
        StudyError: the store does not answer, or others share it and one of them has a study of this name.
    """
    from study.tracking.store import begin_store, study_of_others

    try:
        begin_store(store_uri, home.artifacts)
        # A SQLite file is one person's, who may begin a study anew after deleting its folder; whoever shares a server may not know.
        is_shared = bool(key) or not store_uri.startswith("sqlite:")
        others = study_of_others(store_uri, study, key) if is_shared else None
    except NoAccessError as error:
        raise StudyError(f"no access to the MLflow store {store_uri}: {error}") from None
    except (StoreUnavailableError, RecordError) as error:
        raise StudyError(
            f"the MLflow store {store_uri} takes no records ({error}); mend it, or name another with --store"
        ) from None
    if others is not None:
        raise StudyError(
            f"{store_uri} has a study {study!r} already ({others}), and results of two studies never mix: launch yours under "
            "another --name, or delete that run there"
        )


def check_no_password(store_uri: str) -> None:
    """An address is shown by process lists and kept in files.

    >>> check_no_password("postgresql://me@host/records")

    Raises:
        StudyError: it has a password in it, or it is none.
    """
    try:
        address = urlsplit(store_uri)
        where = f"{address.scheme}://{address.netloc.rpartition('@')[2]}{address.path}"
        address.port  # noqa: B018 (a wrong one raises)
    except ValueError as error:
        raise StudyError(f"the address of the store cannot be read ({error}); write e.g. http://server:5000") from None
    is_server = address.scheme in ("http", "https")
    names = [name.lower() for name, _ in parse_qsl(address.query, keep_blank_values=True)]
    if (
        address.password is None
        and not (is_server and address.username)
        and not any(word in name for name in names for word in _SECRETS)
    ):
        return
    remedy = "MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD" if is_server else "PGPASSWORD, or write it into ~/.pgpass"
    raise StudyError(f"no password in an address, which process lists show and files keep: write {where} and set {remedy}")


def _check_listener(store_uri: str) -> None:
    """MLflow itself would wait for a server that is not there."""
    server = urlsplit(store_uri)
    try:
        port = server.port or (443 if server.scheme == "https" else 80)
        socket.create_connection((server.hostname or "", port), timeout=_TIMEOUT_SECONDS).close()
    except OSError as error:
        raise StudyError(f"no MLflow server answers at {store_uri} ({error}); start it, or correct --store") from None
