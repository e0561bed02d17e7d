"""The first view of MLflow's page: trials of a study as a table, sorted by its objective, and its charts.

MLflow keeps such a view as a tag of the experiment, the one that its own button "Share" writes. What the page reads of it was taken
from MLflow 3.17: search, order and columns of the table, and the charts with their sections. A shared view does not say which rows
are expanded. A table that is sorted by a metric lists all runs side by side, so no row has to be expanded.
"""

import base64
import json
import zlib
from collections.abc import Sequence
from typing import Any
from urllib.parse import urlencode

import mlflow
from mlflow.entities import Run

from study import names
from study.errors import RecordError, StoreUnavailableError
from study.spec.objectives import DIRECTIONS
from study.tracking.store import experiment_of, translate_mlflow_errors

_TAG = "mlflow.sharedViewState."
_COMPRESSED = "deflate;"  # how MLflow marks a view that is not plain JSON
_MODEL_TRAINING = {"workflowType": "machine_learning"}  # else MLflow's page opens on its views of language models
_MOST_TRIALS = 1000  # that are looked at: one page of MLflow's answers
_MOST_SETTINGS = 8  # with a column of their own
_MOST_SCATTERS = 4
_FIRST = ("data.subset", "loss.alpha", "loss.margin", "loss.temperature")  # of the settings that vary
_NO_COLUMN = (*names.PLACE_SETTINGS, "compute.precision", "compute.channels_last")
_RUN_NAME = "attributes.`Run Name`"
_CREATED = "runDateAndNestInfo"
_FIXED_COLUMNS = ("0", "1", _RUN_NAME, _CREATED)  # as MLflow names them: for selecting and pinning a run, name, time
_CURVES = (names.VAL_EPOCH_ACCURACY, names.VAL_EPOCH_KNN_ACCURACY, names.TRAIN_LOSS)
_CURVE_SECTION, _COMPARISON_SECTION = "Learning curves", "Trials and settings"
_CLOSED_SECTIONS = (names.CURVE_GROUP.rstrip("/"), names.CLASS_GROUP.rstrip("/"), "Model metrics")  # all other metrics


def address_of_runs(store_uri: str, study: str | None = None) -> str:
    """Where on MLflow's page the trials of a study are, of the newest study where none is named.

    Where this user may not write the tag, it is the sorted table without the columns.

    Raises:
        RecordError, StoreUnavailableError: the store cannot be read, or has no such study.
    """
    page, run, view = _study_view(store_uri, study)
    if run is None or view is None:
        return f"{page}?{urlencode(_MODEL_TRAINING)}"
    try:
        key = _share(store_uri, run, view)
    except (RecordError, StoreUnavailableError):
        table = {name: str(view[name]) for name in ("searchFilter", "orderByKey")} | {"orderByAsc": json.dumps(view["orderByAsc"])}
        return f"{page}?{urlencode({**_MODEL_TRAINING, **table})}"
    return f"{page}?{urlencode({**_MODEL_TRAINING, 'viewStateShareKey': key})}"


@translate_mlflow_errors
def _study_view(store_uri: str, study: str | None) -> tuple[str, Run | None, dict[str, Any] | None]:
    """The page of the experiment's runs, the study's run, and the view of its trials where it has any."""
    client = mlflow.MlflowClient(store_uri)
    experiment = experiment_of(client, store_uri)
    condition = f"tags.`{names.KIND}` = '{names.KIND_STUDY}'" + (f" and tags.`{names.STUDY}` = '{study}'" if study else "")
    found = client.search_runs([experiment], condition, max_results=1, order_by=["attributes.start_time DESC"])
    if study and not found:
        raise RecordError(f"no study {study!r} in this store; leave the name out to see the newest")
    if not found:
        return f"#/experiments/{experiment}/runs", None, None
    own = f"tags.`{names.STUDY_RUN}` = '{found[0].info.run_id}' and tags.`{names.KIND}` = '{names.KIND_TRIAL}'"
    trials = client.search_runs([experiment], own, max_results=_MOST_TRIALS, order_by=["attributes.start_time"])
    return f"#/experiments/{experiment}/runs", found[0], view_of(found[0], trials) if trials else None


@translate_mlflow_errors
def _share(store_uri: str, run: Run, view: dict[str, Any]) -> str:
    """Write the view as a tag of the experiment, unless it is there, and return the key by which the page finds it."""
    client = mlflow.MlflowClient(store_uri)
    key = f"acl-study-{run.info.run_id[:12]}"
    text = _COMPRESSED + base64.b64encode(zlib.compress(json.dumps(view).encode())).decode()
    if client.get_experiment(run.info.experiment_id).tags.get(f"{_TAG}{key}") != text:
        client.set_experiment_tag(run.info.experiment_id, f"{_TAG}{key}", text)
    return key


