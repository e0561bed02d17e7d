"""Files that are whole after any crash, and locks that keep other processes out."""

import errno
import fcntl
import os
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path


def write_durably(path: Path, text: str) -> None:
    """Write a text file (UTF-8); it is on the disk when this returns.

    Raises:
        OSError: it cannot be written, e.g. ENOSPC; the previous file is as it was, what there was of the new one is removed.
    """
    partial = path.with_name(f"{path.name}.partial")
    try:
        with partial.open("w", encoding="utf-8") as opened:
            opened.write(text)
            opened.flush()
            os.fsync(opened.fileno())
        partial.replace(path)
    except OSError:
        partial.unlink(missing_ok=True)
        raise
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)  # else a power cut can take the new name back
    finally:
        os.close(folder)


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
