"""What the commands of `acl-study launch` do, beyond reading their options."""

import os
import shlex
import sys
from pathlib import Path
from typing import Any

from analysis.record_links import without_password
from study.cluster import hours_needed, nodes_for, notes
from study.commands import check_server, choose_study
from study.home import Home, invocation
from study.launch_files import write_files
from study.launched import check_unchanged
from study.plan_lines import hours as in_words
from study.runnable import check_runnable
from study.slurm import parse_ports, slurm_files
from study.spec import StudyError

Shape = tuple[int, int | None, int | None]  # nodes, and CPUs and GPUs of each


def write_slurm(
    study_name: str,
    home: Home,
    folder: Path,
    options: dict[str, Any],
    store: str | None,
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
    _check_path(folder, "--out")
    _check_path(home.root, "--home")
    _check_store(store)
    port_range = None if ports is None else parse_ports(ports)
    study = choose_study(study_name, home, **options)
    check_runnable(study, knows_machine=False)
    check_unchanged(home, study)
    nodes = nodes_for(study, *shape)
    because = "as --hours said"
    if hours is None:
        hours, because = hours_needed(study, home, nodes)
    files = slurm_files(study, home, folder, nodes, hours=hours, because=because, store=store, options=sbatch, ports=port_range)
    write_files(folder, files)
    for line in notes(study, nodes):
        print(line, file=sys.stderr)
    print(f"{study.name}: {study.runs} trials on {nodes.words}, {nodes.at_once(study)} at once, {in_words(hours)} ({because})")
    print(f"submit with:    sbatch {shlex.quote(str(folder / f'{study.name}.sbatch'))}")
    print(f"how far it is:  {invocation(f'status {study.name}', home)}")


def _check_path(path: Path, option: str) -> None:
    """Refuse names that no path in a script should have: they would break its lines, or the messages about it."""
    if any(not character.isprintable() for character in os.fspath(path)):
        raise StudyError(f"{option} {os.fspath(path)!r} has a character that cannot be printed in its name; choose another folder")


def _check_store(store: str | None) -> None:
    if store is None:
        return
    if "@" in store.partition("://")[2].partition("/")[0] or (
        store.startswith("http") and without_password(store) != store.rstrip("/")
    ):
        raise StudyError(
            f"--store {without_password(store)}: leave user, password and token out of the address, which scripts and lists of "
            "processes show; export MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD before the job is submitted"
        )
    check_server(store)
