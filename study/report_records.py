"""A report in MLflow: an artifact of the study's run, whose description then has the question and the answer."""

import json
from collections.abc import Sequence
from pathlib import Path

import mlflow
from mlflow.utils.mlflow_tags import MLFLOW_RUN_NOTE

from study import record_names as names
from study.mlflow_store import experiment_of, in_words

FACTS_FILE = "report.json"  # of a report's folder, see analysis.report


@in_words
def log_report(store_uri: str, studies: Sequence[str], folder: Path) -> None:
    """Log a report's files with the run of each of its studies; the report of a single study gives its run the description.

    Raises:
        RecordError, StoreUnavailableError: the store does not take it.
    """
    client = mlflow.MlflowClient(store_uri)
    experiment = experiment_of(client, store_uri)
    facts = json.loads((folder / FACTS_FILE).read_text(encoding="utf-8"))
    for name in studies:
        condition = f"tags.`{names.KIND}` = '{names.KIND_STUDY}' and tags.`{names.STUDY}` = '{name}'"
        run_id = client.search_runs([experiment], condition, max_results=1, order_by=["attributes.start_time DESC"])[0].info.run_id
        place = "report" if len(studies) == 1 else f"report with {', '.join(other for other in studies if other != name)}"
        for file in ("index.html", FACTS_FILE, *facts["files"]):  # the folder may hold other things
            client.log_artifact(run_id, str(folder / file), place)
        if len(studies) == 1:
            client.set_tag(run_id, MLFLOW_RUN_NOTE, f"{facts['question']}\n\n{facts['answer']}\n\n(report of {facts['generated']})")
