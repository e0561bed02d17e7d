"""Locks on files, which keep other processes out. All locks of the project are taken here.

They are `filelock`'s, which are the system's (`flock`): a lock ends with its process, however that ends, and forked children do not
keep it. A lock file stays where it is: who deletes it may delete another process's lock.
"""

import errno
import fcntl
import math
import os
import socket
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from dataclasses import dataclass
from pathlib import Path

NO_PATIENCE, ANY_PATIENCE = 0.0, math.inf
_POLL_SECONDS = 0.1
_NO_LOCKS = (errno.ENOLCK, errno.EOPNOTSUPP, errno.ENOSYS, errno.EINVAL)
_HELD = (errno.EAGAIN, errno.EACCES)  # some file systems answer the second


class LockHeldError(RuntimeError):
    """Another process holds the lock."""


@dataclass(frozen=True)
class LockNote:
    """What a holder has written into its lock file.

    Attributes:
        text: empty until the holder has written it.
        is_held: whether the system says that the lock is held; False on a file system without locks, where nobody can know.
    """

    text: str
    is_held: bool


def take_lock(
    path: Path,
    patience: float = NO_PATIENCE,
    note: str = "",
    *,
    on_wait: Callable[[str], object] = lambda note: None,
    on_no_locks: Callable[[str], object] | None = None,
) -> AbstractContextManager[object]:
    """Take a lock, which the returned context gives back at its end.

    Args:
        path: of the lock file.
        patience: seconds to wait for another process.
        note: is written into the file, for `read_note`.
        on_wait: is called before waiting, with what the holder has written.
        on_no_locks: is called with the reason where the file system has no locks; this process then goes on without the lock.

    Raises:
        LockHeldError: another process holds it, longer than `patience`.
        OSError: this user may not open or create the file (EACCES, EPERM, EROFS), the disk is full, or the file system has no locks
            and there is no `on_no_locks`.
    """
    from filelock import FileLock, Timeout  # it takes 20 ms, which commands that only look need not wait for

    def write(opened: int) -> None:
        os.ftruncate(opened, 0)
        os.pwrite(opened, note.encode(), 0)

    # Not `thread_local`: another thread than the one that took the lock may end the context, as Ray does with a trial's generator.
    # No `fallback_to_soft`: a file that stands for a lock because it exists would outlive a killed process.
    lock = FileLock(
        path, thread_local=False, poll_interval=_POLL_SECONDS, on_acquired=write if note else None, fallback_to_soft=False
    )
    try:
        try:
            return lock.acquire(blocking=False)
        except Timeout:
            if patience == NO_PATIENCE:
                raise
            on_wait(path.read_text(encoding="utf-8", errors="replace"))
            return lock.acquire(timeout=-1 if patience == ANY_PATIENCE else patience)
    except Timeout:
        raise LockHeldError(f"another process holds {path}") from None
    except OSError as error:
        if error.errno not in _NO_LOCKS or on_no_locks is None:
            raise
        on_no_locks(error.strerror or str(error))
    if not note:
        return nullcontext()
    path.write_text(note, encoding="utf-8")
    return _removed_note(path)


@contextmanager
def _removed_note(path: Path) -> Iterator[None]:
    """Without locks the note alone says whether its writer is at work, so it is removed in the end."""
    try:
        yield
    finally:
        with suppress(OSError):
            path.write_text("", encoding="utf-8")


def read_note(path: Path) -> LockNote | None:
    """What the process that holds a lock has written into its file; None if nobody holds it.

    It looks with a shared lock that it gives back at once, so that any number can look at the same time. This is `flock` itself:
    filelock has no shared locks on files, and it opens them for writing, which those who look need not be allowed to do.

    Raises:
        OSError: this user may not read the file.
    """
    try:
        with path.open(encoding="utf-8", errors="replace") as opened:
            try:
                fcntl.flock(opened, fcntl.LOCK_SH | fcntl.LOCK_NB)
            except OSError as error:
                text, is_held = opened.read(), error.errno in _HELD
                return LockNote(text, is_held) if text or is_held else None
    except FileNotFoundError:
        pass
    return None


@contextmanager
def only_process(path: Path, say: Callable[[str], None]) -> Iterator[None]:
    """Work alone in the folder of a lock file, after all who work there already.

    Args:
        path: of the lock file.
        say: told, in a line, whom this process waits for, or that the file system has no locks.

    Raises:
        OSError: the file cannot be written.
    """

    def say_no_locks(reason: str) -> None:
        say(f"{path.parent} is on a file system without locks ({reason}): let no other process work there")

    def say_wait(holder: str) -> None:
        say(f"waiting for {holder or 'another process'}, which works in {path.parent}")

    note = f"process {os.getpid()} on {socket.gethostname()}"
    with take_lock(path, ANY_PATIENCE, note, on_wait=say_wait, on_no_locks=say_no_locks):
        yield
