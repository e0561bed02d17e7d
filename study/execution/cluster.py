"""The machines of a Ray session: what they have room for, and whether trials can run there."""

import contextlib
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from importlib import metadata
from pathlib import Path
from typing import Any
from uuid import uuid4

import ray
from ray.exceptions import GetTimeoutError, RayError, RayTaskError
from ray.util.placement_group import placement_group
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from acl.system.text import first_line, last_line
from study.console import progress_bar
from study.errors import NodeError, StudyError
from study.execution.interruption import Interruption
from study.execution.staging import FeatureFeed, Features, NodeRequirements, NodeState, inspect_node
from study.machine import ClusterMachine, Machine
from study.spec.sweep import Resources, Sweep
from study.state.storage import Storage

_ANSWER_SECONDS = 120.0  # a machine starts a process and imports torch before it answers
_POLL_SECONDS = 0.5
_NODE_LABEL = "ray.io/node-id"  # that Ray gives each machine
_MARKER = ".launch-"  # in the study's folder, while its machines are looked at and used


@dataclass(frozen=True)
class Node:
    """A machine as Ray knows it."""

    id: str
    host: str
    address: str
    cpus: float
    gpus: float

    def trials_at_once(self, resources: Resources) -> int:
        """How many trials it has room for."""
        return Machine(int(self.cpus), memory_bytes=0, gpus=int(self.gpus), gpu_memory_bytes=0).trials_at_once(resources)


def nodes() -> list[Node]:
    """The machines of the session that are up."""
    found = []
    for entry in ray.nodes():
        if entry["Alive"]:
            has = entry["Resources"]
            where = (entry["NodeID"], entry["NodeManagerHostname"], entry["NodeManagerAddress"])
            found.append(Node(*where, cpus=has.get("CPU", 0.0), gpus=has.get("GPU", 0.0)))
    return found


def check_room(sweeps: Sequence[Sweep]) -> None:
    """Ray would wait for ever for a machine that fits a trial.

    Raises:
        StudyError: no machine has enough CPUs or GPUs.
    """
    found = nodes()
    for sweep in sweeps:
        cpus, gpus = sweep.resources.cpus, sweep.resources.gpus
        if any(node.cpus >= cpus and node.gpus >= gpus for node in found):
            continue
        largest = max(found, key=lambda node: (node.gpus, node.cpus))
        raise StudyError(
            f"a trial of {sweep.name} takes {sweep.resources.words}, the largest machine has {largest.cpus:g} CPUs and "
            f"{largest.gpus:g} GPUs; pass --cpus and --gpus to `run`, or --profile mini for a small study on CPUs"
        )


@dataclass
class Cluster:
    """The machines that a launch runs its trials on.

    Attributes:
        requirements: what workers need to see whether their machine is fit; None where it is this one alone.
    """

    requirements: NodeRequirements | None = None
    _left_out: dict[str, list[Any]] = field(default_factory=dict)  # by the id of a machine, what is reserved there

    @property
    def nodes(self) -> list[Node]:
        """Machines that are up and not left out."""
        return [node for node in nodes() if node.id not in self._left_out]

    def room_for(self, resources: Resources) -> int:
        """Trials that they have room for at once."""
        return sum(node.trials_at_once(resources) for node in self.nodes)

    def leave_out(self, node: str) -> None:
        """Let no more trials begin on a machine that is not fit: all its CPUs and GPUs are reserved, for nothing."""
        if node in self._left_out:
            return
        found = next((each for each in nodes() if each.id == node), None)
        cpus, gpus = (int(found.cpus), int(found.gpus)) if found else (0, 0)
        # One by one: all at once they would wait for all trials that have begun there.
        reserved = [{"CPU": 1.0}] * cpus + [{"GPU": 1.0}] * gpus
        self._left_out[node] = [placement_group([one], bundle_label_selector=[{_NODE_LABEL: node}]) for one in reserved]


@contextmanager
def cluster_of(folder: Path, sweeps: Sequence[Sweep], storage: Storage | None, interruption: Interruption) -> Iterator[Cluster]:
    """The machines of a cluster, each looked at before any trial runs; machines that join later look at themselves.

    Args:
        folder: of the study, in which trials keep their state.
        sweeps: that run.
        storage: where they keep it instead.
        interruption: ends the copying of features.

    Raises:
        StudyError: machines that have room for trials cannot run them; names them all, with what to do.
        KeyboardInterrupt: the launch was interrupted before anything ran.
    """
    for old in folder.glob(f"{_MARKER}*"):  # of launches that were killed: this one holds the study
        old.unlink(missing_ok=True)
    with _requirements(folder, sweeps, storage) as requirements:
        used = _used(sweeps)
        _make_ready(used, requirements, _look_at(used, requirements), interruption)
        yield Cluster(requirements)


