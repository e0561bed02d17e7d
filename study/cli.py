"""The command line, `acl-study`. Heavy imports stay inside the commands, so that --help answers at once."""

import sys
import tempfile
import traceback
from importlib import metadata
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console

from study.data_cli import data_app
from study.home import DEFAULT_HOME, Home

PROJECT_PACKAGES = ("acl", "study", "analysis")

app = typer.Typer(
    help="Studies of angular contrastive loss: train, sweep, record and report.",
    no_args_is_help=True,
    invoke_without_command=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
app.add_typer(data_app, name="data")
console = Console(stderr=True, highlight=False)

HomeOption = Annotated[Path, typer.Option("--home", envvar="ACL_STUDY_HOME", help="Folder of all results.")]
SetOption = Annotated[list[str], typer.Option("--set", metavar="NAME=VALUE", help="A setting by its dotted name; repeatable.")]
StoreOption = Annotated[
    str | None, typer.Option("--store", help="MLflow tracking URI; default: the SQLite store in the home folder.")
]
DataOption = Annotated[Path | None, typer.Option("--data", help="Corpus folder; short for --set data.root=DIR.")]
AddressOption = Annotated[str | None, typer.Option("--address", help="Ray cluster, e.g. auto; default: Ray on this machine alone.")]
CpusOption = Annotated[float | None, typer.Option("--cpus", min=0.01, help="CPUs of each trial; default: the study's.")]
GpusOption = Annotated[float | None, typer.Option("--gpus", min=0, help="GPUs of each trial, fractions share one.")]
ProfileOption = Annotated[
    str | None,
    typer.Option("--profile", help="recipe; paper-ssl, paper-supervised: all published settings; mini: small, on a CPU."),
]


def main() -> None:
    """Entry point: failures are one line and a non-zero exit status."""
    try:
        sys.exit(app(standalone_mode=False) or 0)
    except (KeyboardInterrupt, typer.Abort):
        sys.exit(130)
    except Exception as error:
        sys.exit(_explain(error))


def _explain(error: Exception) -> int:
    """Print `error` as one line; what this project did not foresee leaves its traceback in a file."""
    if hasattr(error, "format_message"):  # typer's own: wrong option, missing argument, or (without a message) help was shown
        if message := error.format_message():
            console.print(f"error: {message.rstrip('.')}; see --help", markup=False, soft_wrap=True)
        return 2
    if type(error).__module__.partition(".")[0] in PROJECT_PACKAGES or isinstance(error, OSError):
        console.print(f"error: {error}", markup=False, soft_wrap=True)
        return 1
    log = Path("acl-study-error.log").absolute()
    try:
        log.write_text(traceback.format_exc(), encoding="utf-8")
    except OSError:  # a folder that cannot be written
        log = Path(tempfile.gettempdir()) / log.name
        log.write_text(traceback.format_exc(), encoding="utf-8")
    first_line = (str(error).splitlines() or [""])[0]
    console.print(f"error: unexpected {type(error).__name__}: {first_line} (details in {log})", markup=False, soft_wrap=True)
    return 1


def given_resources(cpus: float | None, gpus: float | None) -> dict[str, float]:
    """Those of a trial's resources that the command line names."""
    return {key: value for key, value in (("cpus", cpus), ("gpus", gpus)) if value is not None}


@app.callback()
def version_option(version: Annotated[bool, typer.Option("--version", help="Print the version and end.")] = False) -> None:
    if version:
        print(metadata.version("acl-study"))
        raise typer.Exit


@app.command()
def quickstart(home: HomeOption = DEFAULT_HOME) -> None:
    """Run the whole pipeline at toy size: synthetic corpus, 22 trials of both modes, report.

    Example: acl-study quickstart
    """
    from study.commands import run_study

    run_study("quickstart", Home(home))
    report(["quickstart"], home=home)


@app.command()
def studies() -> None:
    """List the shipped studies with their questions.

    Example: acl-study studies
    """
    from study.study_files import read_study, resolve_study, shipped_studies

    for name in shipped_studies():
        study = resolve_study(read_study(name))
        print(f"{name:20} {study.runs:4} trials  {study.question.strip()}")


@app.command()
def run(
    study: Annotated[str, typer.Argument(help="Study file, or the name of a shipped study.")],
    data: DataOption = None,
    name: Annotated[str | None, typer.Option("--name", help="Name of the results; default: the study's.")] = None,
    profile: ProfileOption = None,
    settings: SetOption = [],  # noqa: B006 (typer copies it)
    cpus: CpusOption = None,
    gpus: GpusOption = None,
    address: AddressOption = None,
    store: StoreOption = None,
    home: HomeOption = DEFAULT_HOME,
) -> None:
    """Run a study; one that was interrupted continues.

    Example: acl-study run table1-supervised --data /data/FSDnoisy18k
    """
    from study.commands import parse_settings, run_study

    options: dict[str, Any] = {"name": name, "profile": profile, "overrides": parse_settings(settings, data)}
    run_study(study, Home(home), **options, resources=given_resources(cpus, gpus), address=address, store=store)


@app.command()
def resume(
    name: Annotated[str, typer.Argument(help="Name under which the study was launched.")],
    address: AddressOption = None,
    store: StoreOption = None,
    home: HomeOption = DEFAULT_HOME,
) -> None:
    """Continue a study after Ctrl-C or a crash.

    Example: acl-study resume table1-supervised
    """
    from study.commands import launch_study
    from study.launched import load_launched

    launch_study(load_launched(Home(home), name), Home(home), address, store)


@app.command()
def status(
    name: Annotated[str | None, typer.Argument(help="Name of a launched study; none lists all.")] = None,
    watch: Annotated[bool, typer.Option("--watch", help="Show it anew every few seconds, until Ctrl-C.")] = False,
    home: HomeOption = DEFAULT_HOME,
) -> None:
    """Show how far studies are, while they run or afterwards.

    Example: acl-study status table1-supervised --watch
    """
    from study.status_view import show_status

    show_status(Home(home), name, watch=watch)


@app.command()
def best(
    name: Annotated[str, typer.Argument(help="Name of a launched study.")],
    store: StoreOption = None,
    home: HomeOption = DEFAULT_HOME,
) -> None:
    """Print what validation has picked, and how it compares with the baseline on the test clips.

    Example: acl-study best table1-supervised
    """
    from study.commands import existing_store
    from study.launched import load_launched

    places = Home(home)
    study, kept = load_launched(places, name), existing_store(places, store, [name])

    from study.best import print_best

    print_best(study, places, kept)


@app.command()
def confirm(
    name: Annotated[str, typer.Argument(help="Name of a study that has ended.")],
    seeds: Annotated[int | None, typer.Option("--seeds", min=2, help="How many fresh seeds; default: 5.")] = None,
    cpus: CpusOption = None,
    gpus: GpusOption = None,
    address: AddressOption = None,
    home: HomeOption = DEFAULT_HOME,
) -> None:
    """Run the winners of a study and their baselines again, on seeds that it did not use, and say what holds.

    Example: acl-study confirm table1-supervised --seeds 5
    """
    from study.commands import launch_study
    from study.confirm import confirmation_study

    study = confirmation_study(Home(home), name, seeds, given_resources(cpus, gpus))
    launch_study(study, Home(home), address, None)


@app.command()
def report(
    names: Annotated[list[str], typer.Argument(help="Names of launched studies; several go into one page.")],
    store: StoreOption = None,
    home: HomeOption = DEFAULT_HOME,
    out: Annotated[Path | None, typer.Option("--out", help="Folder of the report; default: reports/ in the home folder.")] = None,
) -> None:
    """Write one offline HTML page, and every table as CSV.

    Example: acl-study report table1-supervised table2-ssl
    """
    from analysis.report import write_report
    from study.commands import existing_store

    places = Home(home)
    page = write_report(existing_store(places, store, names), names, out or places.report(names))
    print(f"report: {page}")


@app.command()
def ui(
    store: StoreOption = None,
    home: HomeOption = DEFAULT_HOME,
    port: Annotated[int, typer.Option("--port", min=1, max=65535)] = 5000,
) -> None:
    """Browse the records in MLflow until Ctrl-C.

    Example: acl-study ui
    """
    from study.commands import existing_store, serve_records

    serve_records(existing_store(Home(home), store), port)


@app.command()
def train(
    settings: SetOption = [],  # noqa: B006
    data: DataOption = None,
    mode: Annotated[
        str | None, typer.Option("--mode", help="supervised or self-supervised; default: the profile's, or supervised.")
    ] = None,
    profile: ProfileOption = None,
    checkpoints: Annotated[
        Path | None, typer.Option("--checkpoints", help="Folder to continue from, and to save state and predictions to.")
    ] = None,
    list_settings: Annotated[
        bool, typer.Option("--list", help="List all settings of the mode with their values, and end.")
    ] = False,
) -> None:
    """Train one run without Ray and print each epoch.

    Example: acl-study train --mode supervised --data corpus --set loss.alpha=0.3
    """
    from study.train import list_lines, run_settings, train_one

    chosen = run_settings(mode, profile, settings, data)
    if list_settings:
        print("\n".join(list_lines(chosen)))
    else:
        train_one(chosen, checkpoints)


@app.command()
def doctor(profile: ProfileOption = None) -> None:
    """Show this installation; with --profile, its settings and every deviation from the published code.

    Example: acl-study doctor --profile paper-ssl
    """
    from study.doctor import installation_lines, profile_lines

    print("\n".join(installation_lines() + ([] if profile is None else profile_lines(profile))))


if __name__ == "__main__":
    main()
