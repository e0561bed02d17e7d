"""A Ray session that launches may join, see `support.shared_ray`.

It writes its address to a file, and ends by SIGTERM or with its parent.
"""

import os
import signal
import sys
import time
from pathlib import Path

from study.execution import ray_session

if __name__ == "__main__":
    parent, file = os.getppid(), Path(sys.argv[1])
    ray_session._start(None)
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(0))  # Ray has put its own handler there
    file.with_suffix(".partial").write_text(ray_session.ray.get_runtime_context().gcs_address)
    file.with_suffix(".partial").rename(file)
    while os.getppid() == parent:
        time.sleep(1)
