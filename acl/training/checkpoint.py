"""A run's state on disk: a checkpoint that is replaced whole after each epoch, and a file for each finished stage.

checkpoint.pt      the running stage, and the record of the last epoch
stage-NAME.pt      selected weights, figures and predictions of a finished stage
provenance.json    what trained it, launch by launch
"""

import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import torch

from acl.config import Config, flatten

CHECKPOINT_FILE = "checkpoint.pt"
_FORMAT = 2


class CheckpointError(ValueError):
    """A checkpoint cannot be used; the message is one line with file and remedy."""


def stage_file(name: str) -> str:
    """Name of the file of a finished stage."""
    return f"stage-{name}.pt"


class Checkpoints:
    """The files of one run.

    Args:
        folder: where they lie; made if absent.
        config: of the run.
        corpus: digest of the features that the run learns from.
    """

    def __init__(self, folder: Path, config: Config, corpus: str) -> None:
        self.folder = folder
        self._settings = flatten(config)
        self._root = config.data.root
        self._corpus = corpus

    def exists(self, file: str = CHECKPOINT_FILE) -> bool:
        """Whether there is such a file."""
        return (self.folder / file).exists()

    def save(self, content: dict[str, Any], file: str = CHECKPOINT_FILE) -> None:
        """Write a file; a crash or a full disk while writing leaves the previous one as it was.

        Raises:
            OSError: the file cannot be written, e.g. ENOSPC; what there was of it is removed.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        partial = self.folder / f"{file}.partial"
        try:
            with partial.open("wb") as opened:
                torch.save({"format": _FORMAT, "config": self._settings, "corpus": self._corpus, **content}, opened)
                opened.flush()
                os.fsync(opened.fileno())
            partial.replace(self.folder / file)
        except (OSError, RuntimeError) as error:
            partial.unlink(missing_ok=True)
            cause = error.__context__ if isinstance(error, RuntimeError) else error  # torch's writer hides the file's own error
            if isinstance(cause, OSError):
                raise OSError(cause.errno, cause.strerror, str(partial)) from error
            raise

    def load(self, file: str = CHECKPOINT_FILE) -> dict[str, Any]:
        """Content of a file.

        Raises:
            CheckpointError: it is missing or damaged, or belongs to a run with other settings or on another corpus.
        """
        path = self.folder / file
        try:
            content: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
        except Exception as error:
            raise CheckpointError(
                f"{path} cannot be read ({type(error).__name__}); delete {self.folder} to train from the first epoch"
            ) from error
        if content.get("format") != _FORMAT:
            raise CheckpointError(f"{path} was written by another version of acl-study; use another folder")
        for name in differing_settings(content["config"], self._settings):
            ours, theirs = self._settings.get(name), content["config"].get(name)
            raise CheckpointError(f"{path} belongs to a run with {name}={theirs!r}, not {ours!r}; use another folder")
        if content["corpus"] != self._corpus:
            raise CheckpointError(f"{path} belongs to a run on another corpus than {self._root}; use another folder")
        return content


def differing_settings(one: dict[str, Any], other: dict[str, Any]) -> Iterable[str]:
    """Settings in which two runs differ, but those that say only where a run computes: it may go on elsewhere."""
    for name in {**one, **other}:
        if one.get(name) != other.get(name) and name != "data.root" and not name.startswith("compute."):
            yield name
