"""The commands `run`, `resume` and `plan`, beyond reading their options."""

from collections.abc import Callable
from typing import TYPE_CHECKING

import typer

from acl.system.signals import EXIT_STATUS
from study.cli.json_fields import best_fields, confirmation_fields, plan_fields
from study.cli.resolve import StudyOptions, choose_study
from study.console import print_json, print_lines, reserved_stdout
from study.errors import RecordError, StoreUnavailableError
from study.execution.end_command import command_at_end
from study.execution.interruption import last_words
from study.execution.preflight import check_runnable, preflight
from study.spec.study import Study
from study.state.completion import pending_sweeps, study_left, study_remarks
from study.state.home import Home, invocation
from study.tracking.uri import existing_store

if TYPE_CHECKING:
    from study.execution.launch import Outcome  # with Ray and MLflow


def run_study(
    study_name: str,
    home: Home,
    options: StudyOptions | None = None,
    *,
    address: str | None = None,
    store: str | None = None,
    storage: str | None = None,
    max_hours: float | None = None,
    on_end: str | None = None,
) -> None:
    """Resolve a study and launch it.

    Args:
        max_hours: a study that this machine cannot run in so many hours is refused.
        on_end: shell command that runs when the launch has ended.

    Raises:
        StudyError: the study is wrong, there is no corpus for it, or it takes too long.
    """
    study = choose_study(study_name, home, options or StudyOptions())
    if max_hours is not None:
        check_runnable(pending_sweeps(study, home), knows_machine=address is None)
        from study.planning.check import keep_within

        keep_within(study, home, max_hours, address, storage)
    launch_study(study, home, address, store, storage, on_end=on_end)


def show_plan(
    study_name: str, home: Home, options: StudyOptions, address: str | None, storage: str | None, *, as_json: bool = False
) -> None:
    """Resolve a study, measure what it would cost and print that.

    Raises:
        StudyError: the study is wrong, there is no corpus for it, or as `study.planning.check.measure_plan`.
    """
    with reserved_stdout(as_json):
        study = choose_study(study_name, home, options)
        check_runnable(pending_sweeps(study, home), knows_machine=address is None)
        from study.planning.check import measure_plan
        from study.planning.text import plan_lines

        plan = measure_plan(study, home, address, storage)
    if as_json:
        print_json(plan_fields(plan))
    else:
        print_lines(plan_lines(plan))


def launch_study(
    study: Study, home: Home, address: str | None, store: str | None, storage: str | None = None, *, on_end: str | None = None
) -> None:
    """Run what is left of a study, say how it ended and what to do next, and run the command `on_end`.

    Raises:
        typer.Exit: trials are left or failed.
        StudyError, StoreError: as `preflight` and `study.execution.launch.launch`.
    """
    checked = preflight(study, home, store_uri=store, address=address, storage_uri=storage)
    from study.execution.launch import launch  # with Ray and MLflow

    resume = checked.resumption
    with command_at_end(on_end, study, home) as end:
        with last_words(f"the launch was killed, or ended by Ray without a word; continue with: {resume}"):
            outcome = launch(checked, end.begin)
        end.state = outcome.state
        _conclude(study, home, store, outcome, resume)


def print_results(study: Study, home: Home, store_uri: str) -> None:
    """Print the object of `best --json`, or of a study that confirms another one that of `confirm --json`.

    Raises:
        AnalysisError: the study has no trials yet.
    """
    from study.results.confirm import confirmations
    from study.results.study_results import StudyResults

    left = sum(study_left(study, home).values())
    if study.confirms is not None:
        print_json(confirmation_fields(study, confirmations(study, store_uri), left))
    else:
        print_json(best_fields(StudyResults(study, store_uri), left))


def _conclude(study: Study, home: Home, store: str | None, outcome: "Outcome", resume: str) -> None:
    """Say how a launch ended and what to do next; `resume` is the command that continues.

    Raises:
        typer.Exit: trials are left or failed, or the records cannot be read.
    """
    # Statistics take a second to import, which trials need not wait for.
    from study.results.best import print_summary
    from study.results.confirm import confirmation_lines
    from study.results.publish import log_figures, log_winners

    if not outcome.sweeps:
        print(f"{study.name} is complete: nothing was left to run")
    shown = False
    if not outcome.recorded:
        print(f"the MLflow store did not take all records; they are kept in {home.study(study.name)}, write them with: {resume}")
    else:
        kept = existing_store(home, store, [study.name])
        shown = _show("summary", lambda: print_summary(study, kept))
    for line in study_remarks(study, home):
        print(line)
    if outcome.left:
        for line in log_figures(study, home, kept) if outcome.recorded else []:
            print(line)
        why = f"{outcome.interrupted}: " if outcome.interrupted else ""
        print(f"{why}incomplete, {outcome.left} trials are left; continue with: {resume}")
        raise typer.Exit(EXIT_STATUS)
    if outcome.recorded:
        for line in log_winners(study, home, kept):
            print(line)
        browse = invocation("ui", home) + ("" if kept == home.store_uri else f" --store {kept}")
        if study.confirms is not None:
            shown &= _show("confirmation", lambda: print_lines(confirmation_lines(study, kept)))
        again = "winners with:       " if study.confirms is None else "this again with:    "
        print(f"{again}{invocation(f'best {study.name}', home)}")
        print(f"report with:        {invocation(f'report {study.name}', home)}\nbrowse MLflow with: {browse}")
    if outcome.failed:
        print(f"{outcome.failed} trials failed, for the reasons above; retry with: {resume}")
    if outcome.refused:
        print(
            f"MLflow refused records, for the reasons above: reports lack them; {home.study(study.name)} has them in its journals"
        )
    if outcome.failed or outcome.refused or not shown:
        raise typer.Exit(1)


def _show(what: str, show: Callable[[], None]) -> bool:
    """Show figures of a study; where its records cannot be read, the reason, and what comes next is printed all the same."""
    from analysis.errors import AnalysisError
    from study.tracking.store import translate_mlflow_errors

    try:
        translate_mlflow_errors(show)()
    except (AnalysisError, RecordError, StoreUnavailableError) as error:
        print(f"no {what}: {error}")
        return False
    return True
