"""The nodes that a study is given on a cluster, and how many trials they run at once."""

import math
from dataclasses import dataclass

from study.machine import Machine
from study.spec import Study, StudyError


@dataclass(frozen=True)
class Nodes:
    """Equal nodes: how many, and what the study has of each."""

    count: int
    cpus: int
    gpus: int

    @property
    def words(self) -> str:
        """In words.

        >>> Nodes(2, 8, 1).words
        '2 nodes with 8 CPUs and 1 GPU each'
        """
        gpus = f" and {self.gpus} GPU{'s' * (self.gpus != 1)}" if self.gpus else ""
        nodes = f"{self.count} nodes" if self.count > 1 else "1 node"
        return f"{nodes} with {self.cpus} CPU{'s' * (self.cpus != 1)}{gpus}{' each' * (self.count > 1)}"

    @property
    def machine(self) -> Machine:
        """One of them; its memory is not known."""
        return Machine(cores=self.cpus, memory_bytes=0, gpus=self.gpus, gpu_memory_bytes=0)

    def at_once(self, study: Study) -> int:
        """Trials that run together, of the sweep with most."""
        return max(min(sweep.runs, self.count * self.machine.trials_at_once(sweep.resources)) for sweep in study.sweeps)


def nodes_for(study: Study, count: int, cpus: int | None, gpus: int | None) -> Nodes:
    """The nodes asked for; what is left open follows from the study's trials: one on each GPU, and CPUs for them.

    Raises:
        StudyError: a trial does not fit a node, or nothing says how many CPUs a node has.
    """
    largest = max(sweep.resources.gpus for sweep in study.sweeps)
    if gpus is None:
        gpus = math.ceil(largest)
    if cpus is None:
        if not largest:
            raise StudyError(
                f"the trials of {study.name} take no GPU, so nothing says how large its nodes are: pass --cpus-per-node N, "
                "the CPUs of each node that the study may use"
            )
        cpus = max(math.ceil(_on_gpus(gpus, sweep.resources.gpus) * sweep.resources.cpus) for sweep in study.sweeps)
    nodes = Nodes(count, cpus, gpus)
    for sweep in study.sweeps:
        if not nodes.machine.trials_at_once(sweep.resources):
            raise StudyError(
                f"a trial of {sweep.name} takes {sweep.resources.words}, a node is asked for {nodes.cpus} CPUs and "
                f"{nodes.gpus} GPUs; raise --cpus-per-node and --gpus-per-node, or give each trial less with --cpus and --gpus"
            )
    return nodes


def notes(study: Study, nodes: Nodes) -> list[str]:
    """What a person should know before the nodes are paid for."""
    largest = max(study.sweeps, key=lambda sweep: math.ceil(sweep.runs / nodes.machine.trials_at_once(sweep.resources)))
    on_a_node = nodes.machine.trials_at_once(largest.resources)
    needed = math.ceil(largest.runs / on_a_node)
    if needed < nodes.count:
        return [f"note: {largest.name} has {largest.runs} trials and a node runs {on_a_node} at once: --nodes {needed} is enough"]
    return []


def _on_gpus(gpus: int, share: float) -> int:
    """Trials that `gpus` take at once; 1 for those that take none."""
    if not share:
        return 1
    return gpus * math.floor(1 / share + 1e-9) if share <= 1 else max(1, gpus // math.ceil(share))
