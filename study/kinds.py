"""The kinds of trials of a sweep: those that cost the same, of which one is measured."""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from acl.config import build_config
from acl.training.cost import RunCost, measure_run, settings_that_cost
from study.spaces import edge_points
from study.spec import Sweep

SECONDS_OF_ALL_KINDS = 40.0  # measuring, shared by the kinds of trials; processes that start come on top
SECONDS_OF_A_KIND = (2.0, 8.0)


def kinds_of(sweep: Sweep) -> list[tuple[dict[str, Any], float]]:
    """Settings of one trial of each kind, and how many trials are of it; a search may draw any edge of its space as often."""
    points = sweep.points or edge_points(sweep.space)
    settings = [{**sweep.common, **point} for point in points]
    counts = Counter(cost_key(sweep, entry) for entry in settings)
    first = {key: entry for entry in reversed(settings) if (key := cost_key(sweep, entry))}
    return [(first[key], sweep.runs * count / len(points)) for key, count in counts.items()]


def cost_key(sweep: Sweep, settings: Mapping[str, Any]) -> str:
    """Equal for trials that cost the same."""
    return repr((settings_that_cost(build_config(settings)), sweep.resources))


def label_of(sweep: Sweep, settings: Mapping[str, Any], kinds: Sequence[tuple[Mapping[str, Any], float]]) -> str:
    """What tells a kind from the others of its sweep, empty for the only one."""
    varied = [name for name in sweep.space if len({repr(of_kind[name]) for of_kind, _ in kinds}) > 1]
    return ", ".join(f"{name} {settings[name]}" for name in varied) if len(kinds) > 1 else ""


def measured(
    sweeps: Sequence[Sweep],
    kinds: Mapping[str, list[tuple[dict[str, Any], float]]],
    at_once: Mapping[str, int],
    disk: Path,
    progress: Callable[[str], None],
) -> dict[str, RunCost]:
    """Cost of each kind of trial by `cost_key`; one that several sweeps have is measured once.

    Args:
        sweeps: to measure.
        kinds: of each sweep by its name, see `kinds_of`.
        at_once: trials of each sweep that run at the same time.
        disk: a folder on the disk that is measured.
        progress: told what is being measured.

    Raises:
        CostError, StoreError, SplitError: a kind of trial cannot run.
    """
    to_measure: dict[str, tuple[Sweep, dict[str, Any]]] = {}
    for sweep in sweeps:
        for settings, _ in kinds[sweep.name]:
            to_measure.setdefault(cost_key(sweep, settings), (sweep, settings))
    fewest, most = SECONDS_OF_A_KIND
    seconds = min(most, max(fewest, SECONDS_OF_ALL_KINDS / max(1, len(to_measure))))
    costs = {}
    for number, (key, (sweep, settings)) in enumerate(to_measure.items(), start=1):
        label = label_of(sweep, settings, kinds[sweep.name])
        progress(f"measuring {number} of {len(to_measure)}: {sweep.name}{label and ', '}{label}")
        cpus, gpus = sweep.resources.cpus, sweep.resources.gpus
        beside = 0 if gpus else min(at_once[sweep.name], sweep.runs) - 1
        costs[key] = measure_run(settings, cores=cpus, sees_gpu=gpus > 0, beside=beside, seconds=seconds, folder=disk)
    return costs
