"""What two stores must have in common that hold the same study, read with MLflow alone."""

from pathlib import Path
from typing import Any

import mlflow

from command_line import runs
from study import names


def without_ids(store_uri: str, study: str) -> dict[str, Any]:
    """Everything of a study by the names of its runs: times, values with theirs, the text of files; nothing may be there twice."""
    client = mlflow.MlflowClient(store_uri)
    kinds = (names.KIND_STUDY, names.KIND_SETTING, names.KIND_TRIAL)
    found = [run for kind in kinds for run in runs(Path(), kind, store_uri, study)]
    name_of = {run.info.run_id: run.info.run_name for run in found}
    assert len(set(name_of.values())) == len(found)
    content = {}
    for run in found:
        tags = {key: value for key, value in run.data.tags.items() if key != names.WINNERS}
        for key in ("mlflow.parentRunId", names.STUDY_RUN):
            if key in tags:
                tags[key] = name_of[tags[key]]
        history = {
            name: sorted((point.step, point.value, point.timestamp) for point in client.get_metric_history(run.info.run_id, name))
            for name in run.data.metrics
        }
        files = {
            file.path: mlflow.artifacts.download_artifacts(run_id=run.info.run_id, artifact_path=file.path, tracking_uri=store_uri)
            for file in client.list_artifacts(run.info.run_id)
            if not file.is_dir
        }
        texts = {name: Path(path).read_text() for name, path in files.items()}
        info = run.info
        began = (
            None if run.data.tags[names.KIND] == names.KIND_STUDY else info.start_time
        )  # at a first launch before its first event
        content[info.run_name] = (info.status, began, info.end_time, tags, run.data.params, history, texts)
    return content
