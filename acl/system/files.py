"""Files that are whole after any crash."""

import os
from contextlib import suppress
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
    except OSError as error:
        error.filename = error.filename or str(path)  # of a write, the system names no file
        with suppress(OSError):  # of a disk that is gone
            partial.unlink(missing_ok=True)
        raise
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)  # else a power cut can take the new name back
    finally:
        os.close(folder)
