"""Models in MLflow: a study's winner, loadable with `mlflow.pyfunc`, with the corpus that it learned from.

    mlflow.set_tracking_uri("sqlite:////data/acl-runs/mlflow.db")
    mlflow.pyfunc.load_model("models:/MODEL_ID").predict(["a.wav", "b.flac"])   # [2, D] embeddings

The model is what `acl-study export` wrote, read by `acl.pyfunc`: no pickled code. Its input is paths of audio files, in a list or
in the one column of a frame, and not a tensor of waveforms: recordings differ in length and rate, and one tensor has room for
neither. Who has samples in memory calls `acl.exported.Exported.embed`.
"""

import json
import logging
import re
import tempfile
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import metadata
from pathlib import Path
from typing import Any

import mlflow
import numpy as np
from mlflow.entities import Dataset, DatasetInput, InputTag, LoggedModelOutput, LoggedModelStatus, Metric, Run
from mlflow.models import Model, ModelSignature
from mlflow.types import ColSpec, Schema, TensorSpec
from mlflow.utils.mlflow_tags import (
    MLFLOW_DATASET_CONTEXT,
    MLFLOW_RUN_NOTE,
    MLFLOW_SOURCE_NAME,
    MLFLOW_SOURCE_TYPE,
    MLFLOW_USER,
)

from acl import pyfunc
from acl.exported_files import CONFIG_FILE, LABELS_FILE
from acl.provenance import PROJECT
from study import names
from study.tracking.store import translate_mlflow_errors

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # about type hints of MLflow's own
    import mlflow.pyfunc

_MODEL_TYPE = "audio embedding"
_ORIGIN = (MLFLOW_USER, MLFLOW_SOURCE_NAME, MLFLOW_SOURCE_TYPE)  # tags of the trial that its model has, too
_DIGEST_LENGTH = 36  # what MLflow keeps of a digest; the profile has all of it
_CLIP = Schema([ColSpec("string", "clip"), ColSpec("string", "label")])  # a row of a corpus
_NOT_IN_A_NAME = re.compile(r"[/:.%\"']+")


@translate_mlflow_errors
def log_winner(store_uri: str, trial_run_id: str, exported: Path) -> str:
    """Log an exported trial as a model of its run and of its study's run; returns the model's id.

    Both runs get the corpus as input, with its digest; the model gets the trial's settings and the accuracies of its weights. A
    trial whose model is logged already keeps that one; half a model, of a process that was killed, is deleted.

    Args:
        store_uri: MLflow tracking store.
        trial_run_id: run of the trial.
        exported: folder that `study.models.export.export_trial` wrote for this trial.
    """
    client = mlflow.MlflowClient(store_uri)
    trial = client.get_run(trial_run_id)
    study_run_id = trial.data.tags[names.STUDY_RUN]
    about = json.loads((exported / CONFIG_FILE).read_text(encoding="utf-8"))
    classes = json.loads((exported / LABELS_FILE).read_text(encoding="utf-8"))
    note = (
        f"Paths of audio files → embeddings [files, {about['embedding_dim']}] float32. Model card: data/{exported.name}/README.md."
    )
    corpus = _corpus(about, classes, trial.data.params.get("data.root", ""))
    for run_id in (study_run_id, trial_run_id):
        client.log_inputs(run_id, [DatasetInput(corpus, [InputTag(MLFLOW_DATASET_CONTEXT, "training and evaluation")])])
    model_id = _logged(client, trial) or _log(client, trial, exported, about, corpus, note)
    for run_id in (study_run_id, trial_run_id):  # last: what a run names is complete
        outputs = client.get_run(run_id).outputs
        if outputs is None or model_id not in [output.model_id for output in outputs.model_outputs]:
            client.log_outputs(run_id, [LoggedModelOutput(model_id, step=about["selected_epoch"])])
    return model_id


@translate_mlflow_errors
def name_winners(store_uri: str, study_run_id: str, model_ids: list[str]) -> None:
    """Say on the study's run which of its models are its winners: after a retry, another one may have won."""
    mlflow.MlflowClient(store_uri).set_tag(study_run_id, names.WINNERS, ", ".join(model_ids))


