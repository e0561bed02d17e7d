"""The launch of a study's sweeps with Ray Tune, from the beginning or from where they stopped."""

import sys
from collections.abc import Callable, Mapping
from contextlib import ExitStack, nullcontext
from dataclasses import asdict, dataclass
from pathlib import Path

from acl.system.os_errors import explain_os_error, is_of_the_disk
from study.execution.cluster import Cluster, check_room, cluster_of
from study.execution.end_command import EndState
from study.execution.interruption import Interruption
from study.execution.preflight import LaunchRequest
from study.execution.progress import ProgressLine
from study.execution.ray_session import NICENESS, niceness, ray_session
from study.execution.sweep import SweepContext, run_sweep
from study.spec.study import Study
from study.spec.sweep import Sweep
from study.state import journal as events
from study.state.completion import SweepOutcome, is_complete, outcome_of
from study.state.inputs import keep_inputs
from study.state.journal import Event, Journal
from study.state.study_folder import keep_records, keep_study, study_lock, study_text
from study.tracking.mirror import PATIENCE_SECONDS, Mirror
from study.tracking.uri import begin_records
from study.tracking.writer import StudyRecord


@dataclass(frozen=True)
class Outcome:
    """How a launch ended.

    Attributes:
        sweeps: how far each sweep is that there was something to do for.
        interrupted: why the launch ended early; None if it did not.
        recorded: whether MLflow was offered everything; what it did not take is written by the next launch.
        refused: whether MLflow has refused a record for good.
    """

    sweeps: list[SweepOutcome]
    interrupted: str | None = None
    recorded: bool = True
    refused: bool = False

    @property
    def left(self) -> int:
        """Trials that are not over."""
        return sum(sweep.left for sweep in self.sweeps)

    @property
    def failed(self) -> int:
        """Trials that failed."""
        return sum(sweep.failed for sweep in self.sweeps)

    @property
    def state(self) -> EndState:
        """State for the command of `--on-end`."""
        if self.left:
            return "interrupted"
        return "failed" if self.failed else "complete"


def launch(request: LaunchRequest, begin: Callable[[], None] = lambda: None) -> Outcome:
    """Run what is left of a study, whose launch has been checked.

    Args:
        request: the checked launch.
        begin: called once nothing can refuse the launch any more.

    Raises:
        StudyError: it is running already, the store of a first launch takes no records, the storage cannot be used, no machine fits
            its trials, or one of the machines cannot run them.
    """
    study, home, tracking = request.study, request.home, request.tracking
    interruption = Interruption(request.resumption)
    with study_lock(home, study.name), interruption.on_signals():
        folder = home.study(study.name)
        journals = {sweep.name: Journal(folder / sweep.name) for sweep in study.sweeps}
        pending = [sweep for sweep in study.sweeps if not is_complete(sweep, journals[sweep.name])]
        if request.is_first:
            begin_records(study.name, home, tracking.store_uri)
        if pending and request.storage is not None:
            request.storage.check()
        with ray_session(request.address, interruption) if pending else nullcontext(), ExitStack() as machines:
            cluster = Cluster()
            if pending:
                check_room(pending)
                if request.address is not None:
                    cluster = machines.enter_context(cluster_of(folder, pending, request.storage, interruption))
            keep_study(home, study)
            if request.is_first:  # noted before there is a run in the store, which is found by its key whenever this process dies
                store = None if tracking.store_uri == home.store_uri else tracking.store_uri
                storage = None if request.storage is None else request.storage.uri
                keep_records(home, study.name, store, tracking.key, storage)
            if request.inputs is not None:
                keep_inputs(home, study.name, request.inputs)
            _note_warm_start(request, journals)
            record = StudyRecord(tracking.store_uri, study.name, tracking.key, request.tags, study_text(study))
            contexts = {
                sweep.name: SweepContext(
                    folder / sweep.name,
                    cluster,
                    request.storage and request.storage.below(sweep.name),
                    None if request.inputs is None else request.inputs.features[sweep.name],
                )
                for sweep in pending
            }
            begin()
            if pending and request.address is None and niceness():
                line = f"trials run at nice {niceness()}: other work on this machine goes first; {NICENESS}=0 changes that"
                print(f"note: {line}", file=sys.stderr, flush=True)
            return _run(study, pending, contexts, folder, journals, record, interruption)


def _note_warm_start(request: LaunchRequest, journals: Mapping[str, Journal]) -> None:
    """Note what searches begin with: when the earlier studies change, this one does not."""
    for name, results in request.warm_start.items():
        if journals[name].warm_start is None and not journals[name].trials:
            journals[name].append(events.WARM_START, results=[asdict(result) for result in results])


def _run(
    study: Study,
    pending: list[Sweep],
    contexts: Mapping[str, SweepContext],
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

            run_sweep(sweep, contexts[sweep.name], journals[sweep.name], interruption, announce)
            if interruption.reason is not None:
                break
    except OSError as error:
        if not is_of_the_disk(error):
            raise
        interruption.request(explain_os_error(error))
        patience = 0.0  # the store may lie on it
    finally:
        outcomes = [outcome_of(sweep, journals[sweep.name]) for sweep in pending]
        recorded = mirror.close(complete=not any(outcome.left for outcome in outcomes), patience=patience)
        for journal in journals.values():
            journal.close()
    return Outcome(outcomes, interruption.reason, recorded, mirror.has_refusals)
