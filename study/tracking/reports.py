"""A report and its figures in MLflow: artifacts of the study's run, whose description then has the question and the answer."""

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote

import mlflow
from mlflow.utils.mlflow_tags import MLFLOW_RUN_NOTE

from study import names
from study.tracking.store import experiment_of, translate_mlflow_errors

FACTS_FILE, PICTURE_FILE = "report.json", "answer.png"  # of a report's folder, see analysis.report.page


@translate_mlflow_errors
def log_report(store_uri: str, studies: Sequence[str], folder: Path) -> None:
    """Log a report's files with the run of each of its studies; the report of a single study gives its run the description.

    Raises:
        RecordError, StoreUnavailableError: the store does not take it.
    """
    client = mlflow.MlflowClient(store_uri)
    facts = json.loads((folder / FACTS_FILE).read_text(encoding="utf-8"))
    for run_id, place in _places(client, store_uri, studies):
        for file in ("index.html", FACTS_FILE, *facts["files"]):  # the folder may hold other things
            client.log_artifact(run_id, str(folder / file), place)
        if len(studies) == 1:
            client.set_tag(run_id, MLFLOW_RUN_NOTE, _note(facts, run_id, place))


def _note(facts: Mapping[str, Any], run_id: str, place: str) -> str:
    """Markdown that MLflow shows at the head of the run; its picture is the run's own artifact, addressed from MLflow's page."""
    shown = [str(facts["question"]), str(facts["answer"])]
    if PICTURE_FILE in facts["files"]:
        shown.append(f"![All comparisons](get-artifact?path={quote(f'{place}/{PICTURE_FILE}', safe='')}&run_uuid={run_id})")
    return "\n\n".join([*shown, f"(report of {facts['generated']})"])


@translate_mlflow_errors
def log_figures(store_uri: str, studies: Sequence[str], files: Sequence[Path]) -> None:
    """Log figures of a report beside it.

    Raises:
        RecordError, StoreUnavailableError: the store does not take them.
    """
    client = mlflow.MlflowClient(store_uri)
    for run_id, place in _places(client, store_uri, studies):
        for file in files:
            client.log_artifact(run_id, str(file), f"{place}/figures")


def _places(client: mlflow.MlflowClient, store_uri: str, studies: Sequence[str]) -> Iterator[tuple[str, str]]:
    """Run of each study, its last launch, and the folder of its artifacts for a report of all of them."""
    experiment = experiment_of(client, store_uri)
    for name in studies:
        condition = f"tags.`{names.KIND}` = '{names.KIND_STUDY}' and tags.`{names.STUDY}` = '{name}'"
        found = client.search_runs([experiment], condition, max_results=1, order_by=["attributes.start_time DESC"])
        others = ", ".join(other for other in studies if other != name)
        yield found[0].info.run_id, f"report with {others}" if others else "report"
