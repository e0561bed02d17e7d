"""Commands that write what starts a study on a cluster."""

from pathlib import Path
from typing import Annotated

import typer

from study.cli.options import (
    CpusOption,
    DataOption,
    GpusOption,
    HomeOption,
    NameOption,
    ProfileOption,
    SetOption,
    StorageOption,
    StoreOption,
    StudyArgument,
)
from study.state.home import DEFAULT_HOME, Home

launch_app = typer.Typer(help="Write a batch script or manifest that runs a study on a cluster.", no_args_is_help=True)

OutOption = Annotated[Path, typer.Option("--out", help="Folder to write to; of a Slurm job, all nodes must see it.")]
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
    storage: StorageOption = None,
    home: HomeOption = DEFAULT_HOME,
    nodes: NodesOption = 1,
    cpus_per_node: NodeCpusOption = None,
    gpus_per_node: NodeGpusOption = None,
    total_gpus: Annotated[
        int | None,
        typer.Option(
            "--total-gpus", min=1, help="GPUs of the whole job, on one node unless --nodes names more; default: one trial's."
        ),
    ] = None,
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

    Example: acl-study launch slurm table2-ssl --data /shared/FSDnoisy18k --home /shared/runs --total-gpus 4 --hours 12 --out jobs

    Example: acl-study launch slurm table2-ssl --data /shared/FSDnoisy18k --home /shared/runs --nodes 4 --gpus-per-node 8 --out jobs
    """
    from study.cli.resolve import choose_study, study_options
    from study.jobs.nodes import ClusterShape
    from study.jobs.render import Addresses
    from study.jobs.slurm import SlurmJob, parse_ports
    from study.jobs.write import check_slurm, write_slurm

    options = study_options(name, profile, settings, data, cpus, gpus)
    site = {"partition": partition, "account": account}
    given = [f"{key}={value}" for key, value in site.items() if value is not None]
    port_range = None if ports is None else parse_ports(ports)
    if total_gpus is not None and gpus_per_node is not None:
        raise typer.BadParameter("--total-gpus and --gpus-per-node both say how many GPUs there are; leave one of them out")
    if total_gpus is not None and total_gpus % nodes:
        raise typer.BadParameter(f"--total-gpus {total_gpus} cannot be shared by {nodes} nodes equally; pass a multiple of {nodes}")
    shape = ClusterShape(nodes, cpus_per_node, gpus_per_node if total_gpus is None else total_gpus // nodes)
    job = SlurmJob(shape, hours, Addresses(store, storage), [*given, *sbatch], port_range)
    results, folder = Home(home), out.absolute()
    check_slurm(job, results, folder)
    write_slurm(choose_study(study, results, options), results, folder, job)


@launch_app.command()
def kuberay(
    study: StudyArgument,
    out: OutOption,
    image: Annotated[str, typer.Option("--image", help="Container image with acl-study; a Dockerfile for it is written.")],
    data: Annotated[str, typer.Option("--data", help="Corpus folder in the pods, below --mount.")],
    name: NameOption = None,
    profile: ProfileOption = None,
    settings: SetOption = [],  # noqa: B006
    cpus: CpusOption = None,
    gpus: GpusOption = None,
    store: StoreOption = None,
    storage: StorageOption = None,
    home: Annotated[
        str | None, typer.Option("--home", help="Folder of the results in the pods; default: runs below --mount.")
    ] = None,
    nodes: NodesOption = 1,
    cpus_per_node: NodeCpusOption = None,
    gpus_per_node: NodeGpusOption = None,
    memory_per_node: Annotated[
        int | None, typer.Option("--memory-per-node", min=1, help="GiB of each worker pod; default: 4 for each CPU.")
    ] = None,
    hours: Annotated[float | None, typer.Option("--hours", min=0.05, help="End the job after so many; default: never.")] = None,
    claim: Annotated[str, typer.Option("--claim", help="PersistentVolumeClaim with corpus and results.")] = "acl-study",
    mount: Annotated[str, typer.Option("--mount", help="Where the pods mount it.")] = "/mnt/acl-study",
) -> None:
    """Write a RayJob for KubeRay, which runs a study on Kubernetes, and a Dockerfile for its image.

    Example: acl-study launch kuberay table2-ssl --image me/acl-study:1 --data /mnt/acl-study/FSDnoisy18k --nodes 4 --out jobs
    """
    from study.cli.resolve import choose_study, study_options
    from study.jobs.kuberay import KubeRayJob
    from study.jobs.nodes import ClusterShape
    from study.jobs.render import Addresses
    from study.jobs.write import check_kuberay, write_kuberay

    options = study_options(name, profile, settings, None, cpus, gpus).on_corpus(data)
    shape, addresses = ClusterShape(nodes, cpus_per_node, gpus_per_node), Addresses(store, storage)
    job = KubeRayJob(image, data, home, claim, mount, shape, memory_per_node, hours, addresses)
    folder = out.absolute()
    check_kuberay(job, folder)
    write_kuberay(choose_study(study, Home(Path(job.results)), options), folder, job)


@launch_app.command("ray-up")
def ray_up(
    study: StudyArgument,
    out: OutOption,
    host: Annotated[list[str], typer.Option("--host", help="Name or address of a machine; repeatable, the head first.")],
    data: Annotated[str, typer.Option("--data", help="Corpus folder on the machines.")],
    home: Annotated[str, typer.Option("--home", help="Folder of the results on the machines, the same on all.")],
    name: NameOption = None,
    profile: ProfileOption = None,
    settings: SetOption = [],  # noqa: B006
    cpus: CpusOption = None,
    gpus: GpusOption = None,
    store: StoreOption = None,
    storage: StorageOption = None,
    ssh_user: Annotated[str | None, typer.Option("--ssh-user", help="Who logs in; default: your name here.")] = None,
    ssh_key: Annotated[Path | None, typer.Option("--ssh-key", help="Private key; default: ssh's own choice.")] = None,
    image: Annotated[str | None, typer.Option("--image", help="Container image to run in; default: none.")] = None,
) -> None:
    """Write a cluster file for `ray up`, which starts Ray on machines of yours by ssh, and what runs the study there.

    Example: acl-study launch ray-up table2-ssl --host box1 --host box2 --data /nfs/FSDnoisy18k --home /nfs/runs --out cluster
    """
    import getpass

    from study.cli.resolve import choose_study, study_options
    from study.jobs.ray_up import RayUpCluster
    from study.jobs.render import Addresses
    from study.jobs.write import check_ray_up, write_ray_up

    options = study_options(name, profile, settings, None, cpus, gpus).on_corpus(data)
    user = ssh_user or getpass.getuser()
    key = None if ssh_key is None else str(ssh_key.expanduser().absolute())
    cluster, folder = RayUpCluster(host, data, home, user, key, image, Addresses(store, storage)), out.absolute()
    check_ray_up(cluster, folder)
    write_ray_up(choose_study(study, Home(Path(home)), options), folder, cluster)
