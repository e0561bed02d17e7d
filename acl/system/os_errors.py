"""Failures of the operating system in words: what could not be done to which file, why, and what helps."""

import errno
import os

# What helps, by what the system says
_REMEDIES = {
    errno.ENOSPC: "make room on that disk",
    errno.EDQUOT: "make room within your quota, or ask for more",
    errno.EROFS: "that file system is read-only: have it mounted for writing, or name another folder",
    errno.EACCES: "make it accessible to you, or name another folder",
    errno.EPERM: "make it accessible to you, or name another folder",
    errno.EIO: "that disk is failing or gone: look at the system's log (dmesg), and bring it back or name another folder",
    errno.ENODEV: "that disk is gone: bring it back, or name another folder",
    errno.ENXIO: "that disk is gone: bring it back, or name another folder",
    errno.ESTALE: "that network folder has gone away: mount it again",
    errno.ENOTCONN: "that network folder has gone away: mount it again",
    errno.EHOSTDOWN: "that network folder has gone away: mount it again",
    errno.ENAMETOOLONG: "choose a shorter name, or a folder with a shorter path",
    errno.ENOENT: "correct the path",
    errno.ENOTDIR: "correct the path",
    errno.EISDIR: "name a file",
    errno.EMFILE: "allow more open files (ulimit -n)",
    errno.ENFILE: "close other programs: the machine has too many files open",
    errno.ENOMEM: "end other programs, or take a machine with more memory",
    errno.ETXTBSY: "end the program that uses it",
    errno.ELOOP: "correct the link, which leads to itself",
}
# Of these, nothing can be saved until somebody has done something: a launch that meets one ends.
_STORAGE = (
    errno.ENOSPC,
    errno.EDQUOT,
    errno.EROFS,
    errno.EIO,
    errno.ENODEV,
    errno.ENXIO,
    errno.ESTALE,
    errno.ENOTCONN,
    errno.EHOSTDOWN,
)


def is_of_the_disk(error: BaseException | None) -> bool:
    """Whether the disk is full, read-only, failing or gone, so that no other file can be saved there either.

    >>> is_of_the_disk(OSError(errno.EIO, "Input/output error")), is_of_the_disk(FileNotFoundError(errno.ENOENT, "no such file"))
    (True, False)
    """
    return isinstance(error, OSError) and error.errno in _STORAGE


def explain_os_error(error: OSError) -> str:
    """One line with the path, the reason and what helps; an error with a text of its own keeps that.

    >>> explain_os_error(OSError(errno.ENOSPC, "No space left on device", "runs/journal.jsonl"))
    'runs/journal.jsonl: no space left on device; make room on that disk. What was written before is safe'
    >>> explain_os_error(OSError("the storage does not answer"))
    'the storage does not answer'
    """
    if error.errno is None:
        return str(error)
    reason = error.strerror or os.strerror(error.errno)
    reason = reason[:1].lower() + reason[1:] if reason[1:2].islower() else reason
    where = "".join(f"{os.fsdecode(name)}: " for name in [error.filename] if isinstance(name, str | bytes))
    remedy = _REMEDIES.get(error.errno, "look at that file and its disk, and try again")
    safe = ". What was written before is safe" if is_of_the_disk(error) else ""
    return f"{where}{reason}; {remedy}{safe}"
