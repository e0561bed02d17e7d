"""What the commands of the command line do, beyond reading their options."""

import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import typer

from acl.config import ConfigError
from study.corpus_parts import fit_to_corpus
from study.home import Home, invocation
from study.interruption import EXIT_STATUS
from study.last_words import last_words
from study.launch_checks import checked_launch
from study.options import given_resources
from study.outcomes import pending_sweeps
from study.runnable import check_runnable
from study.spec import Study, StudyError
from study.stores import existing_store
from study.study_files import read_study, replaced_searches, resolve_study
from study.yaml_places import read_value


def run_study(
    study_name: str,
    home: Home,
    *,
    address: str | None = None,
    store: str | None = None,
    storage: str | None = None,
    max_hours: float | None = None,
    **options: Any,
) -> None:
    """Resolve a study, with the `options` of `choose_study`, and launch it.

    Args:
        max_hours: a study that this machine cannot run in so many hours is refused.

    Raises:
        StudyError: the study is wrong, there is no corpus for it, or it takes too long.
    """
    study = choose_study(study_name, home, **options)
    if max_hours is not None:
        check_runnable(pending_sweeps(study, home), knows_machine=address is None)
        from study.planning import keep_within

        keep_within(study, home, max_hours, address, storage)
    launch_study(study, home, address, store, storage)


def show_plan(study_name: str, home: Home, address: str | None, storage: str | None, **options: Any) -> None:
    """Resolve a study, with the `options` of `choose_study`, and print what it would cost.

    Raises:
        StudyError: the study is wrong, there is no corpus for it, or as `study.planning.print_plan`.
    """
    study = choose_study(study_name, home, **options)
    check_runnable(pending_sweeps(study, home), knows_machine=address is None)
    from study.planning import print_plan

    print_plan(study, home, address, storage)


def choose_study(
    study_name: str,
    home: Home,
    *,
    name: str | None = None,
    profile: str | None = None,
    overrides: Mapping[str, Any] | None = None,
    resources: Mapping[str, float] | None = None,
) -> Study:
    """Resolve a study, on the synthetic corpus where the mini profile names no other, with the subsets that its corpus has.

    Raises:
        StudyError: the study is wrong, or there is no corpus for it.
    """
    content = read_study(study_name)
    if name is not None:
        content["name"] = name
    study = resolve_study(content, profile, overrides, resources)  # a wrong study is refused before a corpus is written
    if any("data.root" not in sweep.base for sweep in study.sweeps):
        if study.profile != "mini":
            raise StudyError("no corpus: pass --data DIR (a prepared corpus), or --profile mini for the synthetic one")
        from study.corpora import ensure_mini_corpus

        print("note: no --data: the trials run on the synthetic corpus of the mini profile", file=sys.stderr, flush=True)
        corpus = {"data.root": str(ensure_mini_corpus(home))}
        study = resolve_study(content, profile, {**corpus, **(overrides or {})}, resources)
    study, changes = fit_to_corpus(study, overrides or {})
    for line in [*replaced_searches(content, overrides or {}), *changes]:
        print(f"note: {line}", file=sys.stderr)
    return study


def launch_study(study: Study, home: Home, address: str | None, store: str | None, storage: str | None = None) -> None:
    """Run what is left of a study, and say how it ended and what to do next.

    Raises:
        typer.Exit: trials are left or failed.
        StudyError, StoreError: as `checked_launch` and `study.launch.launch`.
    """
    checked = checked_launch(study, home, store_uri=store, address=address, storage_uri=storage)
    from study.launch import launch  # with Ray and MLflow

    resume = checked.resumption
    with last_words(f"the launch was killed, or ended by Ray without a word; continue with: {resume}"):
        outcome = launch(checked)
    # Statistics take a second to import, which trials need not wait for.
    from study.confirm import confirmation_lines
    from study.summary import print_summary
    from study.winners import log_winners

    if not outcome.sweeps:
        print(f"{study.name} is complete: nothing was left to run")
    shown = False
    if not outcome.recorded:
        print(f"the MLflow store did not take all records; they are kept in {home.study(study.name)}, write them with: {resume}")
    else:
        kept = existing_store(home, store, [study.name])
        shown = _show("summary", lambda: print_summary(study, kept))
    if outcome.left:
        why = f"{outcome.interrupted}: " if outcome.interrupted else ""
        print(f"{why}incomplete, {outcome.left} trials are left; continue with: {resume}")
        raise typer.Exit(EXIT_STATUS)
    if outcome.recorded:
        for line in log_winners(study, home, kept):
            print(line)
        browse = invocation("ui", home) + ("" if kept == home.store_uri else f" --store {kept}")
        if study.confirms is not None:
            shown &= _show("confirmation", lambda: print("\n".join(confirmation_lines(study, kept))))
        again = "winners with:       " if study.confirms is None else "this again with:    "
        print(f"{again}{invocation(f'best {study.name}', home)}")
        print(f"report with:        {invocation(f'report {study.name}', home)}\nbrowse MLflow with: {browse}")
    if outcome.failed:
        print(f"{outcome.failed} trials failed, for the reasons above; retry with: {resume}")
    if outcome.failed or not shown:
        raise typer.Exit(1)


def _show(what: str, show: Callable[[], None]) -> bool:
    """Show figures of a study; where its records cannot be read, the reason, and what comes next is printed all the same."""
    from analysis.runs import AnalysisError
    from study.mlflow_store import RecordError, StoreUnavailableError, in_words

    try:
        in_words(show)()
    except (AnalysisError, RecordError, StoreUnavailableError) as error:
        print(f"no {what}: {error}")
        return False
    return True


def study_options(
    name: str | None, profile: str | None, settings: list[str], data: Path | None, cpus: float | None, gpus: float | None
) -> dict[str, Any]:
    """The options of `run` and `plan` as `choose_study` takes them; errors as `parse_settings`."""
    resources = given_resources(cpus, gpus)
    return {"name": name, "profile": profile, "overrides": parse_settings(settings, data), "resources": resources}


def parse_settings(settings: list[str], data: Path | None) -> dict[str, Any]:
    """Dotted name -> value of `--set NAME=VALUE` options (values as in YAML) and of `--data`.

    >>> parse_settings(["loss.alpha=0.3", "data.subset=clean"], None)
    {'loss.alpha': 0.3, 'data.subset': 'clean'}

    Raises:
        ConfigError: an option without "=".
    """
    parsed: dict[str, Any] = {}
    for setting in settings:
        name, equals, value = setting.partition("=")
        if not equals:
            raise ConfigError(f"--set takes NAME=VALUE, got {setting!r}; e.g. --set loss.alpha=0.3")
        try:
            parsed[name.strip()] = read_value(value)
        except StudyError:
            raise ConfigError(
                f"--set {name.strip()}: {value!r} is no value; write a number, a text or a list such as [0.5, 0.9]"
            ) from None
    if data is not None:
        parsed["data.root"] = str(data.absolute())
    return parsed
