"""One process at a time."""

import errno
import fcntl
import os
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

_NO_LOCKS = (errno.ENOLCK, errno.EOPNOTSUPP, errno.ENOSYS, errno.EINVAL)


@contextmanager
def only_process(path: Path, say: Callable[[str], None]) -> Iterator[None]:
    """Hold a lock file; the system lets go when this process ends, however it ends.

    Args:
        path: of the file. It stays: who deletes it may delete another process's lock.
        say: told, in a line, whom this process waits for, or that the file system has no locks.

    Raises:
        OSError: the file cannot be written.
    """
    with path.open("a+", encoding="utf-8") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            lock.seek(0)
            say(f"waiting for {lock.read() or 'another process'}, which works in {path.parent}")
            fcntl.flock(lock, fcntl.LOCK_EX)
        except OSError as error:
            if error.errno not in _NO_LOCKS:
                raise
            say(f"{path.parent} is on a file system without locks ({error.strerror}): let no other process work there")
        lock.truncate(0)
        lock.write(f"process {os.getpid()} on {socket.gethostname()}")
        lock.flush()
        yield
