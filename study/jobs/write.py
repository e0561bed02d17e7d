"""What the commands of `acl-study launch` do, beyond reading their options."""

import os
import shlex
import sys
from pathlib import Path, PurePosixPath
from typing import Any

from study.cli.resolve import choose_study
from study.console import format_hours
from study.errors import StudyError
from study.execution.preflight import check_runnable, check_storable
from study.jobs.kuberay import kuberay_files
from study.jobs.nodes import nodes_for, notes
from study.jobs.ray_up import TOKEN_FILE, ray_up_files
from study.jobs.render import Addresses, write_files
from study.jobs.slurm import parse_ports, slurm_files
from study.state.home import Home, invocation
from study.state.storage import Storage
from study.state.study_folder import check_unchanged
from study.tracking.uri import check_no_password, check_store

Shape = tuple[int, int | None, int | None]  # nodes, and CPUs and GPUs of each


def write_slurm(
    study_name: str,
    home: Home,
    folder: Path,
    options: dict[str, Any],
    addresses: Addresses,
    shape: Shape,
    hours: float | None,
    sbatch: list[str],
    ports: str | None,
) -> None:
    """Check a study as its launch would, write its batch script, and say how to submit it.

    Args:
        options: of `choose_study`.
        shape: nodes, and CPUs and GPUs of each.
        hours: time limit; None plans it.
        sbatch: further options of sbatch.
        ports: range of ports, as FIRST-LAST.

    Raises:
        StudyError: the study is wrong or does not fit, or an option is.
    """
    check_path(folder, "--out")
    check_path(home.root, "--home")
    _check_no_passwordes(addresses)
    port_range = None if ports is None else parse_ports(ports)
    if ports is not None and shape[0] == 1:
        raise StudyError("--ports is for several nodes, between which Ray needs them: add --nodes N, or leave it out")
    study = choose_study(study_name, home, **options)
    check_storable(study, addresses.storage)
    check_runnable(study.sweeps, knows_machine=False)
    check_unchanged(home, study)
    nodes = nodes_for(study, *shape)
    because = "as --hours said"
    if hours is None:
        from study.jobs.nodes import hours_needed

        hours, because = hours_needed(study, home, nodes)
    files = slurm_files(
        study, home, folder, nodes, hours=hours, because=because, addresses=addresses, options=sbatch, ports=port_range
    )
    write_files(folder, files)
    for line in notes(study, nodes):
        print(line, file=sys.stderr)
    print(f"{study.name}: {study.runs} trials on {nodes.words}, {nodes.at_once(study)} at once, {format_hours(hours)} ({because})")
    print(f"submit with:    sbatch {shlex.quote(str(folder / f'{study.name}.sbatch'))}")
    print(f"how far it is:  {invocation(f'status {study.name}', home)}")


def write_kuberay(
    study_name: str,
    home: str | None,
    folder: Path,
    options: dict[str, Any],
    shape: Shape,
    *,
    image: str,
    claim: str,
    mount: str,
    memory: int | None,
    hours: float | None,
    addresses: Addresses,
) -> None:
    """Check a study as far as that can be done without its corpus, write its RayJob, and say how to start it.

    Args:
        home: folder of the results in the pods; None for `runs` on the mounted volume.
        options: of `choose_study`.
        shape: workers, and CPUs and GPUs of each.
        image, claim, mount, memory, hours: as `kuberay_files` takes them.

    Raises:
        StudyError: the study is wrong or does not fit, or an option is.
    """
    check_path(folder, "--out")
    _check_no_passwordes(addresses, reachable=False)
    there = _on_nodes(mount, "--mount")
    results = there / "runs" if home is None else _on_nodes(home, "--home")
    for path, option in ((results, "--home"), (_on_nodes(options["overrides"]["data.root"], "--data"), "--data")):
        if there not in path.parents:
            raise StudyError(
                f"{option} {path} is not on the volume, which the pods see as {there}: name a folder below it, or --mount"
            )
    study = choose_study(study_name, Home(Path(results)), **options)
    check_storable(study, addresses.storage)
    nodes = nodes_for(study, *shape)
    files = kuberay_files(
        study, results, nodes, image=image, claim=claim, mount=there, memory=memory, hours=hours, addresses=addresses
    )
    write_files(folder, files)
    for line in notes(study, nodes):
        print(line, file=sys.stderr)
    print(f"{study.name}: {study.runs} trials on {nodes.words}, {nodes.at_once(study)} at once")
    print(f"image with:     docker build -f {shlex.quote(str(folder / f'{study.name}.Dockerfile'))} -t {image} CLONE_OF_ACL_STUDY")
    print(f"start with:     kubectl apply -f {shlex.quote(str(folder / f'{study.name}.yaml'))}")


def write_ray_up(
    study_name: str,
    home: str,
    folder: Path,
    options: dict[str, Any],
    hosts: list[str],
    *,
    user: str,
    key: str | None,
    image: str | None,
    addresses: Addresses,
) -> None:
    """Check a study as far as that can be done without its corpus, write what `ray up` needs, and say how to start it.

    Args:
        home: folder of the results on the machines.
        options: of `choose_study`.
        hosts, user, key, image: as `ray_up_files` takes them.

    Raises:
        StudyError: the study or an option is wrong.
    """
    check_path(folder, "--out")
    _check_no_passwordes(addresses, reachable=False)
    results, data = _on_nodes(home, "--home"), _on_nodes(options["overrides"]["data.root"], "--data")
    study = choose_study(study_name, Home(Path(results)), **options)
    check_storable(study, addresses.storage)
    folders = [str(results), str(data)]
    files = ray_up_files(study, results, folder, hosts, user=user, key=key, image=image, addresses=addresses, folders=folders)
    write_files(folder, files, private=frozenset({TOKEN_FILE}))
    cluster = shlex.quote(str(folder / "cluster.yaml"))
    print(f"{study.name}: {study.runs} trials on {len(hosts)} machine{'s' * (len(hosts) > 1)}")
    print(f"start Ray with:    ray up {cluster}")
    print(f"run the study with: ray exec {cluster} --tmux 'bash ~/acl-study-{study.name}/run.sh'")


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


def _check_no_passwordes(addresses: Addresses, *, reachable: bool = True) -> None:
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
