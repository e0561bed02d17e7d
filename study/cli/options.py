"""Options that several commands share, and what a shell offers for them when Tab is pressed."""

from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, get_args

import typer

from study.state.home import DEFAULT_HOME, Home


def complete_study(ctx: typer.Context, incomplete: str) -> list[str]:
    """Names of shipped studies."""
    from study.spec.files import shipped_studies

    return _beginning(incomplete, shipped_studies())


def complete_launched(ctx: typer.Context, incomplete: str) -> list[str]:
    """Names of the studies that were launched in the home folder."""
    home = Home(Path(ctx.params.get("home") or DEFAULT_HOME))
    return _beginning(incomplete, (file.parent.name for file in home.root.glob("studies/*/study.yaml")))


def complete_profile(ctx: typer.Context, incomplete: str) -> list[str]:
    """Names of the profiles."""
    from study.spec.study import Profile

    return _beginning(incomplete, get_args(Profile))


def complete_mode(ctx: typer.Context, incomplete: str) -> list[str]:
    """Names of the modes."""
    from acl.config import Mode

    return _beginning(incomplete, get_args(Mode))


def complete_setting(ctx: typer.Context, incomplete: str) -> list[str]:
    """Dotted names of the settings of both modes, each with the = that follows."""
    from acl.config import Mode, setting_names

    return _beginning(incomplete, (f"{name}=" for mode in get_args(Mode) for name in setting_names(mode)))


def _beginning(incomplete: str, names: Iterable[str]) -> list[str]:
    return sorted({name for name in names if name.startswith(incomplete)})


def checked_store(address: str | None) -> str | None:
    """A store's address without a password."""
    if address is not None:
        from study.tracking.uri import check_no_password

        check_no_password(address)
    return address


HomeOption = Annotated[Path, typer.Option("--home", envvar="ACL_STUDY_HOME", help="Folder of all results.")]
SetOption = Annotated[
    list[str],
    typer.Option("--set", metavar="NAME=VALUE", help="A setting by its dotted name; repeatable.", autocompletion=complete_setting),
]
StoreOption = Annotated[
    str | None,
    typer.Option("--store", callback=checked_store, help="MLflow tracking URI; default: the SQLite store in the home folder."),
]
DataOption = Annotated[Path | None, typer.Option("--data", help="Corpus folder; short for --set data.root=DIR.")]
AddressOption = Annotated[str | None, typer.Option("--address", help="Ray cluster, e.g. auto; default: Ray on this machine alone.")]
StorageOption = Annotated[
    str | None,
    typer.Option("--storage", help="Where trials keep their state, e.g. s3://bucket/folder; default: the home folder."),
]
NameOption = Annotated[str | None, typer.Option("--name", help="Name of the results; default: the study's.")]
CpusOption = Annotated[float | None, typer.Option("--cpus", min=0.01, help="CPUs of each trial; default: the study's.")]
GpusOption = Annotated[float | None, typer.Option("--gpus", min=0, help="GPUs of each trial, fractions share one.")]
StudyArgument = Annotated[str, typer.Argument(help="Study file, or the name of a shipped study.", autocompletion=complete_study)]
LaunchedArgument = Annotated[str, typer.Argument(help="Name of a launched study.", autocompletion=complete_launched)]
OnEndOption = Annotated[
    str | None,
    typer.Option(
        "--on-end",
        metavar="COMMAND",
        help="Run this shell command once when the launch has ended, however it ended; default: none. It finds name, state and "
        "counts of trials in variables such as ACL_STUDY_STATE.",
    ),
]
JsonOption = Annotated[
    bool, typer.Option("--json", help="Print one JSON object instead of text; docs/json.md documents its fields.")
]
ProfileOption = Annotated[
    str | None,
    typer.Option(
        "--profile",
        help="recipe; paper-ssl, paper-supervised: all published settings; mini: small, on a CPU.",
        autocompletion=complete_profile,
    ),
]


def given_resources(cpus: float | None, gpus: float | None) -> dict[str, float]:
    """Those of a trial's resources that the command line names."""
    return {key: value for key, value in (("cpus", cpus), ("gpus", gpus)) if value is not None}