def inspect_machines(folder: Path, sweeps: Sequence[Sweep], storage: Storage | None) -> list[ClusterMachine]:
    """Inspect each machine that has room for trials; arguments and errors as `cluster_of`."""
    with _requirements(folder, sweeps, storage) as requirements:
        used = _used(sweeps)
        states = _look_at(used, requirements)
    copied = {node.id: sum(features.size for features in states[node.id].unseen) for node in used}
    return [ClusterMachine(node.host, node.address, node.cpus, node.gpus, copied[node.id]) for node in used]


def _used(sweeps: Sequence[Sweep]) -> list[Node]:
    """Machines that have room for a trial."""
    return [node for node in nodes() if any(node.trials_at_once(sweep.resources) for sweep in sweeps)]


@contextmanager
def _requirements(folder: Path, sweeps: Sequence[Sweep], storage: Storage | None) -> Iterator[NodeRequirements]:
    marker_file = folder / f"{_MARKER}{uuid4().hex}" if storage is None else None
    if marker_file is not None:
        folder.mkdir(parents=True, exist_ok=True)
        marker_file.touch()
    try:
        own = ray.get_runtime_context().get_node_id()
        features = {sweep.name: Features.of(str(sweep.base["data.root"]), sweep.base["mode"]) for sweep in sweeps}
        yield NodeRequirements(features, _on(own, FeatureFeed, num_cpus=0).remote(), marker_file, storage)
    finally:
        if marker_file is not None:
            marker_file.unlink(missing_ok=True)
            with contextlib.suppress(OSError):  # there is a study in it
                folder.rmdir()


def _look_at(used: Sequence[Node], requirements: NodeRequirements) -> dict[str, NodeState]:
    """What machines have, by their ids; errors as `cluster_of`."""
    needed = list(dict.fromkeys(requirements.features.values()))
    answers = {
        node.id: _on(node.id, inspect_node, num_cpus=0).remote(requirements.marker_file, requirements.storage, needed)
        for node in used
    }
    deadline = time.monotonic() + _ANSWER_SECONDS
    states: dict[str, NodeState] = {}
    wrong: list[str] = []
    own = metadata.version("acl-study")
    for node in used:
        try:
            state: NodeState = ray.get(answers[node.id], timeout=max(1.0, deadline - time.monotonic()))
        except GetTimeoutError:
            wrong.append(
                f"{node.host} has not answered for {_ANSWER_SECONDS:g} s; look at its Ray logs, or take it out of the cluster"
            )
        except RayError as error:
            reason = last_line(str(error.cause if isinstance(error, RayTaskError) else error), "no reason")
            wrong.append(f"{node.host} cannot run acl-study ({reason}); install acl-study {own} there")
        else:
            states[node.id] = state
            if state.version != own:
                wrong.append(f"{node.host} has acl-study {state.version}, this machine has {own}; install the same version there")
            elif state.wrong:
                wrong.append(state.wrong)
    if wrong:
        raise StudyError("\n".join(wrong))
    return states


def _make_ready(
    used: Sequence[Node], requirements: NodeRequirements, states: Mapping[str, NodeState], interruption: Interruption
) -> None:
    waiting = [
        _on(node.id, copy_features, num_cpus=0).remote(requirements, features, node.id)
        for node in used
        for features in states[node.id].unseen
    ]
    total = sum(features.size for node in used for features in states[node.id].unseen)
    hosts = sum(bool(states[node.id].unseen) for node in used)
    with progress_bar(f"features to {hosts} machine{'s' * (hosts > 1)}", unit="MB") as show:
        while waiting:
            if interruption.reason is not None:  # said by the one who interrupted
                raise KeyboardInterrupt
            try:
                ended, waiting = ray.wait(waiting, timeout=_POLL_SECONDS)
                show(ray.get(requirements.feed.sent.remote()) // 1_000_000, total // 1_000_000)
                ray.get(ended)
            except RayError as error:
                if isinstance(error, RayTaskError) and isinstance(error.cause, NodeError):
                    raise StudyError(str(error.cause)) from None
                reason = first_line(error)
                raise StudyError(f"features are not copied to all machines ({reason}); `run` the study again") from None


def copy_features(requirements: NodeRequirements, features: Features, node: str) -> None:
    """What a machine runs that does not see the features; errors as `copied_root`."""
    requirements.copied(features, node)


def _on(node: str, what: Callable[..., Any], **resources: float) -> Any:
    """A task or an actor that runs on this machine or not at all."""
    remote: Any = ray.remote(what)
    return remote.options(**resources, scheduling_strategy=NodeAffinitySchedulingStrategy(node_id=node, soft=False))
