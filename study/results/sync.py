"""Copies of a study's records in another MLflow store: one that ran offline, pushed to a server."""

import hashlib
import sys

from study.errors import RecordError, StoreUnavailableError, StudyError
from study.state.completion import trials_left
from study.state.home import Home, invocation
from study.state.journal import Journal
from study.state.study_folder import TrackingRef, load_study, load_tracking_ref, study_lock, study_text
from study.tracking.uri import begin_records, check_store


def sync_study(name: str, store_uri: str, home: Home) -> None:
    """Write everything that the journals have into the store, and log the winners there; done again, it adds what is new.

    The study's run is found by the same key as in its own store. What the other store has is noted in a file of its own, so a
    second push begins where the first one ended, and the study's own records are not touched.

    Args:
        name: of the study.
        store_uri: MLflow tracking store.
        home: in which it was launched.

    Raises:
        StudyError: there is no such study, it is running, the store does not answer or does not take everything, or it has another
            study of this name.
    """
    study = load_study(home, name)
    kept = load_tracking_ref(home, name)
    if kept is None:
        raise StudyError(f"study {name!r} has no records yet; continue it with: {invocation(f'resume {name}', home)}")
    if store_uri == kept.store_uri:
        raise StudyError(f"study {name!r} keeps its records in {store_uri}; `resume {name}` writes what is missing there")
    check_store(store_uri)
    # Heavy imports after what is refused at once.
    from study.results.publish import log_figures, log_winners
    from study.tracking.mirror import Mirror
    from study.tracking.writer import StudyRecord

    with study_lock(home, name):
        begin_records(name, home, store_uri, kept.key)
        folder = home.study(name)
        journals = {sweep.name: (sweep, Journal(folder / sweep.name)) for sweep in study.sweeps}
        record = StudyRecord(store_uri, name, kept.key, _tags(kept), study_text(study))
        notes = f"synced-{hashlib.sha256(store_uri.encode()).hexdigest()[:12]}.json"
        left = sum(trials_left(sweep, journal) for sweep, journal in journals.values())
        taken = Mirror(record, folder, journals, _say, notes).close(complete=not left)
        if taken:
            for line in (log_figures if left else log_winners)(study, home, store_uri):
                _say(line)
    if not taken:
        raise StudyError(f"{store_uri} did not take everything; push the rest with the same command")
    trials = sum(len(journal.trials) for _, journal in journals.values())
    unfinished = f", {left} of its trials are left: push it again when they are through" if left else ""
    print(f"{name} is in {store_uri}: {trials} trials{unfinished}")
    print(f"browse it with: {invocation('ui', home)} --store {store_uri}")
    print(f"report with:    {invocation(f'report {name}', home)} --store {store_uri}")


def _tags(tracking: TrackingRef) -> dict[str, str]:
    """What heads the study's own record: the corpus that it says this of may be gone."""
    from study.tracking.store import tags_of_record

    try:
        return tags_of_record(tracking.store_uri, tracking.key)
    except (StoreUnavailableError, RecordError) as error:
        raise StudyError(
            f"the study's own records in {tracking.store_uri} cannot be read ({error}); mend that store first"
        ) from None


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)
