"""The command line, `acl-study`. Heavy imports stay inside the commands, so that --help answers at once."""

import io
import sys
import tempfile
import traceback
from importlib import metadata
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from acl.system.errors import AclError
from acl.system.os_errors import explain_os_error
from acl.system.signals import EXIT_STATUS, say_end, signals_raised
from acl.system.text import first_line
from analysis.errors import AnalysisError
from study.cli.about import about_app
from study.cli.data import data_app
from study.cli.launch import launch_app
from study.cli.models import model_app
from study.cli.options import (
    AddressOption,
    CpusOption,
    DataOption,
    GpusOption,
    HomeOption,
    JsonOption,
    LaunchedArgument,
    NameOption,
    OnEndOption,
    ProfileOption,
    SetOption,
    StorageOption,
    StoreOption,
    StudyArgument,
    complete_mode,
    given_resources,
)
from study.cli.results import report, results_app
from study.cli.server import server_app
from study.errors import StudyError
from study.state.home import DEFAULT_HOME, Home

EXPECTED = (AclError, StudyError, AnalysisError, OSError)  # failures with a message for who runs the program

_OF_RECORDS = ("mlflow", "sqlalchemy", "alembic")  # packages whose errors are about the records

app = typer.Typer(
    help="Studies of angular contrastive loss: train, sweep, record and report.",
    no_args_is_help=True,
    invoke_without_command=True,
    pretty_exceptions_enable=False,
)
app.add_typer(data_app, name="data")
app.add_typer(launch_app, name="launch")
app.add_typer(about_app)
app.add_typer(results_app)
app.add_typer(server_app)
app.add_typer(model_app)  # without a name: export and embed stand beside the other commands
console = Console(stderr=True, highlight=False)


