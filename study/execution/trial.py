"""One trial: what a Ray worker runs."""

from collections.abc import Callable, Generator, Iterator, Mapping
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

from ray import tune

from acl.config import Config, build_config
from acl.store.feature_store import FeatureStore
from acl.system.errors import StoreError
from acl.system.files import write_durably
from acl.system.memory import give_back_freed_memory, keep_freed_memory
from acl.training import EpochResult, Population, fit
from acl.training.device import limit_gpu_memory
from study import names
from study.errors import InputError
from study.execution.code_place import CodePlace
from study.execution.predictions import predictions_csv
from study.execution.staging import scratch_folder
from study.search.keys import EPOCH, IS_LAST, POINT, RECEIVED, SOURCE, rung_epoch
from study.spec.schedulers import CHANGEABLE
from study.state.home import state_folder
from study.state.storage import Storage


def run_trial(
    ray_config: Mapping[str, Any],
    common: Mapping[str, Any],
    sweep_folder: str,
    gpu_share: float,
    copy_each: int,
    code: CodePlace | None = None,
    features: str | None = None,
    make_ready: Callable[[], None] = lambda: None,
    storage: Storage | None = None,
) -> None:
    """Train one trial and report each epoch; continues behind the last epoch that its state folder holds.

    The state is the trial's own, not Ray's: Ray deletes checkpoints before its snapshot of the experiment stops naming them, so a
    driver killed in between could never restore the trial.

    Args:
        ray_config: the trial's point, and what has been received of it.
        common: settings of all trials of the sweep.
        sweep_folder: where the sweep's trials keep their state.
        gpu_share: share of a GPU that is the trial's, 0..1; it cannot take more memory than that from others.
        copy_each: epochs between two chances of other trials to go on from this one's weights; 0 is never.
        code: of the process that has launched the study; None is not compared.
        features: SHA-256 of the features with which the study was launched; None is not compared.
        make_ready: sees to it that this machine has what the trial needs.
        storage: of the sweep; the trial's state is kept there, and in a folder of this machine only while it runs.

    Raises:
        InputError: this worker has imported other code, or finds other features.
    """
    if code is not None:
        code.check_here()
    give_back_freed_memory()
    keep_freed_memory()
    make_ready()
    config = build_config({**common, **ray_config[POINT]})
    if features is not None:
        _check_features(config, features)
    trial = tune.get_context().get_trial_id()
    limit_gpu_memory(gpu_share)
    source = Path(ray_config[SOURCE]) if ray_config.get(SOURCE) else None
    population = Population(copy_each, CHANGEABLE, source) if copy_each else None
    with _state(Path(sweep_folder), trial, storage) as (folder, kept):
        # Ray ends a trial by an exception inside report: closing() lets go of the state folder then.
        _report(fit(config, folder, population, kept), config, folder, kept, ray_config[RECEIVED])


def _check_features(config: Config, launched: str) -> None:
    try:
        found = FeatureStore.verify(config.data.root, config.mode)
    except StoreError as error:
        raise InputError(str(error)) from None
    if found != launched:
        raise InputError(
            f"the features of {config.data.root} have become {found[:12]} since the study was launched on {launched[:12]}; restore "
            "that corpus and prepare it, and resume"
        )


def _report(
    results: Generator[EpochResult, None, None], config: Config, folder: Path, kept: Callable[[Path], None], received: int
) -> None:
    with closing(results):
        for result in results:
            if result.predictions:  # also where the epoch was received: the file may be lost
                write_durably(folder / names.PREDICTIONS_FILE, predictions_csv(result))
                kept(folder / names.PREDICTIONS_FILE)
            if result.epoch <= received:
                continue
            tune.report({**result.metrics, EPOCH: result.epoch, IS_LAST: result.is_last, **rung_epoch(config, result.epoch)})


@contextmanager
def _state(sweep_folder: Path, trial: str, storage: Storage | None) -> Iterator[tuple[Path, Callable[[Path], None]]]:
    """The trial's folder, and what is to be called with each file in it that is whole."""
    if storage is None:
        yield state_folder(sweep_folder, trial), lambda file: None
        return
    own = storage.below(trial)
    with scratch_folder() as scratch:
        folder = state_folder(scratch, trial)
        own.fetch(folder)
        yield folder, own.put
