"""The heap of a process whose trials have threads of their own."""

import subprocess
import sys

import pytest

# Each thread holds 40 MB in small pieces, frees them, and ends.
THREADS = """
import sys, threading
import numpy as np
from acl.heap import keep_freed_memory
from acl.training.memory import own_bytes
if sys.argv[1] == "kept":
    keep_freed_memory()
waiting = []
def trial():
    pieces = [np.ones(2_000) for _ in range(2_500)]
    del pieces
    over.wait()  # a thread that is still there, so that the next one cannot have its heap
over = threading.Event()
sizes = []
for _ in range(6):
    thread = threading.Thread(target=trial, daemon=True)
    thread.start()
    thread.join(1)
    sizes.append(own_bytes())
print(sizes[0], sizes[-1])
over.set()
"""


@pytest.mark.skipif(sys.platform != "linux", reason="glibc's heap")
def test_later_trials_use_the_memory_of_earlier_ones() -> None:
    answer = subprocess.run([sys.executable, "-c", THREADS, "kept"], check=True, capture_output=True, text=True)
    first, last = map(int, answer.stdout.split())
    assert last - first < 20e6
