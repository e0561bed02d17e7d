"""How many epochs the trials of a sweep have, and after how many its scheduler may stop them."""

import math
from typing import NamedTuple

from acl.config import Config, build_config
from study.scheduling import Asha, Hyperband, Median, Scheduler
from study.spaces import edge_points
from study.sweep import Sweep

_UNKNOWN_CORPUS = {"data.root": "."}  # lengths do not depend on it


def longest_epochs(sweep: Sweep) -> int:
    """Epochs of the longest trials, all stages together."""
    return max(config.total_epochs for config in _edge_configs(sweep))


def first_stage_epochs(sweep: Sweep) -> int:
    """Epochs of the longest trials' first stage, the only one that a scheduler looks at."""
    return max(config.optim.epochs for config in _edge_configs(sweep))


class Bracket(NamedTuple):
    """Trials that are halved together: at the first rung and each multiple of it by `factor`, one in `factor` goes on."""

    share: float  # of the sweep's trials
    first_rung: int  # epochs
    factor: float


def brackets(scheduler: Scheduler, epochs: int) -> list[Bracket]:
    """How a scheduler stops trials of so many epochs; none where it stops none.

    HyperBand's are those of Ray, which fills them from full length on. The median rule stops about half of the trials.
    """
    if isinstance(scheduler, Hyperband):
        factor = scheduler.reduction_factor
        halvings = range(round(math.log(epochs) / math.log(factor)) + 1)
        sizes = {s: math.ceil(len(halvings) / (s + 1) * factor**s) for s in halvings if int(epochs * factor**-s) > 0}
        return [Bracket(size / sum(sizes.values()), int(epochs * factor**-s), factor) for s, size in sizes.items()]
    if isinstance(scheduler, Asha | Median):
        factor = scheduler.reduction_factor if isinstance(scheduler, Asha) else 2.0
        return [Bracket(1.0, max(1, math.floor(scheduler.grace * epochs)), factor)]
    return []


def _edge_configs(sweep: Sweep) -> list[Config]:
    return [build_config({**_UNKNOWN_CORPUS, **sweep.common, **point}) for point in edge_points(sweep.space)]
