"""Plans a study before its launch: prints what it would cost, or refuses one that takes too long."""

import sys

from study.home import Home
from study.journal import Journal
from study.machine import this_machine
from study.plan import StudyPlan, plan_study
from study.plan_lines import disk_line, fits_disk, hours, plan_lines, refusal
from study.runnable import check_runnable
from study.spec import Study, StudyError


def print_plan(study: Study, home: Home, *, knows_machine: bool) -> None:
    """Measure what the study would cost here, and print it with what it could find out.

    Raises:
        StudyError: a trial could not run, or does not fit this machine.
    """
    print("\n".join(plan_lines(_measured(study, home, knows_machine), knows_machine=knows_machine)))


def keep_within(study: Study, home: Home, max_hours: float, *, knows_machine: bool) -> None:
    """Plan the study and refuse it where even its shortest course is too long or the disk too small.

    Raises:
        StudyError: with what it would take, and what would fit.
    """
    plan = _measured(study, home, knows_machine)
    if refused := refusal(plan, max_hours):
        raise StudyError(refused)
    if not fits_disk(plan):
        raise StudyError(f"{study.name} takes {disk_line(plan)}")
    shortest, expected, longest = plan.hours
    if longest > max_hours:
        span = f"{hours(shortest)} to {hours(longest)} on this machine, {hours(expected)} expected"
        print(f"{study.name} starts, but it takes {span}: it may not end within --max-hours {max_hours:g}", flush=True)


def _measured(study: Study, home: Home, knows_machine: bool) -> StudyPlan:
    check_runnable(study, knows_machine=knows_machine)
    folder = home.study(study.name)
    left = {sweep.name: sweep.runs - len(Journal(folder / sweep.name).outcomes()) for sweep in study.sweeps}
    return plan_study(
        study,
        home.root,
        this_machine(),
        left=left,
        knows_machine=knows_machine,
        progress=lambda line: print(line, file=sys.stderr, flush=True),
    )
