"""An MLflow store, opened for reading: in bulk where it is a database, through MLflow's client where it is a server.

The only module of `analysis` that knows MLflow; `analysis.records.runs` makes frames of what it reads.
"""

import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TypeVar
from urllib.parse import urlsplit
from urllib.request import url2pathname

import pyarrow as pa
from mlflow import MlflowClient
from mlflow.entities import Run, RunStatus
from mlflow.exceptions import MlflowException
from sqlalchemy.exc import SQLAlchemyError

from analysis.errors import AnalysisError
from analysis.records.sql import POINTS, Database, End, Record, keys_by_metric
from study import names

os.environ.setdefault("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")  # else a bar for every predictions file

_SQLITE = "sqlite:///"
_PAGE = 1000
_NAMED = 100  # run ids in one request
_Found = TypeVar("_Found")


class Store:
    """The project's experiment in a store.

    Attributes:
        uri: of the store; of a SQLite file with its absolute path.
    """

    def __init__(self, uri: str) -> None:
        """Open it.

        Raises:
            AnalysisError: there is no store, or no experiment of the project in it.
        """
        if uri.startswith(_SQLITE):
            database = Path(uri.removeprefix(_SQLITE))
            if not database.exists():
                raise AnalysisError(f"no store at {database}; run a study first, or name its store")
            uri = f"{_SQLITE}{database.resolve()}"
        self.uri = uri
        self._client = MlflowClient(uri)
        experiment = self._client.get_experiment_by_name(names.EXPERIMENT)
        if experiment is None:
            raise AnalysisError(f"the store has no experiment {names.EXPERIMENT!r}; run a study first, or name its store")
        self._experiment = str(experiment.experiment_id)
        self._database = Database(uri) if Database.is_one(uri) else None

    def search(self, condition: str) -> list[Run]:
        """Runs that meet the condition, oldest first."""
        runs: list[Run] = []
        token = None
        while True:
            page = self._client.search_runs(
                [self._experiment], condition, max_results=_PAGE, order_by=["attributes.start_time"], page_token=token
            )
            runs += page
            token = page.token
            if not token:
                return runs

    def records(self, tags: Mapping[str, Sequence[str]]) -> list[Record]:
        """Runs that have, of each tag, one of the values; in no order."""
        return self._bulk(lambda database: database.records(self._experiment, tags), lambda: self._records_of_client(tags))

    def ends(self, run_ids: Sequence[str]) -> dict[str, End]:
        """How far each of the runs has come; those that are deleted are left out."""
        return self._bulk(lambda database: database.ends(run_ids), lambda: self._ends_of_client(run_ids))

    def points(self, run_ids: Sequence[str], metrics: Sequence[str] | None) -> pa.Table:
        """Every logged value of the metrics, or of all, as `analysis.records.sql.POINTS`."""
        return self._bulk(lambda database: database.points(run_ids, metrics), lambda: self._points_of_client(run_ids, metrics))

    def artifact(self, run_id: str, artifact_uri: str, name: str, folder: str) -> Path:
        """A file of a run: where it lies, or downloaded into `folder`.

        Raises:
            OSError: there is no such file.
        """
        local = local_artifact(artifact_uri, name)
        if local is not None and local.is_file():
            return local
        try:
            return Path(self._client.download_artifacts(run_id, name, folder))
        except MlflowException as error:
            raise FileNotFoundError(f"run {run_id} has no {name}") from error

    def _bulk(self, of_database: Callable[[Database], _Found], of_client: Callable[[], _Found]) -> _Found:
        if self._database is not None:
            try:
                return of_database(self._database)
            except SQLAlchemyError:  # another schema, or locked: MLflow's client knows, or has the words for it
                pass
        return of_client()

    def _records_of_client(self, tags: Mapping[str, Sequence[str]]) -> list[Record]:
        (first, values), *others = tags.items()
        found = [run for value in values for run in self.search(f"tags.`{first}` = '{value}'")]
        return [
            Record(run.info.run_id, run.info.start_time, run.data.tags, run.data.params, names.by_metric(run.data.metrics))
            for run in found
            if all(run.data.tags.get(key) in allowed for key, allowed in others)
        ]

    def runs(self, run_ids: Sequence[str]) -> list[Run]:
        """Those of the runs that are there, with tags, parameters and last metrics; in no order."""
        parts = (run_ids[first : first + _NAMED] for first in range(0, len(run_ids), _NAMED))
        return [run for part in parts for run in self.search(f"attributes.run_id IN ({', '.join(map(repr, part))})")]

    def _ends_of_client(self, run_ids: Sequence[str]) -> dict[str, End]:
        found = {run.info.run_id: run.info for run in self.runs(run_ids)}
        infos = {run_id: found[run_id] for run_id in run_ids if run_id in found}
        return {run_id: End(info.status, info.end_time, info.artifact_uri) for run_id, info in infos.items()}

    def _points_of_client(self, run_ids: Sequence[str], metrics: Sequence[str] | None) -> pa.Table:
        rows = []
        for run in self.runs(run_ids):
            run_id = run.info.run_id
            for metric, keys in keys_by_metric(run.data.metrics, metrics).items():
                points = [point for key in keys for point in self._client.get_metric_history(run_id, key)]
                points.sort(key=lambda point: (point.timestamp, point.step))
                rows += [(run_id, point.step, metric, point.value) for point in points]
        columns = zip(*rows, strict=True) if rows else [[]] * len(POINTS)
        return pa.table([pa.array(column, kind.type) for column, kind in zip(columns, POINTS, strict=True)], schema=POINTS)


def is_over(end: End) -> bool:
    """Whether the run has ended, so that nothing is written to it unless it is resumed."""
    return end.end_time is not None and RunStatus.is_terminated(RunStatus.from_string(end.status))


def local_artifact(artifact_uri: str, name: str) -> Path | None:
    """Where a file of a run lies on this machine; None where a server or another one has it."""
    parts = urlsplit(artifact_uri)
    return Path(url2pathname(parts.path), name) if parts.scheme == "file" and not parts.netloc else None
