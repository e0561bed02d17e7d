"""What benchmarks of training measure with."""

import itertools
import json
import statistics
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch

from acl.provenance import describe_hardware, describe_versions

Section = Callable[[Path], Iterator[dict[str, Any]]]

SECONDS = 3.0  # a measurement takes


def now() -> float:
    """The clock, once the device is idle."""
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    return time.perf_counter()


def seconds_a_step(steps: Iterator[object], limit: float = SECONDS, warm_up: int = 8, at_once: int = 10) -> float:
    """Median over parts of `at_once` steps, until `limit` seconds are over."""
    for _ in range(warm_up):
        next(steps)
    parts: list[float] = []
    started = now()
    while not parts or now() - started < limit:
        before = now()
        for _ in range(at_once):
            next(steps)
        parts.append((now() - before) / at_once)
    return statistics.median(parts)


def side_by_side(ways: dict[str, Callable[[], object]], limit: float = 2 * SECONDS) -> dict[str, float]:
    """Median seconds of a call of each way, called in turn, so that a busy moment of the machine meets all of them."""
    taken: dict[str, list[float]] = {name: [] for name in ways}
    for way in ways.values():
        way()
    started = now()
    while now() - started < limit:
        for name, way in ways.items():
            before = now()
            way()
            taken[name].append(now() - before)
    return {name: statistics.median(each) for name, each in taken.items()}


def print_sections(sections: Mapping[str, Section], folder: Path, names: Sequence[str], **versions: str) -> None:
    """Print hardware, versions and the rows of the named sections, by default of all."""
    print(json.dumps({"hardware": describe_hardware(), "versions": describe_versions() | versions}))
    for name in names or sections:
        for row in sections[name](folder):
            shown = {key: f"{value:.3g}" if isinstance(value, float) else value for key, value in row.items()}
            print(f"{name}: " + ", ".join(f"{key} {value}" for key, value in shown.items()), flush=True)


def endless(make: Callable[[], Iterator[object]]) -> Iterator[object]:
    """Epoch after epoch."""
    return itertools.chain.from_iterable(make() for _ in itertools.count())
