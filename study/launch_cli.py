"""Commands that write what starts a study on a cluster."""

from pathlib import Path
from typing import Annotated

import typer

from study.home import DEFAULT_HOME, Home
from study.options import (
    CpusOption,
    DataOption,
    GpusOption,
    HomeOption,
    NameOption,
    ProfileOption,
    SetOption,
    StoreOption,
    StudyArgument,
)

launch_app = typer.Typer(help="Write a batch script or manifest that runs a study on a cluster.", no_args_is_help=True)

OutOption = Annotated[Path, typer.Option("--out", help="Folder to write to; all nodes must see it.")]
NodesOption = Annotated[int, typer.Option("--nodes", min=1, help="How many nodes.")]
NodeCpusOption = Annotated[
    int | None, typer.Option("--cpus-per-node", min=1, help="CPUs of each node; default: as many as trials on its GPUs take.")
]
NodeGpusOption = Annotated[
    int | None, typer.Option("--gpus-per-node", min=0, help="GPUs of each node; default: as many as one trial takes.")
]
HoursOption = Annotated[
    float | None, typer.Option("--hours", min=0.05, help="Time limit; default: from trials that are measured on this machine.")
]


@launch_app.command()
def slurm(
    study: StudyArgument,
    out: OutOption,
    data: DataOption = None,
    name: NameOption = None,
    profile: ProfileOption = None,
    settings: SetOption = [],  # noqa: B006 (typer copies it)
    cpus: CpusOption = None,
    gpus: GpusOption = None,
    store: StoreOption = None,
    home: HomeOption = DEFAULT_HOME,
    nodes: NodesOption = 1,
    cpus_per_node: NodeCpusOption = None,
    gpus_per_node: NodeGpusOption = None,
    hours: HoursOption = None,
    partition: Annotated[str | None, typer.Option("--partition", help="Slurm's partition.")] = None,
    account: Annotated[str | None, typer.Option("--account", help="Slurm's account.")] = None,
    sbatch: Annotated[
        list[str], typer.Option("--sbatch", metavar="NAME=VALUE", help="Another option of sbatch, e.g. mem=64G; repeatable.")
    ] = [],  # noqa: B006
    ports: Annotated[
        str | None,
        typer.Option(
            "--ports",
            metavar="FIRST-LAST",
            help="Several nodes: start Ray with ports of this range, which lets nodes be shared with other jobs; default: `ray "
            "symmetric-run` on nodes of the job's own.",
        ),
    ] = None,
) -> None:
    """Write a batch script for Slurm, for one node or several; it resumes after pre-emption and at the end of its time.

    Example: acl-study launch slurm table2-ssl --data /shared/FSDnoisy18k --home /shared/runs --nodes 4 --hours 12 --out jobs
    """
    from study.commands import study_options
    from study.launch_commands import write_slurm

    options = study_options(name, profile, settings, data, cpus, gpus)
    site = {"partition": partition, "account": account}
    given = [f"{key}={value}" for key, value in site.items() if value is not None]
    write_slurm(
        study, Home(home), out.absolute(), options, store, (nodes, cpus_per_node, gpus_per_node), hours, given + sbatch, ports
    )