def _logged(client: mlflow.MlflowClient, trial: Run) -> str | None:
    """The trial's whole model, if there is one."""
    condition = f"tags.`{names.TRIAL_RUN}` = '{trial.info.run_id}'"
    found = client.search_logged_models([trial.info.experiment_id], condition)
    whole = [model.model_id for model in found if model.status == LoggedModelStatus.READY]
    for model in found:
        if model.status != LoggedModelStatus.READY:
            client.delete_logged_model(model.model_id)
    return str(whole[0]) if whole else None


def _log(client: mlflow.MlflowClient, trial: Run, exported: Path, about: dict[str, Any], corpus: Dataset, note: str) -> str:
    trial_run_id = trial.info.run_id
    model = client.create_logged_model(
        trial.info.experiment_id,
        name=_NOT_IN_A_NAME.sub("-", f"{trial.data.tags[names.STUDY]} {trial.data.tags[names.SWEEP]}"),
        source_run_id=trial_run_id,
        tags={
            **{name: trial.data.tags[name] for name in (names.STUDY, names.SWEEP, names.TRIAL_ID)},
            **{name: trial.data.tags[name] for name in _ORIGIN if name in trial.data.tags},
            names.TRIAL_RUN: trial_run_id,
            MLFLOW_RUN_NOTE: note,
        },
        params=trial.data.params,
        model_type=_MODEL_TYPE,
    )
    try:
        with tempfile.TemporaryDirectory() as folder:
            saved = Model(artifact_path=model.artifact_location, run_id=trial_run_id, model_id=model.model_id)
            _save(Path(folder, "model"), exported, saved, about["embedding_dim"])
            client.log_model_artifacts(model.model_id, str(Path(folder, "model")))
        client.log_batch(trial_run_id, metrics=_accuracies(client, trial_run_id, about, model.model_id, corpus))
    except BaseException:
        client.finalize_logged_model(model.model_id, LoggedModelStatus.FAILED)
        raise
    client.finalize_logged_model(model.model_id, LoggedModelStatus.READY)
    return str(model.model_id)


def _save(path: Path, exported: Path, model: Model, dimensions: int) -> None:
    """Write the model's folder as MLflow keeps it."""
    with _quiet():
        mlflow.pyfunc.save_model(
            path,
            loader_module=pyfunc.__name__,
            data_path=str(exported),
            signature=_signature(dimensions),
            # Named here: else MLflow imports the model in another process to find out, and asks the network.
            pip_requirements=[f"{package}=={metadata.version(package)}" for package in (PROJECT, "mlflow")],
            mlflow_model=model,
        )


def _signature(dimensions: int) -> ModelSignature:
    """Paths → embeddings `[-1, D]`."""
    return ModelSignature(
        inputs=Schema([ColSpec("string")]),  # a column without a name takes lists, series and frames
        outputs=Schema([TensorSpec(np.dtype(np.float32), (-1, dimensions))]),
    )


def _corpus(about: dict[str, Any], classes: list[str], root: str) -> Dataset:
    """The corpus as MLflow's dataset, which is one for all runs on it: nothing here depends on the run."""
    corpus = about["corpus"]
    clips = {f"{split} clips": number for split, number in corpus["clips_in_corpus"].items()}
    profile = {**clips, "classes": len(classes), "corpus_sha256": corpus["corpus_sha256"]}
    return Dataset(
        name=corpus["name"],
        digest=corpus["corpus_sha256"][:_DIGEST_LENGTH],
        source_type="local",
        source=json.dumps({"uri": root}),
        profile=json.dumps(profile),
        schema=json.dumps({"mlflow_colspec": _CLIP.to_dict()}),  # as MLflow's page reads it
    )


def _accuracies(client: mlflow.MlflowClient, run_id: str, about: dict[str, Any], model_id: str, corpus: Dataset) -> list[Metric]:
    """Accuracies of the exported weights as the model's on the corpus: the run's last ones again, of which MLflow keeps one."""
    histories = [client.get_metric_history(run_id, name) for name in about["accuracies"]]
    last = [max(history, key=lambda metric: metric.step) for history in histories if history]
    of_model = {"model_id": model_id, "dataset_name": corpus.name, "dataset_digest": corpus.digest, "run_id": run_id}
    return [Metric(metric.key, metric.value, metric.timestamp, metric.step, **of_model) for metric in last]


@contextmanager
def _quiet() -> Iterator[None]:
    """MLflow remarks about what is meant here: no example of an input, no inferred requirements."""
    logger = logging.getLogger("mlflow")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.setLevel(level)
