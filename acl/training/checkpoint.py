"""A run's state on disk: one file per run, replaced whole after each epoch."""

import os
from pathlib import Path
from typing import Any

import torch

from acl.config import Config, flatten

CHECKPOINT_FILE = "checkpoint.pt"


class CheckpointError(ValueError):
    """A checkpoint cannot be used; the message is one line with file and remedy."""


def save_checkpoint(folder: Path, config: Config, corpus: str, state: dict[str, Any]) -> None:
    """Write `state` to `folder`; a crash while writing leaves the previous file as it was.

    `corpus` is the digest of the features that the run learns from.
    """
    folder.mkdir(parents=True, exist_ok=True)
    partial = folder / f"{CHECKPOINT_FILE}.partial"
    with partial.open("wb") as file:
        torch.save({"config": flatten(config), "corpus": corpus, **state}, file)
        file.flush()
        os.fsync(file.fileno())
    partial.replace(folder / CHECKPOINT_FILE)


def load_checkpoint(folder: Path | None, config: Config, corpus: str) -> dict[str, Any] | None:
    """State of the last complete epoch in `folder`, or None where there is none.

    Raises:
        CheckpointError: the file is damaged or belongs to a run with other settings or on another corpus.
    """
    if folder is None or not (folder / CHECKPOINT_FILE).exists():
        return None
    path = folder / CHECKPOINT_FILE
    try:
        state: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:
        raise CheckpointError(f"{path} cannot be read ({type(error).__name__}); delete it to train from the first epoch") from error
    differing = [name for name, value in flatten(config).items() if state["config"].get(name) != value and not _is_place(name)]
    if differing:
        name = differing[0]
        raise CheckpointError(
            f"{path} belongs to a run with {name}={state['config'].get(name)!r}, not {flatten(config)[name]!r}; use another folder"
        )
    if state["corpus"] != corpus:
        raise CheckpointError(f"{path} belongs to a run on another corpus than {config.data.root}; use another folder")
    return state


def _is_place(name: str) -> bool:
    """Settings that say where a run computes, not what: a run may go on elsewhere."""
    return name == "data.root" or name.startswith("compute.")
