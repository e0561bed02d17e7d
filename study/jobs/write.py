"""Checks of a job and the files that start it on a cluster.

A job is checked before its study is resolved, which may take a corpus that has to be made first.
"""

import os
import shlex
import sys
from pathlib import Path, PurePosixPath

from study.console import format_hours
from study.errors import StudyError
from study.execution.preflight import check_runnable, check_storable
from study.jobs.kuberay import KubeRayJob, kuberay_files
from study.jobs.nodes import TimeLimit, hours_needed, idle_gpus, measured_plan, memory_needed, nodes_for, notes
from study.jobs.ray_up import TOKEN_FILE, RayUpCluster, ray_up_files
from study.jobs.render import Addresses, write_files
from study.jobs.slurm import SlurmJob, slurm_files
from study.spec.study import Study
from study.state.home import Home, invocation
from study.state.storage import Storage
from study.state.study_folder import check_unchanged
from study.tracking.uri import check_no_password, check_store


def check_slurm(job: SlurmJob, home: Home, folder: Path) -> None:
    """Check what can be checked of a batch job without its study.

    Raises:
        StudyError: a path cannot stand in a script, an address has a password or does not answer, or `--ports` is not needed.
    """
    check_path(folder, "--out")
    check_path(home.root, "--home")
    _check_addresses(job.addresses)
    if job.ports is not None and job.shape.nodes == 1:
        raise StudyError("--ports is for several nodes, between which Ray needs them: add --nodes N, or leave it out")


def write_slurm(study: Study, home: Home, folder: Path, job: SlurmJob) -> None:
    """Check a study as its launch would, write its batch script, and say how to submit it.

    Raises:
        StudyError: the study does not fit, or an option is wrong.
    """
    check_storable(study, job.addresses.storage)
    check_runnable(study.sweeps, knows_machine=False)
    check_unchanged(home, study)
    nodes = nodes_for(study, job.shape)
    limit, memory = TimeLimit(job.hours or 0.0, "as --hours said"), None
    if job.hours is None:
        plan = measured_plan(study, home, nodes)
        limit, memory = hours_needed(plan, nodes), memory_needed(plan, nodes)
    write_files(folder, slurm_files(study, home, folder, nodes, limit, memory, job))
    idle = idle_gpus(study, nodes, is_exclusive=job.is_exclusive, is_given=job.shape.gpus is not None)
    for line in [*notes(study, nodes), *idle]:
        print(line, file=sys.stderr)
    hours = f"{format_hours(limit.hours)} ({limit.because})"
    print(f"{study.name}: {study.runs} trials on {nodes.words}, {nodes.at_once(study)} at once, {hours}")
    print(f"submit with:    sbatch {shlex.quote(str(folder / f'{study.name}.sbatch'))}")
    print(f"how far it is:  {invocation(f'status {study.name}', home)}")


def check_kuberay(job: KubeRayJob, folder: Path) -> None:
    """Check what can be checked of a RayJob without its study.

    Raises:
        StudyError: a path is not on the volume or cannot stand in a manifest, or an address has a password.
    """
    check_path(folder, "--out")
    _check_addresses(job.addresses, reachable=False)
    there = _on_nodes(job.mount, "--mount")
    results = job.results if job.home is None else _on_nodes(job.home, "--home")
    for path, option in ((results, "--home"), (_on_nodes(job.data, "--data"), "--data")):
        if there not in path.parents:
            raise StudyError(
                f"{option} {path} is not on the volume, which the pods see as {there}: name a folder below it, or --mount"
            )


def write_kuberay(study: Study, folder: Path, job: KubeRayJob) -> None:
    """Check a study as far as that can be done without its corpus, write its RayJob, and say how to start it.

    Raises:
        StudyError: the study does not fit, or an option is wrong.
    """
    check_storable(study, job.addresses.storage)
    nodes = nodes_for(study, job.shape)
    write_files(folder, kuberay_files(study, nodes, job))
    for line in notes(study, nodes):
        print(line, file=sys.stderr)
    dockerfile = shlex.quote(str(folder / f"{study.name}.Dockerfile"))
    print(f"{study.name}: {study.runs} trials on {nodes.words}, {nodes.at_once(study)} at once")
    print(f"image with:     docker build -f {dockerfile} -t {job.image} CLONE_OF_ACL_STUDY")
    print(f"start with:     kubectl apply -f {shlex.quote(str(folder / f'{study.name}.yaml'))}")


def check_ray_up(cluster: RayUpCluster, folder: Path) -> None:
    """Check what can be checked of a cluster without its study.

    Raises:
        StudyError: a path is no folder of the machines or cannot stand in a file, or an address has a password.
    """
    check_path(folder, "--out")
    _check_addresses(cluster.addresses, reachable=False)
    _on_nodes(cluster.home, "--home")
    _on_nodes(cluster.data, "--data")


def write_ray_up(study: Study, folder: Path, cluster: RayUpCluster) -> None:
    """Check a study as far as that can be done without its corpus, write what `ray up` needs, and say how to start it.

    Raises:
        StudyError: the study does not fit, or an option is wrong.
    """
    check_storable(study, cluster.addresses.storage)
    write_files(folder, ray_up_files(study, folder, cluster), private=frozenset({TOKEN_FILE}))
    number, file = len(cluster.hosts), shlex.quote(str(folder / "cluster.yaml"))
    print(f"{study.name}: {study.runs} trials on {number} machine{'s' * (number > 1)}")
    print(f"start Ray with:    ray up {file}")
    print(f"run the study with: ray exec {file} --tmux 'bash ~/acl-study-{study.name}/run.sh'")


def _on_nodes(path: str, option: str) -> PurePosixPath:
    """A folder on other machines."""
    check_path(path, option)
    if not PurePosixPath(path).is_absolute() or ".." in PurePosixPath(path).parts:
        raise StudyError(
            f"{option} {path}: it is a folder on the nodes and the same on all, so write its whole path, e.g. /nfs/acl-study"
        )
    return PurePosixPath(path)


def check_path(path: Path | str, option: str) -> None:
    """Refuse names that no path in a script should have: they would break its lines, or the messages about it."""
    if any(not character.isprintable() for character in os.fspath(path)):
        raise StudyError(f"{option} {os.fspath(path)!r} has a character that cannot be printed in its name; choose another folder")


def _check_addresses(addresses: Addresses, *, reachable: bool = True) -> None:
    """Refuse addresses with passwords, and stores that do not answer, where they must be `reachable` from here."""
    if addresses.store is not None:
        check_path(addresses.store, "--store")
        if reachable:
            check_store(addresses.store)
        else:
            check_no_password(addresses.store)
    if addresses.storage is not None:
        check_path(addresses.storage, "--storage")
        storage = Storage(addresses.storage)
        if reachable:
            storage.check()
