"""One trial: what a Ray worker runs."""

import csv
import io
import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ray import tune

from acl.config import build_config
from acl.training import ClipPrediction, fit
from study import record_names as names
from study.searcher import POINT

EPOCH = "epoch"  # key of a result: number of the epoch
IS_LAST = "is_last"  # key of a result: whether the run is complete


def trial_settings(common: Mapping[str, Any], ray_config: Mapping[str, Any]) -> dict[str, Any]:
    """Settings of a trial by dotted name: those common to the sweep and the trial's point."""
    return {**common, **ray_config[POINT]}


def run_trial(ray_config: Mapping[str, Any], common: Mapping[str, Any]) -> None:
    """Train one trial and report each epoch with its checkpoint; continues from the checkpoint that Ray restores."""
    config = build_config(trial_settings(common, ray_config))
    with tempfile.TemporaryDirectory(prefix="acl-study-trial-") as name:
        folder = Path(name)
        restored = tune.get_checkpoint()
        if restored is not None:
            with restored.as_directory() as saved:
                shutil.copytree(saved, folder, dirs_exist_ok=True)
        for result in fit(config, folder):
            if result.is_last:
                (folder / names.PREDICTIONS_FILE).write_text(predictions_csv(result.predictions), encoding="utf-8")
            # Ray copies the folder before report returns, and may end the trial inside it: nothing may come after the last one.
            tune.report(
                {**result.metrics, EPOCH: result.epoch, IS_LAST: result.is_last}, checkpoint=tune.Checkpoint.from_directory(folder)
            )


def predictions_csv(predictions: list[ClipPrediction]) -> str:
    """Predictions as CSV text, one row per clip."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(
        [
            names.PREDICTION_SPLIT,
            names.PREDICTION_CLIP,
            names.PREDICTION_LABEL,
            names.PREDICTION_PREDICTED,
            names.PREDICTION_PATCHES,
        ]
    )
    writer.writerows([row.split, row.clip, row.label, row.predicted, row.patches] for row in predictions)
    return text.getvalue()
