"""Options that several commands of the command line share."""

from pathlib import Path
from typing import Annotated

import typer

from study.completion import complete_launched, complete_profile, complete_setting, complete_study


def checked_store(address: str | None) -> str | None:
    """A store's address without a password."""
    if address is not None:
        from study.stores import check_no_password

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
