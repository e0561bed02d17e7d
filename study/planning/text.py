"""A plan in words."""

from collections.abc import Iterator, Sequence

from acl.training.cost import RunCost, StageCost
from study.console import format_bytes, format_hours, format_range, format_seconds
from study.machine import ClusterMachine, Span
from study.planning.estimate import Hours, Kind, StudyPlan, SweepPlan

BUSY_SHARE = 0.3  # of the cores, from which on measured times are doubtful


def plan_lines(plan: StudyPlan) -> list[str]:
    """All of it: each sweep, then the whole study against this machine."""
    lines = [f"{plan.study.name} {plan.place}{', measured on this machine' * plan.is_cluster}: {plan.machine.words}"]
    if busy := _busy(plan):
        lines.append(f"{busy[0].upper()}{busy[1:]}.")
    for sweep in plan.sweeps:
        lines += ["", *_sweep_lines(plan, sweep)]
    lines += ["", f"in all: {_range(plan.hours)}{_expected(plan.hours)}", f"disk: {disk_line(plan)}"]
    return lines + (["", *machine_lines(plan.machines)] if plan.machines else [])


def machine_lines(machines: Sequence[ClusterMachine]) -> list[str]:
    """List the machines of a cluster, a line each below a heading."""
    return ["machines of the cluster:", *(f"  {machine.words}" for machine in machines)]


def disk_line(plan: StudyPlan) -> str:
    """What the study takes beside what is free."""
    fits = "" if fits_disk(plan) else "; it does not fit: free some space, or name another disk with --home"
    return f"up to {format_bytes(plan.disk_bytes)}, {format_bytes(plan.free_bytes)} are free{fits}"


def fits_disk(plan: StudyPlan) -> bool:
    """Whether there is room for what the study leaves and writes meanwhile."""
    return plan.disk_bytes <= plan.free_bytes


def refusal(plan: StudyPlan, max_hours: float) -> str | None:
    """Why a launch within `max_hours` is refused, with what would fit; None where it may fit.

    A search that can end early may take no time worth counting.
    """
    shortest = plan.hours.shortest - sum(sweep.hours.shortest for sweep in plan.sweeps if sweep.sweep.can_end_early)
    if shortest <= max_hours:
        return None
    trials, at_once = sum(sweep.trials for sweep in plan.sweeps), max(sweep.at_once for sweep in plan.sweeps)
    busy = _busy(plan)
    fitting = int(trials * max_hours / shortest)
    instead = f"about {fitting} of its {trials} trials fit" if fitting else "not one trial fits"
    return (
        f"{plan.study.name} needs at least {format_hours(shortest)} {plan.place} ({at_once} trial{'s' * (at_once > 1)} at once), "
        f"--max-hours is {max_hours:g}: {instead}; take fewer with a smaller grid or (of a search) "
        "--set budget.trials=N, shorter runs with --profile mini or --set optim.epochs=N, or leave --max-hours out"
        f"{'; ' * bool(busy)}{busy}"
    )


def _busy(plan: StudyPlan) -> str:
    """A warning where other work slowed what was measured; else nothing."""
    if plan.load < BUSY_SHARE * plan.machine.cores:
        return ""
    return (
        f"the load average was {plan.load:.1f} on {_count(plan.machine.cores, 'core')} when measuring began (other processes that "
        "compute or wait), on an idle machine it takes less"
    )


def _sweep_lines(plan: StudyPlan, sweep: SweepPlan) -> Iterator[str]:
    resources = sweep.sweep.resources
    yield f"sweep {sweep.sweep.name}: {_count(sweep.trials, 'trial')}, {sweep.at_once} at once ({resources.words} each)"
    if sweep.sweep.can_end_early:
        yield "  an upper bound: budget.patience or budget.target can end the search before all its trials have run"
    for kind in sweep.kinds:
        yield from _kind_lines(kind, several=len(sweep.kinds) > 1)
    spent = _spent(sweep.gpu_hours, "GPU") if resources.gpus else _spent(sweep.core_hours, "core")
    yield f"  time: {_range(sweep.hours)}{_expected(sweep.hours)}; {spent}{_why_a_range(sweep)}"
    yield f"  disk: {format_bytes(sweep.kept_bytes)} kept, {format_bytes(sweep.working_bytes)} more while it runs"
    yield from (f"  {line}" for line in _memory_lines(plan, sweep))
    yield from dict.fromkeys(f"  {sentence}" for power in sweep.power for sentence in power.sentences)


