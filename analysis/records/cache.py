"""Rows of runs that are over, kept on disk so that a report need not read them from MLflow again.

A file for each store and kind of rows, in the platform's cache folder or where `ACL_STUDY_CACHE` says. It may be deleted at any
time, and nothing depends on it: what cannot be read is read from MLflow, what cannot be written is left. Files are written beside
their place and renamed, so that of two processes one has the last word and neither reads a part.
"""

import contextlib
import hashlib
import json
import os
import tempfile
import time
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from platformdirs import user_cache_path

FOLDER = "ACL_STUDY_CACHE"  # environment variable
_FORMAT = "2"  # goes up when the columns of a kind change
_SUFFIX = ".rows"  # a SHA-256 and the Parquet file that it is of: Parquet has none over its own footer
_DIGEST = 32  # bytes
_STATES = b"acl_study.states"
_UNUSED_DAYS = 90
_NOTHING: tuple[pa.Table | None, dict[str, str]] = (None, {})

States = Mapping[str, str | None]  # run_id -> what changes when the run goes on; None: it is not over, and is never kept


def cached(
    key: tuple[str, ...], run_ids: Iterable[str], states: Callable[[list[str]], States], read: Callable[[list[str]], pa.Table]
) -> pa.Table:
    """Rows of the runs, those of each run together and in the order in which `read` gave them; runs without a state have none.

    Args:
        key: kind of rows, store, and whatever else changes the rows of a run.
        run_ids: whose rows.
        states: gives the state of each run that there is.
        read: reads the rows of runs, with a column run_id.
    """
    path = folder() / f"{key[0]}-{hashlib.sha256(json.dumps([_FORMAT, *key]).encode()).hexdigest()[:24]}{_SUFFIX}"
    kept, kept_states = _load(path)
    current = states([*run_ids])
    valid = {run_id for run_id, state in current.items() if state is not None and kept_states.get(run_id) == state}
    missing = [run_id for run_id in current if run_id not in valid]
    old = [] if kept is None else [_of_runs(kept, valid)]
    if not missing and old:
        return old[0]
    new = read(missing)
    over = {run_id: state for run_id in missing if (state := current[run_id]) is not None}
    if over:
        others = states([run_id for run_id in kept_states if run_id not in current])
        unchanged = valid | {run_id for run_id, state in others.items() if state == kept_states[run_id]}
        whole = [_of_runs(new, over)] if kept is None else [_of_runs(kept, unchanged), _of_runs(new, over)]
        _write(path, pa.concat_tables(whole), {run_id: kept_states[run_id] for run_id in unchanged} | over)
    return pa.concat_tables([*old, new])


def folder() -> Path:
    """Where the files lie; it need not exist."""
    named = os.environ.get(FOLDER)
    return Path(named) if named else user_cache_path("acl-study", appauthor=False)


def _of_runs(rows: pa.Table, run_ids: Iterable[str]) -> pa.Table:
    return rows.filter(pc.is_in(rows["run_id"], value_set=pa.array([*run_ids], pa.string())))


def _load(path: Path) -> tuple[pa.Table | None, dict[str, str]]:
    """Rows, and the state of each run that they are of; nothing where there is no whole file."""
    try:
        content = path.read_bytes()
        digest, parquet = content[:_DIGEST], memoryview(content)[_DIGEST:]
        if hashlib.sha256(parquet).digest() != digest:
            return _NOTHING
        rows = pq.read_table(pa.BufferReader(parquet))
        states = json.loads(rows.schema.metadata[_STATES])
        if not isinstance(states, dict) or "run_id" not in rows.column_names:
            return _NOTHING
    except (OSError, ValueError, LookupError, TypeError, RecursionError, pa.ArrowException):
        return _NOTHING
    with contextlib.suppress(OSError):
        os.utime(path)  # in use
    return rows.replace_schema_metadata(), states


def _write(path: Path, rows: pa.Table, states: dict[str, str]) -> None:
    partial = None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        sink = pa.BufferOutputStream()
        pq.write_table(rows.replace_schema_metadata({_STATES: json.dumps(states).encode()}), sink, compression="zstd")
        parquet = sink.getvalue()
        handle, partial = tempfile.mkstemp(".partial", dir=path.parent)
        with open(handle, "wb") as file:
            file.write(hashlib.sha256(parquet).digest())
            file.write(parquet)
        os.replace(partial, path)
        for other in path.parent.iterdir():  # of stores that are gone, and what a killed process left
            if time.time() - other.stat().st_mtime > _UNUSED_DAYS * 86400 and other.suffix in (_SUFFIX, ".partial"):
                other.unlink()
    except OSError:  # read-only, full, or pruned by another process: the next report reads MLflow again
        if partial is not None:
            with contextlib.suppress(OSError):
                os.unlink(partial)
