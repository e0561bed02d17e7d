"""This machine: what it has, and how many trials run on it at once."""

import ctypes
import math
import os
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

from acl.system.memory import total_memory
from acl.system.processes import available_cores
from acl.system.text import format_size
from study.console import format_bytes
from study.spec.sweep import Resources

# Share of a GPU's memory beyond what torch reserved: CUDA's own context, and cuDNN workspaces of shapes that were not measured.
MEMORY_MARGIN = 1.2


@dataclass(frozen=True)
class Span:
    """From the least to the most of something."""

    least: float
    most: float


@dataclass(frozen=True)
class ClusterMachine:
    """A machine of a cluster that has room for trials.

    Attributes:
        host: its name.
        address: in the cluster's network.
        cpus: that Ray may use.
        gpus: the same.
        copied_bytes: features that it does not see, which the launch copies there.
    """

    host: str
    address: str
    cpus: float
    gpus: float
    copied_bytes: int

    @property
    def words(self) -> str:
        """Name, address, CPUs and GPUs, and whether it sees the features.

        >>> ClusterMachine("gpu2", "10.0.0.2", 16, 4, 0).words
        'gpu2 (10.0.0.2): 16 CPUs and 4 GPUs; sees the features'
        """
        copied = f"{format_bytes(self.copied_bytes)} of features are copied there at the launch"
        has = copied if self.copied_bytes else "sees the features"
        return f"{self.host} ({self.address}): {Resources(cpus=self.cpus, gpus=self.gpus).words}; {has}"


@dataclass(frozen=True)
class Machine:
    """This machine as Ray sees it; `gpu_memory_bytes` is that of its smallest GPU."""

    cores: int
    memory_bytes: int
    gpus: int
    gpu_memory_bytes: int

    @property
    def words(self) -> str:
        """Cores, memory and GPUs."""
        memory, of_each = (format_size(count, "GiB", digits=0) for count in (self.memory_bytes, self.gpu_memory_bytes))
        gpus = f"{self.gpus} GPU{'s' if self.gpus > 1 else ''} of {of_each}" if self.gpus else "no GPU"
        return f"{self.cores} cores, {memory} of memory, {gpus}"

    def trials_at_once(self, resources: Resources) -> int:
        """How many trials Ray starts together; 0 where a single one does not fit."""
        by_cpu = math.floor(self.cores / resources.cpus + 1e-9)
        if resources.gpus == 0:
            return by_cpu
        by_gpu = (
            self.gpus * math.floor(1 / resources.gpus + 1e-9) if resources.gpus <= 1 else self.gpus // math.ceil(resources.gpus)
        )
        return min(by_cpu, by_gpu)

    def crowding(self, resources: Resources, at_once: int) -> Span:
        """Factor by which trials on GPUs slow each other: least (they share cores only), and most (they share a GPU at no gain).

        Trials on CPUs are measured beside each other, and have none. On a GPU the most is to be expected: on an H200 two trials
        of the recipe's size together got as many epochs done as one alone (benchmarks/trial_speed.py packing, see LOG.md).
        """
        if not resources.gpus:
            return Span(1.0, 1.0)
        threads = at_once * max(1, math.floor(resources.cpus))
        cores = max(1.0, threads / self.cores)
        on_one_gpu = math.ceil(at_once / self.gpus) if self.gpus else 1
        return Span(cores, max(cores, float(on_one_gpu)))

    def proposed_gpus(self, reserved_bytes: int, cpus: float) -> float:
        """Share of a GPU for each trial: as many as its memory and the cores allow."""
        by_memory = math.floor(self.gpu_memory_bytes / (MEMORY_MARGIN * max(1, reserved_bytes)))
        by_cores = math.floor(self.cores / cpus / max(1, self.gpus))
        # Rounded down, so that the shares of a GPU's trials add up to no more than 1.
        return math.floor(10_000 / max(1, min(by_memory, by_cores))) / 10_000


def this_machine() -> Machine:
    """The cores that this process may use, the memory, and the GPUs that torch sees."""
    import torch

    gpus = torch.cuda.device_count()
    return Machine(
        cores=available_cores(),
        memory_bytes=total_memory(),
        gpus=gpus,
        gpu_memory_bytes=min((torch.cuda.get_device_properties(index).total_memory for index in range(gpus)), default=0),
    )


def has_gpu() -> bool:
    """Whether torch sees a GPU on this machine. Where neither NVIDIA's driver nor AMD's is installed, that is known without torch,
    which takes seconds to import.
    """
    try:
        ctypes.CDLL("libcuda.so.1")
    except OSError:
        if not Path("/dev/kfd").exists():
            return False
    import torch

    return torch.cuda.is_available()


def ray_folder() -> Path:
    """Where Ray keeps its sessions on this machine, with sockets and logs."""
    return Path(os.environ.get("RAY_TMPDIR") or ("/tmp" if sys.platform == "linux" else tempfile.gettempdir())) / "ray"
