"""MLflow's tables read in bulk. MLflow's own calls make an object of every value, which takes minutes for thousands of runs.

Used where the store is a database, and only for reading. The columns named here have been in MLflow's schema since its first
stores in SQL. Whatever a later version changes raises `SQLAlchemyError`, and `analysis.records.store` asks MLflow's client instead.
"""

import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pyarrow as pa
import sqlalchemy as sa
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.pool import NullPool

from acl.system.text import close_to
from analysis.errors import AnalysisError
from study import names

POINTS = pa.schema([("run_id", pa.string()), ("epoch", pa.int64()), ("metric", pa.string()), ("value", pa.float64())])
_KINDS = ("sqlite", "postgresql", "mysql", "mssql")
_SOME = 5000  # run ids in one query
_ROWS = 500  # at a time: with more Python's garbage collector, which sets in at 700 new objects, takes most of the time


@dataclass
class Record:
    """A run, with the last value of each metric."""

    run_id: str
    start_time: int  # ms
    tags: dict[str, str] = field(default_factory=dict)
    params: dict[str, str] = field(default_factory=dict)
    metrics: dict[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class End:
    """How far a run has come: its status, the time of its end (ms) if it had one, and where its artifacts lie."""

    status: str
    end_time: int | None
    artifact_uri: str


def _table(name: str, *columns: str) -> Any:
    return sa.table(name, *[sa.column(column) for column in ("run_uuid", *columns)])


_RUNS = _table("runs", "status", "start_time", "end_time", "lifecycle_stage", "artifact_uri", "experiment_id")
_TAGS, _PARAMS = _table("tags", "key", "value"), _table("params", "key", "value")
_LAST = _table("latest_metrics", "key", "value", "is_nan")
_METRICS = _table("metrics", "key", "value", "is_nan", "timestamp", "step")


class Database:
    """The database of an MLflow store."""

    def __init__(self, uri: str) -> None:
        self._engine = sa.create_engine(uri, poolclass=NullPool)

    @staticmethod
    def is_one(uri: str) -> bool:
        """Whether the store is a database, and not a server or a folder."""
        return uri.partition(":")[0].partition("+")[0] in _KINDS

    def records(self, experiment: str, tags: Mapping[str, Sequence[str]]) -> list[Record]:
        """Runs that are not deleted and have, of each tag, one of the values."""
        conditions = [_RUNS.c.experiment_id == int(experiment), _RUNS.c.lifecycle_stage == "active"]
        for key, values in tags.items():
            having = sa.select(_TAGS.c.run_uuid).where(_TAGS.c.key == key, _TAGS.c.value.in_(values))
            conditions.append(_RUNS.c.run_uuid.in_(having))
        chosen = sa.select(_RUNS.c.run_uuid).where(*conditions)
        with self._engine.connect() as connection:
            runs = connection.execute(sa.select(_RUNS.c.run_uuid, _RUNS.c.start_time).where(*conditions))
            found = {run_id: Record(run_id, start) for run_id, start in runs}
            for table, attribute in ((_TAGS, "tags"), (_PARAMS, "params")):
                texts = {run_id: getattr(record, attribute) for run_id, record in found.items()}
                rows = sa.select(table.c.run_uuid, table.c.key, table.c.value).where(table.c.run_uuid.in_(chosen))
                for run_id, key, value in connection.execute(rows):
                    if run_id in texts:  # it may have begun since the first query
                        texts[run_id][key] = value
            last = sa.select(_LAST.c.run_uuid, _LAST.c.key, _LAST.c.value, _LAST.c.is_nan).where(_LAST.c.run_uuid.in_(chosen))
            for run_id, key, value, is_nan in connection.execute(last):
                if run_id in found:
                    found[run_id].metrics[key] = float("nan") if is_nan else value
        for record in found.values():
            record.metrics = names.by_metric(record.metrics)
        return list(found.values())

    def studies(self) -> set[str]:
        """Names of the studies that have runs which are not deleted."""
        of_studies = sa.select(_TAGS.c.run_uuid).where(_TAGS.c.key == names.KIND, _TAGS.c.value == names.KIND_STUDY)
        active = sa.select(_RUNS.c.run_uuid).where(_RUNS.c.lifecycle_stage == "active", _RUNS.c.run_uuid.in_(of_studies))
        with self._engine.connect() as connection:
            return set(connection.scalars(sa.select(_TAGS.c.value).where(_TAGS.c.key == names.STUDY, _TAGS.c.run_uuid.in_(active))))

    def ends(self, run_ids: Sequence[str]) -> dict[str, End]:
        """How far each of the runs has come; those that are deleted are left out."""
        columns = (_RUNS.c.run_uuid, _RUNS.c.status, _RUNS.c.end_time, _RUNS.c.artifact_uri)
        found: dict[str, End] = {}
        with self._engine.connect() as connection:
            for some in _parts(run_ids):
                runs = sa.select(*columns).where(_RUNS.c.lifecycle_stage == "active", _is_one_of(_RUNS, some))
                found |= {run_id: End(*end) for run_id, *end in connection.execute(runs)}
        return {run_id: found[run_id] for run_id in run_ids if run_id in found}

    def points(self, run_ids: Sequence[str], metrics: Sequence[str] | None) -> pa.Table:
        """Every logged value, `POINTS`; of each run and metric in the order of MLflow's client: by time, step and value."""
        parts = [POINTS.empty_table()]
        with self._engine.connect() as connection:
            for some in _parts(run_ids):
                logged = sa.select(_LAST.c.key).distinct().where(_is_one_of(_LAST, some))
                keys = set(connection.execute(logged).scalars())
                for metric, own in keys_by_metric(keys, metrics).items():
                    rows = (
                        sa.select(_METRICS.c.run_uuid, _METRICS.c.step, _METRICS.c.value, _METRICS.c.is_nan)
                        .where(_METRICS.c.key.in_(own), _is_one_of(_METRICS, some))
                        .order_by(_METRICS.c.timestamp, _METRICS.c.step, _METRICS.c.run_uuid, _METRICS.c.value)
                    )
                    parts += [_points(part, metric) for part in connection.execute(rows).partitions(_ROWS)]
        return pa.concat_tables(parts).combine_chunks()


def keys_by_metric(keys: Iterable[str], metrics: Sequence[str] | None) -> dict[str, list[str]]:
    """MLflow's names of each metric, of all or of those that are asked for, in alphabetical order."""
    found: dict[str, list[str]] = {}
    for key in sorted(keys):
        if metrics is None or names.metric_of(key) in metrics:
            found.setdefault(names.metric_of(key), []).append(key)
    return dict(sorted(found.items()))


def _points(rows: Sequence[Any], metric: str) -> pa.Table:
    run_ids, steps, values, is_nan = zip(*rows, strict=True)
    numbers = np.where(np.array(is_nan, bool), np.nan, np.array(values, float))
    repeated = pa.repeat(pa.scalar(metric), len(rows))
    return pa.table([pa.array(run_ids, pa.string()), pa.array(steps, pa.int64()), repeated, pa.array(numbers)], schema=POINTS)


def _parts(run_ids: Sequence[str]) -> Iterable[Sequence[str]]:
    return (run_ids[first : first + _SOME] for first in range(0, len(run_ids), _SOME))


def _is_one_of(table: Any, run_ids: Sequence[str]) -> Any:
    # Written into the statement: databases limit the number of its parameters, to 2100 at the least.
    return table.c.run_uuid.in_(sa.bindparam("runs", run_ids, expanding=True, literal_execute=True))


RUN_ID = re.compile(r"[0-9a-f]{6,32}")  # of MLflow, or its beginning


def check_known(studies: Iterable[str], known: Collection[str]) -> None:
    """Refuse names of studies that are not among the known ones.

    Raises:
        AnalysisError: there is one.
    """
    for name in studies:
        if name not in known:
            remedy = close_to(name, known) or f"known: {', '.join(sorted(known)) or 'none, run one first'}"
            raise AnalysisError(f"no study {name!r} in this store; {remedy}")


def check_recorded(store_uri: str, references: Iterable[str]) -> None:
    """Refuse studies that a SQLite store has not. Other stores are asked when they are read, and so is whether there is a trial.

    Args:
        store_uri: of a file that exists, or of another store.
        references: names of studies, trials as STUDY/TRIAL, MLflow run ids.

    Raises:
        AnalysisError: there is no such study.
    """
    if not store_uri.startswith("sqlite:"):
        return
    try:
        known = Database(store_uri).studies()
    except SQLAlchemyError:  # another schema, locked, or no database: MLflow has the words for it
        return
    check_known([reference.rpartition("/")[0] or reference for reference in references if not RUN_ID.fullmatch(reference)], known)
