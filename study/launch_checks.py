"""What speaks against a launch, found before Ray and MLflow are imported, which takes seconds; what torch must know comes last."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4

from acl.store import FeatureStore
from study import record_names as names
from study.home import Home, invocation
from study.launched import check_unchanged, study_digest
from study.outcomes import pending_sweeps
from study.runnable import check_runnable, check_storable
from study.spec import Study, StudyError
from study.storage import Storage
from study.stores import check_store
from study.whereabouts import records_of, storage_of, study_storage


@dataclass(frozen=True)
class Launch:
    """A launch that may begin.

    Attributes:
        study: what is left of it is run.
        home: folder of results.
        tags: of the study's record.
        store_uri: MLflow store of its records.
        key: of its record there.
        is_first: whether it was never launched here, so that the last two are not noted yet.
        storage: where its trials keep their state; None is the home.
        address: of a Ray cluster; None starts Ray on this machine.
    """

    study: Study
    home: Home
    tags: Mapping[str, str]
    store_uri: str
    key: str
    is_first: bool
    storage: Storage | None
    address: str | None

    @property
    def resumption(self) -> str:
        """The command that continues the study."""
        at = "" if self.address is None else f" --address {self.address}"
        return invocation(f"resume {self.study.name}", self.home) + at


def checked_launch(
    study: Study, home: Home, *, store_uri: str | None = None, address: str | None = None, storage_uri: str | None = None
) -> Launch:
    """A launch of `study`; one that was launched before under this name continues.

    Args:
        store_uri: MLflow tracking store; None takes the one that the study was launched with, at first the home's own.
        address: of a Ray cluster; None starts Ray on this machine.
        storage_uri: where trials keep their state; None takes the one that the study was launched with, at first the home itself.

    Raises:
        StudyError: another study was launched under this name, it keeps its records or its state elsewhere, the store does not
            answer, a trial could not run, or takes a GPU that this machine has not.
        StoreError: the corpus is not prepared.
    """
    tags = _study_tags(study)
    check_unchanged(home, study)
    kept = records_of(home, study.name)
    if kept is not None and store_uri not in (None, kept[0]):
        raise StudyError(f"study {study.name!r} keeps its records in {kept[0]}, not {store_uri}; leave --store out, or `sync` it")
    if store_uri is not None:
        check_store(store_uri)
    store, key = kept or (store_uri or home.store_uri, uuid4().hex)
    storage = _storage(study, home, storage_uri, key, first=kept is None)
    check_runnable(pending_sweeps(study, home), knows_machine=address is None)
    return Launch(study, home, tags, store, key, kept is None, storage, address)


def _storage(study: Study, home: Home, uri: str | None, key: str, *, first: bool) -> Storage | None:
    """Where the study's trials keep their state, if not in the home.

    Raises:
        StudyError: it has been launched with another one, or cannot do with one.
    """
    given = study_storage(uri, study.name, key) if uri is not None else None
    storage = given if first else storage_of(home, study.name)
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
