"""One trial: what a Ray worker runs."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ray import tune

from acl.config import Config, build_config
from acl.training import fit
from study import record_names as names
from study.predictions import predictions_csv
from study.searcher import POINT

EPOCH = "epoch"  # key of a result: number of the epoch
RUNG_EPOCH = "rung_epoch"  # key of a result: the epoch at which the scheduler may stop the trial
IS_LAST = "is_last"  # key of a result: whether the run is complete


def trial_settings(common: Mapping[str, Any], ray_config: Mapping[str, Any]) -> dict[str, Any]:
    """Settings of a trial by dotted name: those common to the sweep and the trial's point."""
    return {**common, **ray_config[POINT]}


def state_folder(sweep_folder: Path, trial_id: str) -> Path:
    """Where a trial keeps its checkpoint, what its numbers came from and, from the last epoch on, its predictions."""
    return sweep_folder / trial_id / "state"


def run_trial(ray_config: Mapping[str, Any], common: Mapping[str, Any], sweep_folder: str) -> None:
    """Train one trial and report each epoch; continues behind the last epoch that its state folder holds.

    The state is the trial's own, not Ray's: Ray deletes checkpoints before its snapshot of the experiment stops naming them, so a
    driver killed in between could never restore the trial.
    """
    config = build_config(trial_settings(common, ray_config))
    folder = state_folder(Path(sweep_folder), tune.get_context().get_trial_id())
    for result in fit(config, folder):
        if result.predictions:
            (folder / names.PREDICTIONS_FILE).write_text(predictions_csv(result), encoding="utf-8")
        # Ray may end the trial inside report: nothing may come after the last one.
        tune.report({**result.metrics, EPOCH: result.epoch, IS_LAST: result.is_last, **rung_epoch(config, result.epoch)})


def rung_epoch(config: Config, epoch: int) -> dict[str, int]:
    """The epoch as the scheduler sees it: it compares trials while their objective can change, before the last epoch of the first
    stage. What is trained after pre-training changes no kNN accuracy.
    """
    return {RUNG_EPOCH: epoch} if epoch < config.optim.epochs else {}