def view_of(study: Run, trials: Sequence[Run]) -> dict[str, Any]:
    """The view of a study's trials, of which there is one at least."""
    objectives = list(dict.fromkeys(each for run in trials for each in run.data.tags.get(names.OBJECTIVE, "").split(", ") if each))
    settings = varied_settings(trials)
    order = objectives[0] if objectives else names.VAL_ACCURACY
    metrics = list(dict.fromkeys([order, names.TEST_ACCURACY, *objectives]))
    sweeps = {run.data.tags.get(names.SWEEP) for run in trials}
    columns = [f"metrics.`{names.recorded(name)}`" for name in metrics]
    columns += [f"params.`{name}`" for name in settings[:_MOST_SETTINGS]]
    columns += [f"tags.`{names.SWEEP}`"] * (len(sweeps) > 1) + [f"tags.`{names.OUTCOME}`"]
    name = study.data.tags[names.STUDY]
    return {
        "searchFilter": f"tags.`{names.STUDY}` = '{name}' and tags.`{names.KIND}` = '{names.KIND_TRIAL}'",
        "orderByKey": f"metrics.`{names.recorded(order)}`",
        "orderByAsc": DIRECTIONS.get(order) == "min",
        "selectedColumns": columns,
        "columnOrder": [*_FIXED_COLUMNS, *columns, "duration"],
        "columnWidths": {_RUN_NAME: 270, _CREATED: 145},
        "runsHiddenMode": "SHOW_ALL",
        "isAccordionReordered": True,  # keeps the sections in this order
        "compareRunSections": [
            _section(title, is_open=title not in _CLOSED_SECTIONS)
            for title in (_CURVE_SECTION, _COMPARISON_SECTION, *_CLOSED_SECTIONS)
        ],
        "compareRunCharts": [*_curves(trials), *_comparisons(objectives or [order], settings, trials)],
    }


def varied_settings(trials: Sequence[Run]) -> list[str]:
    """Settings that differ between trials of a sweep, or else between the sweeps: those of the loss first and the seed last."""
    of_sweep: dict[str, list[Run]] = {}
    for run in trials:
        of_sweep.setdefault(run.data.tags.get(names.SWEEP, ""), []).append(run)
    varied = {name for own in of_sweep.values() for name in _different(own)}
    if not varied - {"seed"}:
        varied = _different(trials)
    ordered = [name for run in trials for name in (*_FIRST, *run.data.params) if name in varied and name != "seed"]
    return list(dict.fromkeys(ordered)) + ["seed"] * ("seed" in varied)


def _different(trials: Sequence[Run]) -> set[str]:
    """Settings of which some of the trials have different values."""
    values: dict[str, set[str]] = {}
    for run in trials:
        for name, value in run.data.params.items():
            values.setdefault(name, set()).add(value)
    return {name for name, found in values.items() if len(found) > 1 and name not in _NO_COLUMN}


def _section(title: str, *, is_open: bool) -> dict[str, Any]:
    grid = {"columns": 2, "cardHeight": 330}
    return {"uuid": title, "name": title, "display": is_open, "isReordered": True, "deleted": False, "isGenerated": False, **grid}


def _curves(trials: Sequence[Run]) -> list[dict[str, Any]]:
    """Charts of what trials have logged each epoch."""
    logged = {key for run in trials for key in run.data.metrics}
    keys = [key for metric in _CURVES for key in (names.recorded(metric), metric) if key in logged]  # of earlier versions, too
    return [
        {
            **_chart("LINE", _CURVE_SECTION, key),
            "metricKey": key,
            "lineSmoothness": 0,
            "xAxisScaleType": "linear",
            "scaleType": "linear",
            "range": {},
            "xAxisKey": "step",
            "selectedXAxisMetricKey": "",
            "yAxisKey": "metric",
            "yAxisExpressions": [],
            "ignoreOutliers": False,
            "useGlobalXaxisKey": True,
            "useGlobalLineSmoothing": True,
        }
        for key in keys
    ]


def _comparisons(objectives: Sequence[str], settings: Sequence[str], trials: Sequence[Run]) -> list[dict[str, Any]]:
    """Charts that compare trials: all settings against an objective, each number against it, and its values side by side."""
    numbers = [name for name in settings if name != "seed" and _is_number(name, trials)]
    of_all = [name for name in settings[:_MOST_SETTINGS] if all(name in run.data.params for run in trials)]
    charts: list[dict[str, Any]] = []
    for objective in objectives:
        key = names.recorded(objective)
        if of_all:  # MLflow leaves out runs that lack one of the axes
            title = f"{objective} by settings"
            parallel = {"selectedParams": of_all, "selectedMetrics": [key], "showAllRuns": True}
            charts.append({**_chart("PARALLEL", _COMPARISON_SECTION, title), **parallel})
        for name in numbers[:_MOST_SCATTERS]:
            axes = {"xaxis": {"key": name, "type": "PARAM"}, "yaxis": {"key": key, "type": "METRIC"}}
            charts.append({**_chart("SCATTER", _COMPARISON_SECTION, f"{objective} by {name}"), **axes, "runsCountToCompare": 100})
    bars = dict.fromkeys([*objectives, names.TEST_ACCURACY])
    return charts + [
        {**_chart("BAR", _COMPARISON_SECTION, metric), "metricKey": names.recorded(metric), "runsCountToCompare": 100}
        for metric in bars
    ]


def _chart(kind: str, section: str, title: str) -> dict[str, Any]:
    return {
        "type": kind,
        "uuid": f"{kind} {title}",
        "displayName": title,
        "metricSectionId": section,
        "runsCountToCompare": 10,
        "deleted": False,
        "isGenerated": False,
    }


def _is_number(name: str, trials: Sequence[Run]) -> bool:
    try:
        return bool([float(run.data.params[name]) for run in trials if name in run.data.params])
    except ValueError:
        return False
