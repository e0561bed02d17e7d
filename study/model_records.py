"""Logs a study's winner to MLflow as a model that loads with `mlflow.pyfunc`, with the corpus that it learned from.

    mlflow.set_tracking_uri("sqlite:////data/acl-runs/mlflow.db")
    mlflow.pyfunc.load_model("models:/MODEL_ID").predict(["a.wav", "b.flac"])   # [2, D] embeddings

The model is what `acl-study export` wrote, read by `acl.pyfunc`: no pickled code. Its input is a column of paths, not a tensor of
waveforms, because recordings differ in length, rate and format, and one tensor has neither; who has samples in memory calls
`acl.exported.Exported.embed`.
"""

import json
import logging
import re
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import metadata
from pathlib import Path
from typing import Any

import mlflow
import mlflow.pyfunc
import numpy as np
from mlflow.entities import Dataset, DatasetInput, InputTag, LoggedModelOutput, LoggedModelStatus, Metric, Run
from mlflow.models import Model, ModelSignature
from mlflow.types import ColSpec, Schema, TensorSpec

from acl import pyfunc
from acl.exported import CONFIG_FILE, LABELS_FILE
from acl.provenance import PROJECT
from study import record_names as names

_CONTEXT = "mlflow.data.context"
_MODEL_TYPE = "audio embedding"
_DIGEST_LENGTH = 36  # what MLflow keeps of a digest; the profile has all of it
_NOT_IN_A_NAME = re.compile(r"[/:.%\"']+")


def log_winner(store_uri: str, study_run_id: str, trial_run_id: str, exported: Path) -> str:
    """Log an exported trial as a model of its run and of its study's run; returns the model's id.

    Both runs get the corpus as input, with its digest; the model gets the trial's settings and the accuracies of its last epoch. A
    trial whose model is logged already keeps that one.

    Args:
        store_uri: MLflow tracking store.
        study_run_id: run of the study.
        trial_run_id: run of the trial.
        exported: folder that `study.export.export_trial` wrote for this trial.
    """
    client = mlflow.MlflowClient(store_uri)
    trial = client.get_run(trial_run_id)
    if trial.outputs is not None and trial.outputs.model_outputs:
        return str(trial.outputs.model_outputs[0].model_id)
    about = json.loads((exported / CONFIG_FILE).read_text(encoding="utf-8"))
    classes = json.loads((exported / LABELS_FILE).read_text(encoding="utf-8"))
    corpus = _corpus(about, classes, trial.data.params.get("data.root", ""))
    for run_id in (study_run_id, trial_run_id):
        client.log_inputs(run_id, [DatasetInput(corpus, [InputTag(_CONTEXT, "training and evaluation")])])
    model = client.create_logged_model(
        trial.info.experiment_id,
        name=_NOT_IN_A_NAME.sub("-", f"{trial.data.tags[names.STUDY]} {trial.data.tags[names.SWEEP]}"),
        source_run_id=trial_run_id,
        tags={name: trial.data.tags[name] for name in (names.STUDY, names.SWEEP, names.TRIAL_ID)},
        params=trial.data.params,
        model_type=_MODEL_TYPE,
    )
    with tempfile.TemporaryDirectory() as folder, _quiet():
        path = Path(folder, "model")
        mlflow.pyfunc.save_model(
            path,
            loader_module=pyfunc.__name__,
            data_path=str(exported),
            signature=_signature(about["embedding_dim"]),
            # Named here: else MLflow imports the model in another process to find out, and asks the network.
            pip_requirements=[f"{package}=={metadata.version(package)}" for package in (PROJECT, "mlflow")],
            mlflow_model=Model(artifact_path=model.artifact_location, run_id=trial_run_id, model_id=model.model_id),
        )
        client.log_model_artifacts(model.model_id, str(path))
    for run_id in (trial_run_id, study_run_id):
        client.log_outputs(run_id, [LoggedModelOutput(model.model_id, step=about["selected_epoch"])])
    client.log_batch(trial_run_id, metrics=_accuracies(client, trial, model.model_id, corpus))
    client.finalize_logged_model(model.model_id, LoggedModelStatus.READY)
    return str(model.model_id)


def _signature(dimensions: int) -> ModelSignature:
    """Column of paths → embeddings `[-1, D]`."""
    return ModelSignature(
        inputs=Schema([ColSpec("string", name=pyfunc.INPUT)]),
        outputs=Schema([TensorSpec(np.dtype(np.float32), (-1, dimensions))]),
    )


def _corpus(about: dict[str, Any], classes: list[str], root: str) -> Dataset:
    """The corpus as MLflow's dataset."""
    corpus = about["corpus"]
    profile = {f"{split} clips": number for split, number in corpus["clips"].items()} | {"classes": len(classes)}
    digests = {name: corpus[name] for name in ("corpus_sha256", "features_sha256")}
    return Dataset(
        name=corpus["name"],
        digest=corpus["corpus_sha256"][:_DIGEST_LENGTH],
        source_type="local",
        source=json.dumps({"uri": root}),
        profile=json.dumps(profile | digests),
    )


def _accuracies(client: mlflow.MlflowClient, trial: Run, model_id: str, corpus: Dataset) -> list[Metric]:
    """The trial's last accuracies once more, this time as the model's on the corpus; MLflow keeps one of two equal ones in the run."""
    metrics = []
    for name in sorted(trial.data.metrics):
        if not re.fullmatch(r"(val|test)\.\w*accuracy", name) or "_epoch_" in name:
            continue
        last = client.get_metric_history(trial.info.run_id, name)[-1]
        metrics.append(
            Metric(
                name,
                last.value,
                last.timestamp,
                last.step,
                model_id=model_id,
                dataset_name=corpus.name,
                dataset_digest=corpus.digest,
                run_id=trial.info.run_id,
            )
        )
    return metrics


@contextmanager
def _quiet() -> Iterator[None]:
    """MLflow remarks about what is meant here: no example of an input, no inferred requirements."""
    logger = logging.getLogger("mlflow")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        logger.setLevel(level)
