"""Training runs at toy size."""

import dataclasses
from pathlib import Path
from typing import Any

from acl.config import Config, build_config
from acl.training import EpochResult
from study import names

TINY: dict[str, dict[str, Any]] = {
    "supervised": {"data.subset": "clean", "optim.batch_size": 16, "loss.alpha": 0.5},
    "self-supervised": {"model.width": 4, "optim.batch_size": 64, "probe.epochs": 5, "knn.k": 5},
}
MODES = sorted(TINY)


def config(mode: str, root: Path, **settings: Any) -> Config:
    """Toy configuration; keyword `loss__alpha` stands for `loss.alpha`."""
    dotted = {name.replace("__", "."): value for name, value in settings.items()}
    common = {"mode": mode, "data.root": str(root), "optim.epochs": 2, "compute.device": "cpu", "compute.threads": 1}
    return build_config({**common, **TINY[mode], **dotted})


def without_times(results: list[EpochResult]) -> list[EpochResult]:
    """The same records without what was measured of the machine."""
    clocks = ("clips_per_second", names.EPOCH_SECONDS, names.MEMORY_GB)
    return [
        dataclasses.replace(result, metrics={name: value for name, value in result.metrics.items() if not name.endswith(clocks)})
        for result in results
    ]
