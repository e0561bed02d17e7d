"""What each trial of a study would fail with, found before the launch."""

from collections.abc import Sequence
from typing import Any

from acl.config import Config, SelfSupervisedConfig, build_config, flatten
from acl.store import FeatureStore
from study.machine import has_gpu
from study.scheduling import Pbt
from study.spaces import edge_points
from study.spec import Study, StudyError, Sweep

# What decides whether a run can start: which clips and patches there are, and how many the evaluations need.
_DECIDING = ("data.", "noise.", "knn.", "finetune.on", "compute.device")


def check_runnable(sweeps: Sequence[Sweep], *, knows_machine: bool = True) -> None:
    """Refuse corpora that have not the clips for a split, `knn.k` beyond the patches that can vote, and GPUs that are not there.

    Args:
        sweeps: whose corpora are named.
        knows_machine: whether they run on this machine, so that a GPU that is missing here is missing.

    Raises:
        StudyError: a trial of a sweep could not run; names the sweep.
        StoreError: a corpus is not prepared.
    """
    configs = {sweep.name: _deciding_configs(sweep) for sweep in sweeps}
    for sweep in sweeps:  # what is known without torch, which takes seconds to import, comes first
        for root in {config.data.root for config in configs[sweep.name]}:
            FeatureStore.open(root, sweep.base["mode"])
        for config in configs[sweep.name]:
            _check_device(sweep, config, knows_machine)
    for name, deciding in configs.items():
        _check_clips(name, deciding)


def check_storable(study: Study, storage: str | None) -> None:
    """Refuse sweeps whose trials need a folder in common where their state goes to a storage.

    Raises:
        StudyError: there is one; names it.
    """
    population = [sweep.name for sweep in study.sweeps if isinstance(sweep.scheduler, Pbt)]
    if storage is not None and population:
        raise StudyError(
            f"sweep {population[0]}: pbt hands weights from trial to trial in a folder that all machines share; put --home on one, "
            "and leave --storage out"
        )


def _deciding_configs(sweep: Sweep) -> list[Config]:
    """One configuration for each combination of deciding settings."""
    configs: dict[str, Config] = {}
    for point in edge_points(sweep.space):
        settings: dict[str, Any] = {**sweep.common, **point}
        config = build_config(settings)
        deciding = {name: value for name, value in flatten(config).items() if name.startswith(_DECIDING)}
        configs.setdefault(repr(deciding), config)
    return list(configs.values())


def _check_device(sweep: Sweep, config: Config, knows_machine: bool) -> None:
    gpus, is_cuda = sweep.resources.gpus, config.compute.device == "cuda"
    if is_cuda and gpus == 0:
        raise StudyError(
            f"sweep {sweep.name}: compute.device is cuda, but its trials take no GPU and see none; pass --gpus 1, or set "
            "compute.device to auto"
        )
    if gpus and knows_machine and not has_gpu():
        device = "set compute.device to auto and " * is_cuda
        raise StudyError(
            f"sweep {sweep.name}: a trial takes {sweep.resources.words}, but torch sees no GPU on this machine; {device}pass "
            "--gpus 0 to train on CPUs, take --profile mini for a small study, or run it on a machine with a GPU"
        )


def _check_clips(sweep: str, configs: list[Config]) -> None:
    """As the stages do when they start, without the features themselves and without this process's threads."""
    from acl.training.noise import inject_noise
    from acl.training.self_supervised import SelfSupervisedSetup
    from acl.training.splits import SplitError, split_clips, with_test_fold

    try:
        for config in configs:
            if isinstance(config, SelfSupervisedConfig):
                here = {**flatten(config), "compute.device": "cpu", "compute.threads": 0}
                anywhere = build_config(here)
                assert isinstance(anywhere, SelfSupervisedConfig)
                SelfSupervisedSetup(anywhere)
            else:
                store = with_test_fold(FeatureStore.open(config.data.root, config.mode), config.data)
                split_clips(store, config.data)
                inject_noise(store, store.select(config.data.subset), config.noise)
    except SplitError as error:
        raise StudyError(f"sweep {sweep}: {error}") from None
