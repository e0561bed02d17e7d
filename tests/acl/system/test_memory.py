"""Memory that a process keeps or gives back when its trials have threads of their own."""

import os
import subprocess
import sys

import pytest

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
