"""Provenance of the numbers, from the runs' tags and files: code, versions, machines, corpus, and the study as launched."""

import tempfile
from collections.abc import Iterable
from typing import Any

import pandas as pd
import yaml

from analysis.records.store import Store
from study import names

_OF_TRIALS = {
    "reason": names.REASON,
    "git_commit": names.GIT_COMMIT,
    "git_dirty": names.GIT_DIRTY,
    "versions": names.VERSIONS,
    "hardware": names.HARDWARE,
    "corpus_sha256": names.CORPUS_SHA256,
    "features_sha256": names.FEATURES_SHA256,
}


def load_provenance(store_uri: str, study_runs: Iterable[str]) -> pd.DataFrame:
    """One row per trial of the studies' runs: run_id, reason (of a failure), git_commit, git_dirty, versions, hardware,
    corpus_sha256, features_sha256; text, empty where a run does not say. Where launches of a trial differ, "; " separates them.

    Raises:
        AnalysisError: there is no store.
    """
    found = Store(store_uri).records({names.STUDY_RUN: [*study_runs], names.KIND: [names.KIND_TRIAL]})
    found.sort(key=lambda record: (record.start_time, record.run_id))
    rows = [
        {"run_id": record.run_id, **{column: record.tags.get(tag, "") for column, tag in _OF_TRIALS.items()}} for record in found
    ]
    return pd.DataFrame(rows, columns=["run_id", *_OF_TRIALS])


def load_launched(store_uri: str, study_runs: Iterable[str]) -> pd.DataFrame:
    """One row per study run: run_id, experiment_id, status (of MLflow), digest (SHA-256 of the study, or empty), file, sweeps.

    `file` is the content of the study as launched, `sweeps` are its sweeps; empty where the run has no such file, or it cannot be
    read.

    Raises:
        AnalysisError: there is no store.
    """
    store, rows = Store(store_uri), []
    for run in store.runs([*study_runs]):
        content: dict[str, Any] = {}
        with tempfile.TemporaryDirectory() as folder:
            try:
                file = store.artifact(run.info.run_id, run.info.artifact_uri, names.STUDY_FILE, folder)
                content = _checked(yaml.safe_load(file.read_text(encoding="utf-8")))
            except (OSError, yaml.YAMLError, ValueError, TypeError, LookupError, AttributeError, RecursionError):
                pass  # an older study, or one whose files are gone or damaged: its runs still say what was tried
        digest = run.data.tags.get(names.STUDY_DIGEST, "")
        rows.append((run.info.run_id, run.info.experiment_id, run.info.status, digest, content, content.get("sweeps", [])))
    return pd.DataFrame(rows, columns=["run_id", "experiment_id", "status", "digest", "file", "sweeps"])


def _checked(study: Any) -> dict[str, Any]:
    """Content of a study's file.

    Raises:
        TypeError, LookupError, AttributeError: it is none, or not as studies write theirs.
    """
    for sweep in study["sweeps"]:
        for dimension in sweep.get("space", {}).values():
            lists = [*dimension.get("when", {}).values(), *(values for name, values in dimension.items() if name != "when")]
            if not all(isinstance(values, list) for values in lists) or ("when" not in dimension and len(lists) != 1):
                raise TypeError("space")
        if not isinstance(sweep.get("seeds", []), list):
            raise TypeError("seeds")
        sweep.get("scheduler", {}).get("name"), sweep.get("budget", {}).get("trials"), sweep.get("base", {}).get("mode")
        if not all(isinstance(point, dict) for point in sweep.get("enqueue", [])):
            raise TypeError("enqueue")
    baseline, equivalence = study.get("baseline") or {}, study.get("equivalence")
    if not isinstance(baseline, dict) or not all(isinstance(value, bool | int | float | str) for value in baseline.values()):
        raise TypeError("baseline")
    if not isinstance(study.get("within") or [], list) or not isinstance(equivalence, float | int | None):
        raise TypeError("within, equivalence")
    return dict(study)
