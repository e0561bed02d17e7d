"""Files of a run's state: their names, and how one is read that may be damaged or of another run."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import torch

from acl.config import ConfigError, build_config, flatten
from acl.metric_names import COMPUTE_PREFIX, PLACE_SETTINGS
from acl.system.errors import CheckpointError

CHECKPOINT_FILE = "checkpoint.pt"
FORMAT = 2


def stage_file(name: str) -> str:
    """Name of the file of a finished stage."""
    return f"stage-{name}.pt"


def copy_file(epoch: int | str) -> str:
    """Name of a copy of the checkpoint as it was after an epoch.

    >>> copy_file(12)
    'epoch-00012.pt'
    """
    return f"epoch-{epoch:05d}.pt" if isinstance(epoch, int) else f"epoch-{epoch}.pt"


def read_file(path: Path) -> dict[str, Any]:
    """Content of a file of any run, with its settings under `config` and the digest of its features under `corpus`.

    Raises:
        CheckpointError: it is missing, damaged, or of another version.
    """
    try:
        content: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:
        raise CheckpointError(
            f"{path} cannot be read ({type(error).__name__}); delete {path.parent} to train from the first epoch"
        ) from error
    with fitting(path):
        if content.get("format") != FORMAT:
            raise CheckpointError(f"{path} was written by another version of acl-study; use another folder")
        if not all(isinstance(text, str) for text in (content["corpus"], *content["config"].keys())):
            raise TypeError("corpus or config")
    with suppress(ConfigError):  # else its settings differ from any of this version, which names them
        content["config"] = flatten(build_config(content["config"]))  # a setting that it does not know was at its default
    return content


@contextmanager
def fitting(path: Path) -> Iterator[None]:
    """Use what `path` holds, which may be of the right format and yet not what a run wrote.

    Raises:
        CheckpointError: something is missing there, or of another kind or shape.
    """
    try:
        yield
    except CheckpointError:
        raise
    except (AssertionError, AttributeError, LookupError, RuntimeError, TypeError, ValueError) as error:
        if "memory" in str(error):  # of this machine, also in words of the allocators of torch
            raise
        raise CheckpointError(
            f"{path} does not fit its run ({type(error).__name__}); delete {path.parent} to train from the first epoch"
        ) from error


def differing_settings(one: dict[str, Any], other: dict[str, Any]) -> Iterable[str]:
    """Settings in which two runs differ, but those that say only where a run computes: it may go on elsewhere."""
    for name in {**one, **other}:
        if one.get(name) != other.get(name) and name not in PLACE_SETTINGS and not name.startswith(COMPUTE_PREFIX):
            yield name
