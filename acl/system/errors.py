"""Errors of `acl`: an expected failure each, whose message is one line with rule, value and remedy. Imports nothing."""


class AclError(Exception):
    """A failure that is foreseen; who runs the program reads its message, without a traceback."""


class ConfigError(AclError, ValueError):
    """Settings are unknown, of the wrong type or out of their legal range; a line for each, with rule, value and remedy."""


class CorpusError(AclError, ValueError):
    """A corpus cannot be read or written as asked; the message is one line with rule, value and remedy."""


class StoreError(AclError, ValueError):
    """A feature store is missing, damaged or cannot be made; the message is one line with the remedy."""


class AudioError(AclError, ValueError):
    """An audio file is unusable; the message is a sentence without its subject, the file."""


class ArchiveError(AclError, RuntimeError):
    """An archive cannot be had or unpacked; the message is one line with rule, value and remedy."""


class SplitError(AclError, ValueError):
    """The corpus has not the clips for the requested split."""


class DeviceError(AclError, RuntimeError):
    """The requested device is not there."""


class CheckpointError(AclError, ValueError):
    """A checkpoint cannot be used; the message is one line with file and remedy."""


class DivergedError(AclError, RuntimeError):
    """The training loss is no longer finite."""


class CostError(AclError, RuntimeError):
    """A run cannot be measured here; the message is one line with the remedy."""


class WorkerError(AclError, RuntimeError):
    """A worker process ended in the middle of a task; the message is one line with the remedy."""


class ExportedError(AclError, ValueError):
    """A folder is no usable exported model; the message is one line with file and remedy."""
