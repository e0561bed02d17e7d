"""Plans before a launch: measured, and a refusal of a study that takes too long."""

import sys
from dataclasses import replace

from study.console import format_hours, format_range
from study.errors import StudyError
from study.execution.interruption import Interruption
from study.machine import ClusterMachine, has_gpu, this_machine
from study.planning.estimate import StudyPlan, plan_study
from study.planning.text import disk_line, fits_disk, machine_lines, refusal
from study.spec.study import Study
from study.state.completion import study_left
from study.state.home import Home, invocation
from study.state.storage import Storage
from study.state.study_folder import load_storage


def measure_plan(study: Study, home: Home, address: str | None, storage: str | None) -> StudyPlan:
    """Measure what is left of a runnable study on this machine, or for the cluster at `address`.

    Raises:
        StudyError: a trial does not fit; there is no cluster at `address`, or its machines cannot run the study.
    """
    room, machines = (None, []) if address is None else _cluster(study, home, address, storage)
    if room is not None and not has_gpu() and any(sweep.resources.gpus for sweep in study.sweeps):
        print("\n".join(machine_lines(machines)))
        raise StudyError(
            f"the trials of {study.name} take GPUs and this machine has none, so their time cannot be measured here; run `plan` on "
            "a machine of the cluster that has one"
        )
    plan = plan_study(
        study,
        home.root,
        this_machine(),
        left=study_left(study, home),
        room=room,
        progress=lambda line: print(line, file=sys.stderr, flush=True),
    )
    return replace(plan, machines=tuple(machines))


def keep_within(study: Study, home: Home, max_hours: float, address: str | None, storage: str | None) -> None:
    """Plan the study and refuse it where even its shortest course is too long or the disk too small.

    Raises:
        StudyError: with what it would take, and what would fit; or as `measure_plan`.
    """
    plan = measure_plan(study, home, address, storage)
    if refused := refusal(plan, max_hours):
        raise StudyError(refused)
    if not fits_disk(plan):
        raise StudyError(f"{study.name} takes {disk_line(plan)}")
    hours = plan.hours
    if hours.longest > max_hours:
        span = f"{format_range(hours.shortest, hours.longest)} {plan.place}, {format_hours(hours.expected)} expected"
        print(f"{study.name} starts, but it takes {span}: it may not end within --max-hours {max_hours:g}", flush=True)


def _cluster(study: Study, home: Home, address: str, storage: str | None) -> tuple[dict[str, int], list[ClusterMachine]]:
    """Trials of each sweep that run at once on the cluster, and its machines."""
    from study.execution.cluster import Cluster, check_room, inspect_machines  # Ray is slow to import
    from study.execution.ray_session import ray_session

    kept = load_storage(home, study.name) or (None if storage is None else Storage(storage))
    with ray_session(address, Interruption(invocation(f"plan {study.name}", home))):
        check_room(study.sweeps)
        machines = inspect_machines(home.study(study.name), study.sweeps, kept)
        return {sweep.name: Cluster().room_for(sweep.resources) for sweep in study.sweeps}, machines
