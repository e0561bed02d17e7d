"""Weights out of a run: an exported model with its model card."""

import shutil
from pathlib import Path
from typing import Any

from acl.exported import write_exported
from acl.exported_files import CLASSIFIER_FILE, ENCODER_FILE
from acl.provenance import read_launches
from acl.training.selected_weights import SelectedWeights, learned_from, selected_weights
from analysis.records.runs import FoundTrial, find_trial
from study.errors import StudyError
from study.models.card import CARD_FILE, ExportedTrial, model_card
from study.state.home import Home
from study.state.study_folder import load_storage


def export_trial(reference: str, target: Path, home: Home, store_uri: str) -> ExportedTrial:
    """Write the selected weights of a trial into the folder `target`, with all that is needed to use them and a model card.

    A trial that was stopped, failed or still runs is exported with the best weights so far; its card says so.

    Args:
        reference: an MLflow run id or its beginning, or STUDY/TRIAL.
        target: does not exist yet, or is empty.
        home: where the trial keeps its state.
        store_uri: MLflow tracking store.

    Raises:
        StudyError: `target` has content, or the trial kept no weights.
        AnalysisError: there is no such trial.
        CheckpointError, StoreError: its state is unusable, or its corpus has changed or is gone.
    """
    if target.exists() and (not target.is_dir() or any(target.iterdir())):
        raise StudyError(f"{target} is there already and not empty; name a new folder")
    trial = find_trial(store_uri, reference)
    state = home.trial_state(trial.study, trial.sweep, trial.trial_id)
    if (storage := load_storage(home, trial.study)) is not None:
        storage.below(trial.sweep, trial.trial_id).fetch(state)
    if not state.exists():
        raise StudyError(f"trial {reference} keeps no weights in {state}; name the --home in which it ran, or run it first")
    selected = selected_weights(state)
    launches = read_launches(state)
    target.absolute().parent.mkdir(parents=True, exist_ok=True)
    partial = target.absolute().with_name(f".{target.absolute().name}.partial")
    shutil.rmtree(partial, ignore_errors=True)  # of an export that was killed
    try:
        partial.mkdir()
        exported = _write(partial, trial, selected, launches)
        (partial / CARD_FILE).write_text(model_card(exported, target.absolute().name), encoding="utf-8")
        partial.replace(target)
    except BaseException:
        shutil.rmtree(partial, ignore_errors=True)
        raise
    return exported


def _write(folder: Path, trial: FoundTrial, selected: SelectedWeights, launches: list[dict[str, Any]]) -> ExportedTrial:
    data = learned_from(selected)
    metadata, splits = data.store.metadata, data.splits
    about = {
        "trained_by": {"study": trial.study, "sweep": trial.sweep, "trial": trial.trial_id, "mlflow_run": trial.run_id},
        "outcome": trial.outcome,
        "selected_epoch": selected.epoch,
        "epochs_trained": selected.epochs_trained,
        "is_tested": selected.is_tested,
        "accuracies": {name: value for name, value in selected.figures.items() if name.endswith("accuracy")},
        "corpus": {
            "name": metadata["corpus"],
            "is_synthetic": metadata["is_synthetic"],
            "corpus_sha256": metadata["corpus_sha256"],
            "features_sha256": metadata["content_sha256"],
            "clips_in_corpus": {"train": len(data.store.select("all")), "test": len(data.store.test_clips())},
            "clips": {"train": len(splits.train), "val": len(splits.val), "test": len(splits.test)},
        },
    }
    weights = {ENCODER_FILE: selected.encoder} | ({CLASSIFIER_FILE: selected.classifier} if selected.classifier else {})
    classes = data.store.classes
    content = write_exported(folder, selected.config, weights, data.standardise, classes, about)
    return ExportedTrial(trial, selected, launches, content, classes)
