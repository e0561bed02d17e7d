"""Winners of a study in MLflow: figures of its run, versions of its registered model.

The registered model has the study's name. Each winner's model is a version of it, with its model card as description, and an alias
points to the winner of each choice: `models:/table2-ssl@winner`.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import mlflow
from mlflow.entities import Metric
from mlflow.entities.model_registry import ModelVersion
from mlflow.exceptions import MlflowException
from mlflow.utils.mlflow_tags import MLFLOW_MODEL_VERSIONS

from study import names
from study.errors import RecordError
from study.tracking.store import SERVERS, milliseconds, translate_mlflow_errors

_LONGEST_DESCRIPTION = 5000  # characters of a version's description that MLflow keeps
_PAGE = 100


@dataclass(frozen=True)
class Winner:
    """A winner that is logged as a model.

    Attributes:
        model_id: of the model in MLflow.
        run_id: of the trial.
        alias: under which the registered model has it; empty for one of a Pareto front that is not its first.
        card: text of its model card.
    """

    model_id: str
    run_id: str
    alias: str
    card: str


@translate_mlflow_errors
def log_study_figures(store_uri: str, study_run_id: str, figures: Mapping[str, float]) -> None:
    """Log the study's figures as metrics of its run, as of its end; those that are there already stay as they are."""
    client = mlflow.MlflowClient(store_uri)
    run = client.get_run(study_run_id)
    there, ended = run.data.metrics, run.info.end_time or milliseconds(None)

    def time_of(name: str) -> int:  # MLflow shows the latest value, and of one time the largest
        before = [metric.timestamp for metric in client.get_metric_history(study_run_id, name)] if name in there else []
        return max([ended, *(timestamp + 1 for timestamp in before)])

    changed = [Metric(name, value, time_of(name), 0) for name, value in figures.items() if there.get(name) != value]
    client.log_batch(study_run_id, metrics=changed)


@translate_mlflow_errors
def register_winners(store_uri: str, study: str, question: str, winners: Sequence[Winner]) -> None:
    """Have each winner as a version of the study's registered model, once, and its alias point to it.

    Raises:
        RecordError: the store has a model of this name that is not the study's, or refuses a version or an alias.
        StoreUnavailableError: the store does not answer, or has no model registry.
    """
    client = mlflow.MlflowClient(store_uri)
    _ensure_ours(client, study, question)
    there = {version.source: version for version in _versions(client, study)}
    for winner in winners:
        source = _source(client, store_uri, winner.model_id)
        version = there.get(source)
        if version is None:
            version = client.create_model_version(
                study,
                source,
                run_id=winner.run_id,
                tags={names.STUDY: study, names.TRIAL_RUN: winner.run_id},
                description=description_of(winner.card),
                model_id=winner.model_id,
                await_creation_for=0,  # MLflow's own stores have made it when they answer
            )
        _link(client, winner.model_id, {"name": study, "version": int(version.version)})
        if winner.alias and str(client.get_registered_model(study).aliases.get(winner.alias)) != str(version.version):
            client.set_registered_model_alias(study, winner.alias, version.version)


def description_of(card: str) -> str:
    """A model card as the description of a version: without its front matter, and as many of its sections as MLflow keeps.

    >>> description_of("---\\nlicense: unknown\\n---\\n\\n# Title\\n\\n## Use\\n")
    '# Title\\n\\n## Use'
    """
    text = card.partition("\n---\n")[2].strip() if card.startswith("---\n") else card.strip()
    if len(text) <= _LONGEST_DESCRIPTION:
        return text
    rest = "\n\nThe whole card is README.md among the files of the model."
    most = _LONGEST_DESCRIPTION - len(rest)
    end = text.rfind("\n\n", 0, most)
    return text[: end if end > 0 else most] + rest


def _ensure_ours(client: mlflow.MlflowClient, study: str, question: str) -> None:
    """Make the registered model where there is none.

    Raises:
        RecordError: somebody else has made one of this name.
    """
    try:
        client.create_registered_model(study, tags={names.STUDY: study}, description=question[:_LONGEST_DESCRIPTION])
    except MlflowException as error:
        if error.error_code != "RESOURCE_ALREADY_EXISTS":
            raise
    if client.get_registered_model(study).tags.get(names.STUDY) != study:
        raise RecordError(f"the store has a registered model {study!r} of somebody else; rename it there")


def _link(client: mlflow.MlflowClient, model_id: str, version: Mapping[str, str | int]) -> None:
    """Have the logged model's page lead to its version."""
    linked = json.loads(client.get_logged_model(model_id).tags.get(MLFLOW_MODEL_VERSIONS, "[]"))
    if version not in linked:
        client.set_logged_model_tags(model_id, {MLFLOW_MODEL_VERSIONS: json.dumps([*linked, version])})


def _versions(client: mlflow.MlflowClient, study: str) -> list[ModelVersion]:
    """All versions, oldest first."""
    page = client.search_model_versions(f"name = '{study}'", max_results=_PAGE)
    found = list(page)
    while page.token:
        page = client.search_model_versions(f"name = '{study}'", max_results=_PAGE, page_token=page.token)
        found += page
    return sorted(found, key=lambda version: int(version.version))


def _source(client: mlflow.MlflowClient, store_uri: str, model_id: str) -> str:
    """What a version is of: the model; of a database the files of the model, as MLflow looks for models in its default store."""
    return f"models:/{model_id}" if store_uri.startswith(SERVERS) else str(client.get_logged_model(model_id).artifact_location)
