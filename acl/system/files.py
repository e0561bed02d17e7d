"""Files that are whole after any crash."""

import errno
import os
from contextlib import suppress
from pathlib import Path

# What file systems answer that cannot flush a folder (CIFS, some of FUSE): the new name is in it all the same.
_NO_FLUSH_OF_FOLDERS = (errno.EINVAL, errno.ENOSYS, errno.EOPNOTSUPP, errno.EBADF, errno.EACCES)


def flush_to_disk(path: Path) -> None:
    """Wait until a file or folder is on the disk; of a folder as far as its file system can.

    Raises:
        OSError: the disk failed, e.g. EIO.
    """
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno not in _NO_FLUSH_OF_FOLDERS or not path.is_dir():
            raise
    finally:
        os.close(descriptor)


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
    except OSError as error:
        error.filename = error.filename or str(path)  # of a write, the system names no file
        with suppress(OSError):  # of a disk that is gone
            partial.unlink(missing_ok=True)
        raise
    flush_to_disk(path.parent)  # else a power cut can take the new name back
