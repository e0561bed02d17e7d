"""One process at a time makes the tables of an empty MLflow database: MLflow takes no lock, and two at once leave half of them."""

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import sqlalchemy as sa
from sqlalchemy.pool import NullPool

_SQLITE = "sqlite:///"
_KEY = 2211054420260  # of PostgreSQL's advisory lock: a number that nobody else has


@contextmanager
def schema_lock(store_uri: str) -> Iterator[None]:
    """Hold the store while its tables may be made, against all who ask with this function; a tracking server needs no such care.

    Raises:
        OSError, SQLAlchemyError: the database cannot be reached.
    """
    if store_uri.startswith(_SQLITE):
        path = Path(f"{store_uri.removeprefix(_SQLITE)}.lock")
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("a") as lock:  # it stays: who deletes it may delete another process's lock
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield
    elif store_uri.startswith("postgresql"):
        engine = sa.create_engine(store_uri, poolclass=NullPool, isolation_level="AUTOCOMMIT")
        with engine.connect() as connection:  # its end gives the lock back, whatever happens
            connection.execute(sa.text("SELECT pg_advisory_lock(:key)"), {"key": _KEY})
            yield
    else:
        yield
