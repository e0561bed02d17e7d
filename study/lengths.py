"""How many epochs the trials of a sweep have."""

from acl.config import Config, build_config
from study.spaces import edge_points
from study.sweep import Sweep

_UNKNOWN_CORPUS = {"data.root": "."}  # lengths do not depend on it


def longest_epochs(sweep: Sweep) -> int:
    """Epochs of the longest trials, all stages together."""
    return max(config.total_epochs for config in _edge_configs(sweep))


def first_stage_epochs(sweep: Sweep) -> int:
    """Epochs of the longest trials' first stage, the only one that a scheduler looks at."""
    return max(config.optim.epochs for config in _edge_configs(sweep))


def _edge_configs(sweep: Sweep) -> list[Config]:
    return [build_config({**_UNKNOWN_CORPUS, **sweep.common, **point}) for point in edge_points(sweep.space)]
