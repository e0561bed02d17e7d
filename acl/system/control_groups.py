"""Limits of the control groups that this process is in: of a container, a batch job, a service."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

ROOT = Path("/")


class Group(NamedTuple):
    """A folder of a control group, and the version of its interface, 1 or 2."""

    folder: Path
    version: int

    def text(self, name: str) -> str:
        """Content of one of its files; empty where there is no such file."""
        return text_of(self.folder / name).strip()


def groups_of(controller: str, root: Path = ROOT) -> Iterator[Group]:
    """The groups of this process that limit something, from its own up to the top.

    Args:
        controller: "cpu" or "memory".
        root: where /proc and /sys lie.
    """
    own = re.findall(rf"^\d+:(?:.*\b{controller}\b.*)?:(.*)", text_of(root / "proc/self/cgroup"), re.MULTILINE)
    for top, version in ((root / "sys/fs/cgroup", 2), (root / "sys/fs/cgroup" / controller, 1)):
        # A container may show its own group at the top, and name it by the path outside.
        found = dict.fromkeys([top, *(each for path in own for each in _up_to(top, top / path.lstrip("/")))])
        yield from (Group(folder, version) for folder in found)


def cpu_quota(root: Path = ROOT) -> float | None:
    """Cores' worth of time that the process may take; None without a limit."""
    found = []
    for group in groups_of("cpu", root):
        quota, period = (
            group.text("cpu.max").split() or ["max", "1"]
            if group.version == 2
            else (group.text("cpu.cfs_quota_us") or "-1", group.text("cpu.cfs_period_us") or "1")
        )
        if quota.isdigit() and period.isdigit() and int(period):
            found.append(int(quota) / int(period))
    return min(found, default=None)


def memory_limit(root: Path = ROOT) -> int | None:
    """Bytes that the process and others of its groups may take; None without a limit."""
    limits = (group.text("memory.max" if group.version == 2 else "memory.limit_in_bytes") for group in groups_of("memory", root))
    return min((int(limit) for limit in limits if limit.isdigit()), default=None)


def text_of(path: Path) -> str:
    """Content of a file of the system; empty where it cannot be read."""
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""


def _up_to(top: Path, folder: Path) -> Iterator[Path]:
    while folder != top and top in folder.parents:
        yield folder
        folder = folder.parent
