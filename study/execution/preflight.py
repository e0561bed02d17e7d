"""Checks before a launch. Those come first that need neither torch nor Ray nor MLflow, whose imports take seconds."""

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from uuid import uuid4

from acl.config import Config, SelfSupervisedConfig, build_config, flatten
from acl.store.feature_store import FeatureStore
from study import names
from study.errors import StudyError
from study.machine import has_gpu
from study.search.warm_start import earlier_results
from study.spec.schedulers import Pbt
from study.spec.space import edge_points
from study.spec.study import Study
from study.spec.sweep import Sweep
from study.state.completion import pending_sweeps
from study.state.home import Home, invocation
from study.state.inputs import Inputs, check_inputs, current_inputs
from study.state.journal import EarlierResult
from study.state.storage import Storage
from study.state.study_folder import TrackingRef, check_unchanged, load_storage, load_tracking_ref, study_digest, study_storage
from study.tracking.uri import check_store


@dataclass(frozen=True)
class LaunchRequest:
    """A launch that may begin.

    Attributes:
        study: what is left of it is run.
        home: folder of results.
        tags: of the study's record.
        tracking: where its records are.
        is_first: whether it was never launched here, so that this is not noted yet.
        storage: where its trials keep their state; None is the home.
        address: of a Ray cluster; None starts Ray on this machine.
        inputs: what the study's numbers are made of; None where nothing is left to run.
        warm_start: known results with which searches begin, by sweep; of sweeps whose journals do not have them yet.
    """

    study: Study
    home: Home
    tags: Mapping[str, str]
    tracking: TrackingRef
    is_first: bool
    storage: Storage | None
    address: str | None
    inputs: Inputs | None = None
    warm_start: Mapping[str, list[EarlierResult]] = field(default_factory=dict)

    @property
    def resumption(self) -> str:
        """The command that continues the study."""
        at = "" if self.address is None else f" --address {self.address}"
        return invocation(f"resume {self.study.name}", self.home) + at


def preflight(
    study: Study, home: Home, *, store_uri: str | None = None, address: str | None = None, storage_uri: str | None = None
) -> LaunchRequest:
    """A launch of `study`; one that was launched before under this name continues.

    Args:
        store_uri: MLflow tracking store; None takes the one that the study was launched with, at first the home's own.
        address: of a Ray cluster; None starts Ray on this machine.
        storage_uri: where trials keep their state; None takes the one that the study was launched with, at first the home itself.

    Raises:
        StudyError: another study was launched under this name, it keeps its records or its state elsewhere, the store does not
            answer, a trial could not run, or takes a GPU that this machine has not.
            An earlier study of its warm_start is unknown or has nothing that fits. Its features are not those of its earlier
            trials.
        StoreError: the corpus is not prepared, or its features have changed since.
    """
    tags = _study_tags(study)
    check_unchanged(home, study)
    kept = load_tracking_ref(home, study.name)
    if kept is not None and store_uri not in (None, kept.store_uri):
        raise StudyError(
            f"study {study.name!r} keeps its records in {kept.store_uri}, not {store_uri}; leave --store out, or `sync` it"
        )
    if store_uri is not None:
        check_store(store_uri)
    tracking = kept or TrackingRef(store_uri or home.store_uri, uuid4().hex)
    storage = _storage(study, home, storage_uri, tracking.key, first=kept is None)
    warm_start, notes = earlier_results(study, home)
    pending = pending_sweeps(study, home)
    check_runnable(pending, knows_machine=address is None)
    inputs = current_inputs(study) if pending else None
    changes = [] if inputs is None else check_inputs(home, study, inputs)
    for note in [*notes, *changes]:
        print(f"note: {note}", file=sys.stderr)
    return LaunchRequest(study, home, tags, tracking, kept is None, storage, address, inputs, warm_start)


def _storage(study: Study, home: Home, uri: str | None, key: str, *, first: bool) -> Storage | None:
    """Where the study's trials keep their state, if not in the home.

    Raises:
        StudyError: it has been launched with another one, or cannot do with one.
    """
    given = study_storage(uri, study.name, key) if uri is not None else None
    storage = given if first else load_storage(home, study.name)
    if given not in (None, storage):
        where = "in its home folder" if storage is None else f"in {storage.uri}"
        raise StudyError(f"study {study.name!r} keeps the state of its trials {where}, not in {uri}; leave --storage out")
    check_storable(study, None if storage is None else storage.uri)
    return storage


def _study_tags(study: Study) -> dict[str, str]:
    """What heads the study's record; opens every sweep's features, so that a missing corpus is refused before anything else."""
    stores = [FeatureStore.open(Path(str(sweep.base.get("data.root", ""))), sweep.base["mode"]) for sweep in study.sweeps]
    return {
        names.QUESTION: study.question.strip(),
        names.PAPER_FOUND: study.paper_found.strip(),
        names.PROFILE: study.profile,
        names.STUDY_DIGEST: study_digest(study),
        names.DEPARTURES: study.departures,
        names.CORPUS: ", ".join(dict.fromkeys(store.metadata["corpus"] for store in stores)),
        names.CORPUS_IS_SYNTHETIC: str(any(store.metadata["is_synthetic"] for store in stores)).lower(),
        names.CORPUS_SUBSETS: ", ".join(dict.fromkeys(subset for store in stores for subset in store.subsets)),
        **({} if study.confirms is None else {names.CONFIRMS: study.confirms}),
    }


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
            f"sweep {sweep.name}: compute.device is cuda, but its trials take no GPU and see none; pass --gpus 1, or "
            "--set compute.device=auto"
        )
    if gpus and knows_machine and not has_gpu():
        device = "--set compute.device=auto and " * is_cuda
        raise StudyError(
            f"sweep {sweep.name}: a trial takes {sweep.resources.words}, but torch sees no GPU on this machine; pass "
            f"{device}--gpus 0 to train on CPUs, take --profile mini for a small study, or run it on a machine with a GPU"
        )


def _check_clips(sweep: str, configs: list[Config]) -> None:
    """As the stages do when they start, without the features themselves and without this process's threads."""
    from acl.system.errors import SplitError
    from acl.training.label_noise import inject_noise
    from acl.training.self_supervised import SelfSupervisedSetup
    from acl.training.splits import split_clips, with_test_fold

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
