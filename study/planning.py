"""Plans a study before its launch: prints what it would cost, or refuses one that takes too long."""

import sys

from study.home import Home, invocation
from study.interruption import Interruption
from study.journal import Journal
from study.launched import storage_of
from study.machine import this_machine
from study.plan import StudyPlan, plan_study
from study.plan_lines import disk_line, fits_disk, hours, plan_lines, refusal
from study.runnable import check_runnable
from study.spec import Study, StudyError


def print_plan(study: Study, home: Home, address: str | None) -> None:
    """Measure what the study would cost here, and print it with what it could find out; on a cluster, look at its machines too.

    Raises:
        StudyError: a trial could not run, or does not fit; there is no cluster at `address`, or its machines cannot run the study.
    """
    plan, machines = _measured(study, home, address)
    print("\n".join([*plan_lines(plan), *machines]))


def keep_within(study: Study, home: Home, max_hours: float, address: str | None) -> None:
    """Plan the study and refuse it where even its shortest course is too long or the disk too small.

    Raises:
        StudyError: with what it would take, and what would fit; or as `print_plan`.
    """
    plan, _ = _measured(study, home, address)
    if refused := refusal(plan, max_hours):
        raise StudyError(refused)
    if not fits_disk(plan):
        raise StudyError(f"{study.name} takes {disk_line(plan)}")
    shortest, expected, longest = plan.hours
    if longest > max_hours:
        span = f"{hours(shortest)} to {hours(longest)} {plan.place}, {hours(expected)} expected"
        print(f"{study.name} starts, but it takes {span}: it may not end within --max-hours {max_hours:g}", flush=True)


def _measured(study: Study, home: Home, address: str | None) -> tuple[StudyPlan, list[str]]:
    """The plan, and of a cluster a line for each machine."""
    check_runnable(study, knows_machine=address is None)
    folder = home.study(study.name)
    left = {sweep.name: sweep.runs - len(Journal(folder / sweep.name).outcomes()) for sweep in study.sweeps}
    room, machines = (None, []) if address is None else _cluster(study, home, address)
    plan = plan_study(
        study,
        home.root,
        this_machine(),
        left=left,
        room=room,
        progress=lambda line: print(line, file=sys.stderr, flush=True),
    )
    return plan, machines


def _cluster(study: Study, home: Home, address: str) -> tuple[dict[str, int], list[str]]:
    """Trials of each sweep that run at once on the cluster, and its machines."""
    from study.cluster import check_room, cluster_lines, room_for  # Ray is slow to import
    from study.ray_session import ray_session

    with ray_session(address, Interruption(invocation(f"plan {study.name}", home))):
        check_room(study.sweeps)
        lines = cluster_lines(home.study(study.name), study.sweeps, shares_folder=storage_of(home, study.name) is None)
        return {sweep.name: room_for(sweep.resources) for sweep in study.sweeps}, ["", "machines of the cluster:", *lines]