def _kind_lines(kind: Kind, *, several: bool) -> Iterator[str]:
    cost, epochs = kind.cost, kind.cost.epochs
    if several:
        yield f"  {kind.label} ({kind.trials:.3g} trials)"
    yield f"  {_count(epochs, 'epoch')} a trial, {epochs * kind.trials:.0f} in all; {format_seconds(cost.seconds)} a trial"
    for stage in cost.stages:
        yield f"    {stage.name:15} {_stage_words(stage)}"


def _stage_words(stage: StageCost) -> str:
    words = f"{_count(stage.epochs, 'epoch')} of {format_seconds(stage.epoch_seconds)}: "
    words += f"{_count(stage.steps, 'step')} of {format_seconds(stage.step_seconds)}"
    if stage.validation_seconds:
        words += f", validation {format_seconds(stage.validation_seconds)}"
    if stage.final_seconds:
        words += f"; final test {format_seconds(stage.final_seconds)}"
    return f"{words}; {format_seconds(stage.seconds)} a trial"


def _memory_lines(plan: StudyPlan, sweep: SweepPlan) -> Iterator[str]:
    largest = max((kind.cost for kind in sweep.kinds), key=lambda cost: cost.memory_bytes)
    together = 0 if plan.is_cluster else sweep.at_once * largest.memory_bytes  # what its machines have is not known
    too_much = "; that is more than there is: give each trial more --cpus" if together > plan.machine.memory_bytes else ""
    yield f"memory: {format_bytes(largest.memory_bytes)} a trial beside the features, which trials share{too_much}"
    gpu = max((kind.cost for kind in sweep.kinds), key=lambda cost: cost.gpu_reserved_bytes)
    if gpu.gpu_reserved_bytes and not plan.is_cluster:
        yield _gpu_line(plan, sweep, gpu)


def _gpu_line(plan: StudyPlan, sweep: SweepPlan, cost: RunCost) -> str:
    resources = sweep.sweep.resources
    proposed = plan.machine.proposed_gpus(cost.gpu_reserved_bytes, resources.cpus)
    at_once = plan.machine.trials_at_once(resources.model_copy(update={"gpus": proposed}))
    return (
        f"GPU memory: {format_bytes(cost.gpu_allocated_bytes)} in tensors, "
        f"{format_bytes(cost.gpu_reserved_bytes)} taken from the GPU; {at_once} "
        f"trials run at once with --gpus {proposed:g}, {sweep.at_once} with {resources.gpus:g}; trials on one GPU slow each other"
    )


def _why_a_range(sweep: SweepPlan) -> str:
    reasons = []
    if sweep.grace_epochs is not None:
        reasons.append(f"trials can stop from epoch {sweep.grace_epochs} on")
    if sweep.crowding.most > sweep.crowding.least:
        reasons.append("trials share a GPU, which gains little for models that fill it, such as the paper's")
    return f" ({'; '.join(reasons)})" if reasons else ""


def _count(number: int, what: str) -> str:
    return f"{number} {what}{'s' * (number != 1)}"


def _range(hours: Hours) -> str:
    return format_range(hours.shortest, hours.longest)


def _spent(hours: Span, unit: str) -> str:
    """Hours of GPUs or cores.

    >>> _spent(Span(0.003, 0.006), "core"), _spent(Span(0.2, 1.5), "core"), _spent(Span(120, 480), "GPU")
    ('less than 0.1 core-hours', '0.2 to 1.5 core-hours', '120 to 480 GPU-hours')
    """
    low, high = (f"{value:.1f}" if value < 10 else f"{value:.0f}" for value in (hours.least, hours.most))
    if hours.most < 0.1:
        return f"less than 0.1 {unit}-hours"
    return f"{high if low == high else f'{low} to {high}'} {unit}-hours"


def _expected(hours: Hours) -> str:
    expected = format_hours(hours.expected)
    return f", about {expected} expected" if expected not in (format_hours(hours.shortest), format_hours(hours.longest)) else ""
