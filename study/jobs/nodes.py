"""Nodes that a study is given on a cluster: how many trials they run at once, and for how many hours."""

import dataclasses
import math
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING

from acl.store.feature_store import store_folder
from study.console import format_hours
from study.errors import StudyError
from study.machine import Machine, has_gpu, this_machine
from study.spec.study import Study
from study.state.completion import study_left
from study.state.home import Home

if TYPE_CHECKING:
    from study.planning.estimate import StudyPlan


@dataclass(frozen=True)
class ClusterShape:
    """Nodes as they are asked for; what is None follows from the study's trials.

    Attributes:
        nodes: how many.
        cpus, gpus: of each node.
    """

    nodes: int
    cpus: int | None
    gpus: int | None


@dataclass(frozen=True)
class TimeLimit:
    """Hours that a job asks for, and in words where they come from."""

    hours: float
    because: str


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


def nodes_for(study: Study, shape: ClusterShape) -> Nodes:
    """The nodes asked for; what is left open follows from the study's trials: one on each GPU, and CPUs for them.

    Raises:
        StudyError: a trial does not fit a node, or nothing says how many CPUs a node has.
    """
    cpus, gpus = shape.cpus, shape.gpus
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
    nodes = Nodes(shape.nodes, cpus, gpus)
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


def idle_gpus(study: Study, nodes: Nodes, *, is_exclusive: bool, is_given: bool) -> list[str]:
    """A warning where a job has nodes of its own and nobody has said how many GPUs they have."""
    if not (is_exclusive and nodes.gpus) or is_given:
        return []
    number = f"{nodes.gpus} GPU{'s' * (nodes.gpus > 1)}"
    return [
        f"warning: the job has whole nodes (--exclusive) and uses {number} of each, as many as one trial of {study.name} takes: "
        "all others stay idle; take one node with --total-gpus N, all GPUs of each node with --gpus-per-node N, or share nodes "
        "with --ports FIRST-LAST"
    ]


def _on_gpus(gpus: int, share: float) -> int:
    """Trials that `gpus` take at once; 1 for those that take none."""
    if not share:
        return 1
    return gpus * math.floor(1 / share + 1e-9) if share <= 1 else max(1, gpus // math.ceil(share))


# A time limit is this many times the planned hours: on other machines and beside other jobs trials take longer. More is added for
# what does not depend on the trials: nodes load Python and Ray from a shared disk.
MARGIN = 1.5
START_HOURS = 0.25
# Memory, too: more than a trial was seen to take in its first steps, and what the launch itself, Ray and MLflow take on a node.
MEMORY_MARGIN = 1.25
SHARED_GIB = 4


def measured_plan(study: Study, home: Home, nodes: Nodes) -> "StudyPlan":
    """Plan what is left of the study from a few steps of each kind of trial that are measured on this machine.

    Raises:
        StudyError: trials need a GPU, and this machine has none.
    """
    if any(sweep.resources.gpus for sweep in study.sweeps) and not has_gpu():
        raise StudyError(
            f"the trials of {study.name} take GPUs and this machine has none, so their time cannot be measured here: "
            "pass --hours H (`acl-study plan` on a node with a GPU says how many)"
        )
    from study.planning.estimate import plan_study  # with torch, which takes seconds to import

    return plan_study(
        study,
        home.root,
        this_machine(),
        left=study_left(study, home),
        room={sweep.name: nodes.count * nodes.machine.trials_at_once(sweep.resources) for sweep in study.sweeps},
        progress=lambda line: print(line, file=sys.stderr, flush=True),
    )


def hours_needed(plan: "StudyPlan", nodes: Nodes) -> TimeLimit:
    """Hours to ask for."""
    planned = planned_on(plan, nodes)
    asked = MARGIN * planned + START_HOURS
    because = (
        f"{MARGIN:g} times the {format_hours(planned)} that trials as measured on the machine that wrote this take on {nodes.words}"
    )
    return TimeLimit(asked, f"{because}, and {START_HOURS * 60:g} min")


def memory_needed(plan: "StudyPlan", nodes: Nodes) -> int:
    """GiB to ask for on each node: of the trials that run there at once, and of what all of them share."""
    trials = [
        min(nodes.machine.trials_at_once(part.sweep.resources), max(1, part.trials))
        * max(kind.cost.memory_bytes for kind in part.kinds)
        for part in plan.sweeps
    ]
    stores = {store_folder(sweep.base["data.root"], sweep.base["mode"]) for sweep in plan.study.sweeps}
    features = sum(file.stat().st_size for folder in stores for file in folder.glob("*.npy"))
    return math.ceil((MEMORY_MARGIN * max(trials, default=0) + features) / 2**30 + SHARED_GIB)


def planned_on(plan: "StudyPlan", nodes: Nodes) -> float:
    """Longest hours of a plan that was measured elsewhere, if its trials run on `nodes`."""
    sweeps = []
    for part in plan.sweeps:
        resources = part.sweep.resources
        on_a_node = nodes.machine.trials_at_once(resources)
        at_once = max(1, min(nodes.count * on_a_node, part.trials))
        crowding = nodes.machine.crowding(resources, min(on_a_node, at_once))
        sweeps.append(dataclasses.replace(part, at_once=at_once, crowding=crowding))
    return dataclasses.replace(plan, sweeps=tuple(sweeps)).hours.longest
