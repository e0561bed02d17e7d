"""Limits of containers and batch jobs, as the system's files tell them, and in a real group where one can be made."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from acl.system.control_groups import cpu_quota, memory_limit

V1 = "5:cpu,cpuacct:/docker/x\n8:memory:/docker/x\n"


@pytest.mark.parametrize(
    ("groups", "files", "cores", "memory"),
    [
        ("0::/\n", {"sys/fs/cgroup/cpu.max": "150000 100000", "sys/fs/cgroup/memory.max": "3000"}, 1.5, 3000),
        ("0::/a/b\n", {"sys/fs/cgroup/a/cpu.max": "100000 100000", "sys/fs/cgroup/a/b/cpu.max": "max 100000"}, 1.0, None),
        ("0::/a\n", {"sys/fs/cgroup/a/memory.max": "5000", "sys/fs/cgroup/memory.max": "4000"}, None, 4000),
        (V1, {"sys/fs/cgroup/cpu/cpu.cfs_quota_us": "200000", "sys/fs/cgroup/cpu/cpu.cfs_period_us": "100000"}, 2.0, None),
        (V1, {"sys/fs/cgroup/cpu/cpu.cfs_quota_us": "-1", "sys/fs/cgroup/memory/docker/x/memory.limit_in_bytes": "7"}, None, 7),
        ("", {}, None, None),
    ],
)
def test_the_tightest_limit_counts(
    tmp_path: Path, groups: str, files: dict[str, str], cores: float | None, memory: int | None
) -> None:
    (tmp_path / "proc/self").mkdir(parents=True)
    (tmp_path / "proc/self/cgroup").write_text(groups)
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(f"{text}\n")
    assert (cpu_quota(tmp_path), memory_limit(tmp_path)) == (cores, memory)


def test_a_process_in_a_real_group_sees_its_quota() -> None:
    group = Path("/sys/fs/cgroup/cpu", f"acl-study-{os.getpid()}")
    try:
        group.mkdir()
        (group / "cpu.cfs_quota_us").write_text("100000")
    except OSError:
        pytest.skip("no control groups of version 1 can be made here")
    try:
        code = "from acl.system.processes import available_cores; print(available_cores())"
        command = f"echo $$ > {group}/cgroup.procs && exec {sys.executable} -c '{code}'"
        run = subprocess.run(["bash", "-c", command], capture_output=True, text=True, check=True)
        assert run.stdout == "1\n"
    finally:
        group.rmdir()
