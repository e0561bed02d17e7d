"""Runs a study's sweeps with Ray Tune, from the beginning or from where they stopped."""

import errno
import sys
from collections.abc import Mapping
from contextlib import ExitStack, nullcontext
from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4

from acl.store import FeatureStore
from acl.training.splits import available_subsets
from study import record_names as names
from study.cluster import Cluster, check_room, cluster_of
from study.home import Home, invocation
from study.interruption import Interruption
from study.journal import Event, Journal
from study.launched import check_unchanged, keep_study, only_launch, study_digest, study_text
from study.mirror import PATIENCE_SECONDS, Mirror
from study.progress import ProgressLine
from study.ray_session import ray_session
from study.records import StudyRecord
from study.runnable import check_storable
from study.spec import Study, StudyError
from study.storage import Storage
from study.stores import begin_records
from study.sweep import Sweep
from study.sweep_run import Place, SweepOutcome, is_complete, outcome_of, run_sweep
from study.whereabouts import keep_records, records_of, storage_of, study_storage


@dataclass(frozen=True)
class Outcome:
    """How a launch ended.

    Attributes:
        sweeps: how far each sweep is that there was something to do for.
        interrupted: why the launch ended early; None if it did not.
        recorded: whether MLflow has everything.
    """

    sweeps: list[SweepOutcome]
    interrupted: str | None = None
    recorded: bool = True

    @property
    def left(self) -> int:
        """Trials that are not over."""
        return sum(sweep.left for sweep in self.sweeps)

    @property
    def failed(self) -> int:
        """Trials that failed."""
        return sum(sweep.failed for sweep in self.sweeps)


def launch(
    study: Study, home: Home, *, store_uri: str | None = None, address: str | None = None, storage_uri: str | None = None
) -> Outcome:
    """Run what is left of `study`; a study that was launched before under this name continues.

    Args:
        store_uri: MLflow tracking store; None takes the one that the study was launched with, at first the home's own.
        address: of a Ray cluster; None starts Ray on this machine.
        storage_uri: where trials keep their state; None takes the one that the study was launched with, at first the home itself.

    Raises:
        StudyError: another study was launched under this name, it is running already, it keeps its records or its state elsewhere,
            the store of a first launch does not answer, the storage cannot be used, no machine fits its trials, or one of the
            machines cannot run them.
        StoreError: the corpus is not prepared.
    """
    tags = _study_tags(study)
    check_unchanged(home, study)
    kept = records_of(home, study.name)
    if kept is not None and store_uri not in (None, kept[0]):
        raise StudyError(f"study {study.name!r} keeps its records in {kept[0]}, not {store_uri}; leave --store out, or `sync` it")
    key = uuid4().hex if kept is None else kept[1]
    storage = _storage(study, home, storage_uri, key, first=kept is None)
    interruption = Interruption(resumption(study.name, home, address))
    with only_launch(home, study.name), interruption.on_signals():
        folder = home.study(study.name)
        journals = {sweep.name: Journal(folder / sweep.name) for sweep in study.sweeps}
        pending = [sweep for sweep in study.sweeps if not is_complete(sweep, journals[sweep.name])]
        if kept is None:
            begin_records(study.name, home, store_uri or home.store_uri)
        if pending and storage is not None:
            storage.check()
        with ray_session(address, interruption) if pending else nullcontext(), ExitStack() as machines:
            cluster = Cluster()
            if pending:
                check_room(pending)
                if address is not None:
                    cluster = machines.enter_context(cluster_of(folder, pending, storage, interruption))
            keep_study(home, study)
            if kept is None:  # noted before there is a run in the store, which is found by its key whenever this process dies
                kept = store_uri or home.store_uri, key
                keep_records(home, study.name, store_uri, key, storage_uri)
            record = StudyRecord(kept[0], study.name, kept[1], tags, study_text(study))
            places = {sweep.name: Place(folder / sweep.name, cluster, storage and storage.below(sweep.name)) for sweep in pending}
            return _run(study, pending, places, folder, journals, record, interruption)


def resumption(name: str, home: Home, address: str | None) -> str:
    """The command that continues a study."""
    return invocation(f"resume {name}", home) + ("" if address is None else f" --address {address}")


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


def _run(
    study: Study,
    pending: list[Sweep],
    places: Mapping[str, Place],
    folder: Path,
    journals: dict[str, Journal],
    record: StudyRecord,
    interruption: Interruption,
) -> Outcome:
    shown: list[ProgressLine] = []

    def say(line: str) -> None:
        if shown:
            shown[-1].say(line)
        else:
            print(line, file=sys.stderr, flush=True)

    patience = PATIENCE_SECONDS
    mirror = Mirror(record, folder, {sweep.name: (sweep, journals[sweep.name]) for sweep in study.sweeps}, say)
    try:
        for sweep in pending:

            def announce(progress: ProgressLine, event: Event, name: str = sweep.name) -> None:
                shown[:] = [progress]
                mirror.add(name, event)

            run_sweep(sweep, places[sweep.name], journals[sweep.name], interruption, announce)
            if interruption.reason is not None:
                break
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT):
            raise
        interruption.request(f"the disk is full ({error.strerror or error}); make room first")
        patience = 0.0  # the store may lie on it
    finally:
        outcomes = [outcome_of(sweep, journals[sweep.name]) for sweep in pending]
        recorded = mirror.close(complete=not any(outcome.left for outcome in outcomes), patience=patience)
        for journal in journals.values():
            journal.close()
    return Outcome(outcomes, interruption.reason, recorded)


def _study_tags(study: Study) -> dict[str, str]:
    """What heads the study's record; opens every sweep's features, so that a missing corpus is refused before anything runs."""
    stores = [FeatureStore.open(Path(str(sweep.base.get("data.root", ""))), sweep.base["mode"]) for sweep in study.sweeps]
    return {
        names.QUESTION: study.question.strip(),
        names.PAPER_FOUND: study.paper_found.strip(),
        names.PROFILE: study.profile,
        names.STUDY_DIGEST: study_digest(study),
        names.DEPARTURES: study.departures,
        names.CORPUS: ", ".join(dict.fromkeys(store.metadata["corpus"] for store in stores)),
        names.CORPUS_IS_SYNTHETIC: str(any(store.metadata["is_synthetic"] for store in stores)).lower(),
        names.CORPUS_SUBSETS: ", ".join(dict.fromkeys(subset for store in stores for subset in available_subsets(store))),
        **({} if study.confirms is None else {names.CONFIRMS: study.confirms}),
    }
