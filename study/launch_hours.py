"""How long a study is given its nodes on a cluster."""

import dataclasses
import sys

from study.amounts import hours as in_words
from study.home import Home
from study.journal import Journal
from study.launch_nodes import Nodes
from study.machine import has_gpu, this_machine
from study.plan import StudyPlan, plan_study
from study.spec import Study, StudyError

# A time limit is this many times the planned hours: on other machines and beside other jobs trials take longer. More is added for
# what does not depend on the trials: nodes load Python and Ray from a shared disk.
MARGIN = 1.5
START_HOURS = 0.25


def hours_needed(study: Study, home: Home, nodes: Nodes) -> tuple[float, str]:
    """Hours to ask for, and why so many, from a few steps of each kind of trial that are measured on this machine.

    Raises:
        StudyError: trials need a GPU, and this machine has none.
    """
    if any(sweep.resources.gpus for sweep in study.sweeps) and not has_gpu():
        raise StudyError(
            f"the trials of {study.name} take GPUs and this machine has none, so their time cannot be measured here: "
            "pass --hours H (`acl-study plan` on a node with a GPU says how many)"
        )
    folder = home.study(study.name)
    left = {sweep.name: sweep.runs - len(Journal(folder / sweep.name).outcomes()) for sweep in study.sweeps}
    here = plan_study(
        study,
        home.root,
        this_machine(),
        left=left,
        room={sweep.name: nodes.count * nodes.machine.trials_at_once(sweep.resources) for sweep in study.sweeps},
        progress=lambda line: print(line, file=sys.stderr, flush=True),
    )
    planned = planned_on(here, nodes)
    asked = MARGIN * planned + START_HOURS
    because = (
        f"{MARGIN:g} times the {in_words(planned)} that trials as measured on the machine that wrote this take on {nodes.words}"
    )
    return asked, f"{because}, and {START_HOURS * 60:g} min"


def planned_on(plan: StudyPlan, nodes: Nodes) -> float:
    """Longest hours of a plan that was measured elsewhere, if its trials run on `nodes`."""
    sweeps = []
    for part in plan.sweeps:
        resources = part.sweep.resources
        on_a_node = nodes.machine.trials_at_once(resources)
        at_once = max(1, min(nodes.count * on_a_node, part.trials))
        crowding = nodes.machine.crowding(resources, min(on_a_node, at_once))
        sweeps.append(dataclasses.replace(part, at_once=at_once, crowding=crowding))
    return dataclasses.replace(plan, sweeps=tuple(sweeps)).hours[2]
