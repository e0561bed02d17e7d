"""Batch scripts for Slurm."""

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from study.errors import StudyError
from study.jobs.nodes import ClusterShape, Nodes, TimeLimit
from study.jobs.render import OBJECT_STORE_BYTES, STUDY_FILE, Addresses, own_bin, render
from study.spec.study import Study
from study.state.home import Home
from study.state.study_folder import study_text

PORTS_OF_A_JOB = 200  # of which the first ten are Ray's own, the others its workers'
MAX_RESTARTS = 20
_OPTION = re.compile(r"[a-z][a-z-]*(=[^\s'\"\\`$#;]+)?")  # as in "qos=normal", "constraint=a100|h100"


@dataclass(frozen=True)
class PortRange:
    """First and last port that nodes may use between them."""

    first: int
    last: int


@dataclass(frozen=True)
class SlurmJob:
    """A batch job as it is asked for.

    Attributes:
        shape: of its nodes.
        hours: time limit; None plans it.
        addresses: of records and of the state of trials.
        options: further options of sbatch, as NAME=VALUE or NAME.
        ports: between the nodes; None lets `ray symmetric-run` choose.
    """

    shape: ClusterShape
    hours: float | None
    addresses: Addresses
    options: Sequence[str]
    ports: PortRange | None

    @property
    def is_exclusive(self) -> bool:
        """Whether it has nodes of its own."""
        return (self.shape.nodes > 1 and self.ports is None) or "exclusive" in self._named

    @property
    def names_memory(self) -> bool:
        """Whether its options say how much memory it takes."""
        return any(name in ("mem", "mem-per-cpu", "mem-per-gpu") for name in self._named)

    @property
    def _named(self) -> list[str]:
        return [option.partition("=")[0] for option in self.options]


def slurm_files(
    study: Study, home: Home, folder: Path, nodes: Nodes, limit: TimeLimit, memory: int | None, job: SlurmJob
) -> dict[str, str]:
    """The study as it is to be run, and the script that runs it; both will lie in `folder`.

    Args:
        memory: GiB of each node; None where it was not measured.

    Raises:
        StudyError: an option of sbatch that a script cannot hold.
    """
    _check_options(job.options)
    ports = job.ports
    script = render(
        "slurm.sh.jinja",
        name=study.name,
        trials=study.runs,
        at_once=nodes.at_once(study),
        nodes=nodes.count,
        cpus=nodes.cpus,
        gpus=nodes.gpus,
        memory=None if job.names_memory else memory,
        time=in_slurm_time(limit.hours),
        time_because=limit.because,
        sbatch=list(job.options),
        bin=own_bin(),
        study_file=folder / STUDY_FILE,
        home=home.root.resolve(),
        addresses=job.addresses,
        ports=ports if nodes.count > 1 else None,
        block=PORTS_OF_A_JOB,
        blocks=0 if ports is None else (ports.last + 1 - ports.first) // PORTS_OF_A_JOB,
        max_restarts=MAX_RESTARTS,
        store_bytes=OBJECT_STORE_BYTES,
    )
    return {STUDY_FILE: study_text(study), f"{study.name}.sbatch": script}


def parse_ports(text: str) -> PortRange:
    """Read a range of ports.

    >>> parse_ports("20000-29999")
    PortRange(first=20000, last=29999)

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
    return PortRange(first, last)


def _check_options(options: Sequence[str]) -> None:
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