def main() -> None:
    """Entry point: failures are one line and a non-zero exit status."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")  # a path need not be text that the terminal can show
    with signals_raised() as received:
        try:
            status = app(standalone_mode=False) or 0
        except (KeyboardInterrupt, typer.Abort):
            status = EXIT_STATUS
        except Exception as error:
            status = EXIT_STATUS if received else _explain(error)
    if received and status == EXIT_STATUS:
        say_end(received[0])
    sys.exit(status)


def _explain(error: Exception) -> int:
    """Print `error` as one line; what this project did not foresee leaves its traceback in a file."""
    if hasattr(error, "format_message"):  # typer's own: wrong option, missing argument, or (without a message) help was shown
        if message := error.format_message():
            said = printable(message.rstrip("."))
            console.print(f"error: {said}{' See' if said.endswith('?') else '; see'} --help", markup=False, soft_wrap=True)
        return 2
    if isinstance(error, EXPECTED):
        said = explain_os_error(error) if isinstance(error, OSError) else str(error)
        console.print(f"error: {printable(said)}", markup=False, soft_wrap=True)
        return 1
    if type(error).__module__.partition(".")[0] in _OF_RECORDS and (failure := _store_failure(error)) is not None:
        console.print(f"error: {printable(failure)}", markup=False, soft_wrap=True)
        return 1
    log = Path("acl-study-error.log").absolute()
    try:
        log.write_text(traceback.format_exc(), encoding="utf-8")
    except OSError:  # a folder that cannot be written
        log = Path(tempfile.gettempdir()) / log.name
        log.write_text(traceback.format_exc(), encoding="utf-8")
    said = printable(first_line(error, ""))
    console.print(f"error: unexpected {type(error).__name__}: {said} (details in {log})", markup=False, soft_wrap=True)
    return 1


def _store_failure(error: Exception) -> str | None:
    """A failure of the records in a line, as a launch words it; None where that is not known either."""
    from study.tracking.store import translate_mlflow_errors

    def fail() -> None:
        raise error

    try:
        translate_mlflow_errors(fail)()
    except StudyError as translated:
        return f"the MLflow store cannot be used: {translated}"
    except Exception:
        return None
    return None


def printable(message: str) -> str:
    """Nothing in a name or a file gives orders to the terminal."""
    return "".join(sign if sign.isprintable() or sign == "\n" else repr(sign)[1:-1] for sign in message)


@app.callback()
def version_option(version: Annotated[bool, typer.Option("--version", help="Print the version and end.")] = False) -> None:
    if version:
        print(metadata.version("acl-study"))
        raise typer.Exit


@app.command()
def quickstart(home: HomeOption = DEFAULT_HOME) -> None:
    """Run the whole pipeline at toy size: synthetic corpus, 23 trials of both modes, report.

    Example: acl-study quickstart
    """
    from study.cli.run import run_study

    run_study("quickstart", Home(home))
    report(["quickstart"], home=home)


@app.command()
def plan(
    study: StudyArgument,
    data: DataOption = None,
    name: NameOption = None,
    profile: ProfileOption = None,
    settings: SetOption = [],  # noqa: B006 (typer copies it)
    cpus: CpusOption = None,
    gpus: GpusOption = None,
    address: AddressOption = None,
    storage: StorageOption = None,
    as_json: JsonOption = False,
    home: HomeOption = DEFAULT_HOME,
) -> None:
    """Measure a few steps and print what a study would cost here, and which differences it could detect.

    Example: acl-study plan table1-supervised --data /data/FSDnoisy18k

    Example: acl-study plan table2-ssl --data /data/FSDnoisy18k --json
    """
    from study.cli.resolve import study_options
    from study.cli.run import show_plan

    options = study_options(name, profile, settings, data, cpus, gpus)
    show_plan(study, Home(home), options, address, storage, as_json=as_json)


@app.command()
def run(
    study: StudyArgument,
    data: DataOption = None,
    name: NameOption = None,
    profile: ProfileOption = None,
    settings: SetOption = [],  # noqa: B006
    cpus: CpusOption = None,
    gpus: GpusOption = None,
    max_hours: Annotated[
        float | None,
        typer.Option("--max-hours", min=0, help="Refuse a study that takes longer here, as `plan` measures it."),
    ] = None,
    on_end: OnEndOption = None,
    address: AddressOption = None,
    store: StoreOption = None,
    storage: StorageOption = None,
    home: HomeOption = DEFAULT_HOME,
) -> None:
    """Run a study; one that was interrupted continues.

    Example: acl-study run table1-supervised --data /data/FSDnoisy18k

    Example: acl-study run table2-ssl --data /data/FSDnoisy18k --on-end 'acl-study report table2-ssl'
    """
    from study.cli.resolve import study_options
    from study.cli.run import run_study

    options = study_options(name, profile, settings, data, cpus, gpus)
    run_study(study, Home(home), options, address=address, store=store, storage=storage, max_hours=max_hours, on_end=on_end)


@app.command()
def resume(
    name: LaunchedArgument,
    cpus: CpusOption = None,
    gpus: GpusOption = None,
    on_end: OnEndOption = None,
    address: AddressOption = None,
    store: StoreOption = None,
    home: HomeOption = DEFAULT_HOME,
) -> None:
    """Continue a study after Ctrl-C or a crash, if need be with other resources.

    Example: acl-study resume table1-supervised --gpus 0.5
    """
    from study.cli.run import launch_study
    from study.state.study_folder import load_study, with_resources

    study = with_resources(load_study(Home(home), name), given_resources(cpus, gpus))
    launch_study(study, Home(home), address, store, on_end=on_end)


@app.command()
def train(
    settings: SetOption = [],  # noqa: B006
    data: DataOption = None,
    mode: Annotated[
        str | None,
        typer.Option(
            "--mode", help="supervised or self-supervised; default: the profile's, or supervised.", autocompletion=complete_mode
        ),
    ] = None,
    profile: ProfileOption = None,
    checkpoints: Annotated[
        Path | None, typer.Option("--checkpoints", help="Folder to continue from, and to save state and predictions to.")
    ] = None,
    list_settings: Annotated[
        bool,
        typer.Option(
            "--list", help="List all settings with value, meaning, range, unit and default, and end; default: of both modes."
        ),
    ] = False,
) -> None:
    """Train one run without Ray and print each epoch.

    Example: acl-study train --mode supervised --data corpus --set loss.alpha=0.3

    Example: acl-study train --list --mode self-supervised
    """
    from study.cli.resolve import parse_settings
    from study.cli.train import list_lines, run_config, run_settings

    given = parse_settings(settings, data)
    if list_settings:
        print("\n".join(list_lines(mode, profile, given)))
        return
    config = run_config(run_settings(mode, profile, given))

    from study.cli.train import train_one

    train_one(config, checkpoints)


if __name__ == "__main__":
    main()
