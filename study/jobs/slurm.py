"""Batch scripts for Slurm."""

import math
import re
from pathlib import Path

from study.errors import StudyError
from study.jobs.nodes import Nodes
from study.jobs.render import OBJECT_STORE_BYTES, STUDY_FILE, Addresses, own_bin, render
from study.spec.study import Study
from study.state.home import Home
from study.state.study_folder import study_text

PORTS_OF_A_JOB = 200  # of which the first ten are Ray's own, the others its workers'
MAX_RESTARTS = 20
_OPTION = re.compile(r"[a-z][a-z-]*(=[^\s'\"\\`$#;]+)?")  # as in "qos=normal", "constraint=a100|h100"


def slurm_files(
    study: Study,
    home: Home,
    folder: Path,
    nodes: Nodes,
    *,
    hours: float,
    because: str,
    addresses: Addresses,
    options: list[str] | None = None,
    ports: tuple[int, int] | None = None,
) -> dict[str, str]:
    """The study as it is to be run, and the script that runs it.

    Args:
        folder: where they will lie.
        hours: time limit; `because` says in words where it comes from.
        addresses: of records and of the state of trials.
        options: further options of sbatch, as NAME=VALUE or NAME.
        ports: first and last port that nodes may use between them; None lets `ray symmetric-run` choose.

    Raises:
        StudyError: an option of sbatch that a script cannot hold.
    """
    _check_options(options or [])
    script = render(
        "slurm.sh.jinja",
        name=study.name,
        trials=study.runs,
        at_once=nodes.at_once(study),
        nodes=nodes.count,
        cpus=nodes.cpus,
        gpus=nodes.gpus,
        time=in_slurm_time(hours),
        time_because=because,
        sbatch=options or [],
        bin=own_bin(),
        study_file=folder / STUDY_FILE,
        home=home.root.resolve(),
        addresses=addresses,
        ports=ports if nodes.count > 1 else None,
        block=PORTS_OF_A_JOB,
        blocks=0 if ports is None else (ports[1] + 1 - ports[0]) // PORTS_OF_A_JOB,
        max_restarts=MAX_RESTARTS,
        store_bytes=OBJECT_STORE_BYTES,
    )
    return {STUDY_FILE: study_text(study), f"{study.name}.sbatch": script}


def parse_ports(text: str) -> tuple[int, int]:
    """First and last port of a range.

    >>> parse_ports("20000-29999")
    (20000, 29999)

    Raises:
        StudyError: it is no range, or too small for one job.
    """
    found = re.fullmatch(r"(\d{1,5})-(\d{1,5})", text)
    first, last = (int(found[1]), int(found[2])) if found else (0, 0)
    if not (first >= 1024 and last <= 65535 and last + 1 - first >= PORTS_OF_A_JOB):
        raise StudyError(
            f"--ports {text!r}: it takes FIRST-LAST between 1024 and 65535, at least {PORTS_OF_A_JOB} ports (those of one job); "
            "e.g. --ports 20000-29999"
        )
    return first, last


def _check_options(options: list[str]) -> None:
    for option in options:
        if not _OPTION.fullmatch(option):
            raise StudyError(
                f"--sbatch {option!r}: it takes NAME=VALUE as sbatch's long options, without spaces, quotes and $; e.g. "
                "--sbatch qos=normal; write others into the script by hand"
            )


def in_slurm_time(hours: float) -> str:
    """Hours as Slurm writes them, rounded up to minutes.

    >>> in_slurm_time(0.3), in_slurm_time(30.26)
    ('00:18:00', '1-06:16:00')
    """
    minutes = max(5, math.ceil(round(hours * 60, 6)))
    days, minutes = divmod(minutes, 24 * 60)
    return (f"{days}-" if days else "") + f"{minutes // 60:02d}:{minutes % 60:02d}:00"
