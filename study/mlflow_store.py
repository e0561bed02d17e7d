"""The MLflow store behind two errors: what it will never take, and what it may take later."""

import json
import logging
import os
from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import ParamSpec, TypeVar

os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
os.environ.setdefault("GIT_PYTHON_REFRESH", "quiet")
# A server that is gone is asked again by study.mirror, which says so meanwhile and does not write twice what was written although
# the answer is lost; MLflow itself would be silent for minutes, and repeat the request as it is.
os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
os.environ.setdefault("MLFLOW_HTTP_REQUEST_TIMEOUT", "30")

import mlflow
from mlflow.entities import Run
from mlflow.exceptions import MlflowException
from sqlalchemy.exc import SQLAlchemyError

from study import record_names as names

for _noisy in ("alembic", "mlflow.store.db.utils", "mlflow.tracking.fluent"):
    logging.getLogger(_noisy).setLevel(logging.CRITICAL)  # what fails is said in a line of ours

_SQLITE = "sqlite:///"
_EXPERIMENT_KIND = "mlflow.experimentKind"  # without it MLflow's page opens on its views of language models
# A view of the run table with the columns that say what a run found; MLflow's own shows none of them at first.
_VIEW = "acl-study"
_VIEW_TAG = f"mlflow.sharedViewState.{_VIEW}"
_METRIC_COLUMNS = (names.VAL_ACCURACY, names.VAL_KNN_ACCURACY, names.TEST_ACCURACY, names.mean_of(names.VAL_ACCURACY), names.SEEDS)
_SETTING_COLUMNS = ("mode", "data.subset", "loss.alpha", "loss.margin", "loss.temperature", "seed")
_PAGE = 1000
# What MLflow answers when the request itself is wrong; anything else may be different in a moment.
_REFUSALS = ("INVALID_PARAMETER_VALUE", "RESOURCE_DOES_NOT_EXIST", "RESOURCE_ALREADY_EXISTS", "BAD_REQUEST", "INVALID_STATE")

_SQLALCHEMY = "(Background on this error at: https://sqlalche.me/"  # in its texts, which a tracking server passes on

_Arguments = ParamSpec("_Arguments")
_Result = TypeVar("_Result")


class RecordError(RuntimeError):
    """MLflow refuses a record, and always will; the message is one line."""


class StoreUnavailableError(RuntimeError):
    """The store does not answer, or is locked; the same call may succeed later."""


def in_words(call: Callable[_Arguments, _Result]) -> Callable[_Arguments, _Result]:
    """Turn what MLflow and the databases and file systems behind it raise into the two errors above."""

    @wraps(call)
    def calling(*args: _Arguments.args, **kwargs: _Arguments.kwargs) -> _Result:
        try:
            return call(*args, **kwargs)
        except MlflowException as error:
            first_line = (str(error).splitlines() or ["no message"])[0]
            if error.error_code in _REFUSALS and not _is_of_the_database(error):
                raise RecordError(first_line) from error
            raise StoreUnavailableError(first_line[:200]) from error
        except (OSError, SQLAlchemyError) as error:
            raise StoreUnavailableError((str(error).splitlines() or [type(error).__name__])[0][:200]) from error

    return calling


def _is_of_the_database(error: MlflowException) -> bool:
    """Whether a database failed, e.g. one that is damaged: MLflow calls most of that a bad request, with SQLAlchemy's text."""
    return isinstance(error.__cause__, SQLAlchemyError) or _SQLALCHEMY in str(error)


def experiment_of(client: mlflow.MlflowClient, store_uri: str) -> str:
    """The project's experiment, made where it is absent.

    In a SQLite store the artifacts lie beside the database; a tracking server has its own place for them.
    """
    experiment = client.get_experiment_by_name(names.EXPERIMENT)
    if experiment is not None:
        if _VIEW_TAG not in experiment.tags:
            client.set_experiment_tag(experiment.experiment_id, _VIEW_TAG, _view())
        return str(experiment.experiment_id)
    database = Path(store_uri.removeprefix(_SQLITE)) if store_uri.startswith(_SQLITE) else None
    artifacts = (database.resolve().parent / "artifacts").as_uri() if database else None
    tags = {_EXPERIMENT_KIND: "custom_model_development", _VIEW_TAG: _view()}
    return str(client.create_experiment(names.EXPERIMENT, artifact_location=artifacts, tags=tags))


def _view() -> str:
    """Newest first, which keeps seeds below their settings and settings below their study."""
    columns = [f"metrics.`{name}`" for name in _METRIC_COLUMNS] + [f"params.`{name}`" for name in _SETTING_COLUMNS]
    columns.append(f"tags.`{names.OUTCOME}`")
    return json.dumps(
        {"orderByKey": "attributes.start_time", "orderByAsc": False, "selectedColumns": ["attributes.`Duration`", *columns]}
    )


@in_words
def address_of_runs(store_uri: str) -> str:
    """Where on MLflow's page the runs are, with `_view`."""
    return f"#/experiments/{experiment_of(mlflow.MlflowClient(store_uri), store_uri)}/runs?viewStateShareKey={_VIEW}"


@in_words
def begin_store(store_uri: str) -> None:
    """Have the store ready for a first record."""
    experiment_of(mlflow.MlflowClient(store_uri), store_uri)


def runs_of_study(client: mlflow.MlflowClient, experiment: str, study_run: str, *conditions: str) -> list[Run]:
    """All runs that belong to a study's run, whoever their parent is; with conditions, those that meet them."""
    condition = " and ".join([f"tags.`{names.STUDY_RUN}` = '{study_run}'", *conditions])
    page = client.search_runs([experiment], condition, max_results=_PAGE)
    found = list(page)
    while page.token:
        page = client.search_runs([experiment], condition, max_results=_PAGE, page_token=page.token)
        found += page
    return found


def user() -> str:
    """Who is shown as the author of a run."""
    return os.environ.get("USER") or os.environ.get("LOGNAME") or "unknown"
