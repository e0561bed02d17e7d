"""Memory that a process keeps or gives back when its trials have threads of their own."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from acl.system.memory import available_memory

# Each thread holds 40 MB in small pieces and frees all but the last one. It is still there when the next one begins, which cannot
# have its heap.
THREADS = """
import sys, threading
import numpy as np
from acl.system.memory import give_back_freed_memory
from acl.training.memory import own_bytes
over = threading.Event()
sizes, left = [], []
def trial():
    if sys.argv[1] == "given back":
        give_back_freed_memory()
    pieces = [np.ones(2_000) for _ in range(2_500)]
    left.append(np.ones(2_000))
    sizes.append(own_bytes())
    del pieces
    done.set()
    over.wait()
for _ in range(6):
    done = threading.Event()
    threading.Thread(target=trial, daemon=True).start()
    done.wait()
over.set()
print(sizes[0], sizes[-1])
"""


@pytest.mark.skipif(sys.platform != "linux", reason="glibc's heap")
def test_later_trials_use_the_memory_of_earlier_ones() -> None:
    answer = subprocess.run([sys.executable, "-c", THREADS, "given back"], check=True, capture_output=True, text=True)
    first, last = map(int, answer.stdout.split())
    assert last - first < 20e6


# A thread takes and frees 100 MB again and again, as a training step does with its activations: more than a heap of its own can
# hold. What it takes meanwhile in small pieces needs some turns to find its place.
STEPS = """
import resource, threading
import torch
from acl.system.memory import keep_freed_memory
faults = []
def trial():
    keep_freed_memory()
    for _ in range(31):
        torch.ones(25_000_000)
        faults.append(resource.getrusage(resource.RUSAGE_SELF).ru_minflt)
thread = threading.Thread(target=trial)
thread.start()
thread.join()
print((faults[-1] - faults[20]) * resource.getpagesize())
"""


@pytest.mark.skipif(sys.platform != "linux", reason="glibc's heap")
def test_a_thread_uses_what_it_has_freed_where_there_is_one_heap() -> None:
    environment = {**os.environ, "MALLOC_ARENA_MAX": "1"}
    answer = subprocess.run([sys.executable, "-c", STEPS], check=True, capture_output=True, text=True, env=environment)
    assert int(answer.stdout) < 300e6  # bytes that the system gave for the last ten times, 1 GB


GROUP_2 = {"memory.max": "3000", "memory.current": "2500", "memory.stat": "anon 2000\ninactive_file 300\n"}
GROUP_1 = {"memory.limit_in_bytes": "5000", "memory.usage_in_bytes": "1000", "memory.stat": "cache 9\ntotal_inactive_file 90\n"}


@pytest.mark.parametrize(
    ("groups", "folder", "files", "free"),
    [
        ("0::/\n", "sys/fs/cgroup", GROUP_2, 800),
        ("0::/a/b\n", "sys/fs/cgroup/a", GROUP_2, 800),  # of a parent
        ("0::/a/b\n", "sys/fs/cgroup", {**GROUP_2, "memory.max": "max"}, 8192),
        ("0::/\n", "sys/fs/cgroup", {**GROUP_2, "memory.current": "4000"}, 0),
        ("8:memory:/docker/x\n7:pids:/\n", "sys/fs/cgroup/memory", GROUP_1, 4090),
        ("8:memory:/job\n0::/\n", "sys/fs/cgroup/memory/job", GROUP_1, 4090),
        ("7:pids:/\n", "sys/fs/cgroup/pids", {}, 8192),
    ],
)
def test_memory_is_what_machine_and_control_groups_leave(
    tmp_path: Path, groups: str, folder: str, files: dict[str, str], free: float
) -> None:
    (tmp_path / "proc/self").mkdir(parents=True)
    (tmp_path / "proc/meminfo").write_text("MemTotal: 99 kB\nMemAvailable:  8 kB\n")
    (tmp_path / "proc/self/cgroup").write_text(groups)
    (tmp_path / folder).mkdir(parents=True)
    for name, text in files.items():
        (tmp_path / folder / name).write_text(text)
    assert available_memory(tmp_path) == free


def test_memory_of_an_unknown_system_is_infinite(tmp_path: Path) -> None:
    assert available_memory(tmp_path) == float("inf")
