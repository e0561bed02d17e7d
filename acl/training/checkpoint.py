"""A run's state on disk: a checkpoint that is replaced whole after each epoch, and a file for each finished stage.

checkpoint.pt      the running stage, and the record of the last epoch
stage-NAME.pt      selected weights, figures and predictions of a finished stage
epoch-NUMBER.pt    copies of the checkpoint that other runs may go on from (population-based training)
from-….pt          such a copy of another run that this one takes over
lock               held by the process that trains the run
provenance.json    what trained it, launch by launch
"""

import os
import warnings
from collections.abc import Callable, Collection, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.utils._pytree import tree_map

from acl.config import Config, flatten
from acl.provenance import PROVENANCE_FILE, append_provenance
from acl.system.errors import CheckpointError
from acl.system.locks import LockHeldError, take_lock
from acl.training.checkpoint_files import CHECKPOINT_FILE, FORMAT, copy_file, differing_settings, read_file

_LOCK_FILE = "lock"


def hand_over(donor: Path, epoch: int, taker: Path) -> Path:
    """Give a run another run's checkpoint of an epoch, which it will `take_over`; the donor may drop its own copy then.

    Args:
        donor: folder of the other run, which has kept a copy of that epoch.
        epoch: of the copy.
        taker: folder of the run that takes over; what it was given before is removed.
    """
    given = taker / f"from-{donor.parent.name}-{copy_file(epoch)}"
    for old in taker.glob("from-*.pt"):
        if old != given:
            old.unlink(missing_ok=True)
    if not given.exists():
        os.link(donor / copy_file(epoch), given)
    return given


def drop_copies(folder: Path) -> None:
    """Remove a run's copies of checkpoints: nobody goes on from them any more."""
    for pattern in (copy_file("*"), "from-*.pt"):
        for copy in folder.glob(pattern):
            copy.unlink(missing_ok=True)


class Checkpoints:
    """The files of one run.

    Args:
        folder: where they lie; made if absent.
        config: of the run.
        corpus: digest of the features that the run learns from.
        kept: is called with each file when it is written, in the thread that wrote it.
    """

    def __init__(self, folder: Path, config: Config, corpus: str, kept: Callable[[Path], None] = lambda file: None) -> None:
        self.folder = folder
        self._kept = kept
        self._settings = flatten(config)
        self._root = config.data.root
        self._corpus = corpus
        self._taken_from = ""  # the copy of another run's checkpoint that this run went on from
        self._writer = ThreadPoolExecutor(1, thread_name_prefix="checkpoint")
        self._writing: Future[None] | None = None

    @contextmanager
    def held(self, patience: float = 20.0) -> Iterator[None]:
        """Keep other processes from training the same run; the system lets go when this process ends, however it ends.

        Where the file system has no locks, a warning says so and the run goes on.

        Args:
            patience: seconds to wait for another process, such as the worker of a driver that was just killed.

        Raises:
            CheckpointError: another process trains the run, or the folder cannot be one.
        """
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            lock = take_lock(self.folder / _LOCK_FILE, patience, on_no_locks=self._warn_no_locks)
        except LockHeldError:
            raise CheckpointError(
                f"{self.folder} belongs to a run that another process trains; wait for it, or use another folder"
            ) from None
        except OSError as error:
            raise CheckpointError(f"{self.folder} cannot hold checkpoints ({error.strerror}); name another folder") from None
        with lock:
            try:
                yield
            finally:
                self.wait()

    def _warn_no_locks(self, reason: str) -> None:
        text = f"{self.folder} is on a file system without locks ({reason}): let no other process train this run"
        warnings.warn(text, RuntimeWarning, stacklevel=2)

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
                common = {"format": FORMAT, "config": self._settings, "corpus": self._corpus, "taken_from": self._taken_from}
                torch.save({**content, **common}, opened)
                opened.flush()
                os.fsync(opened.fileno())
            partial.replace(self.folder / file)
        except (OSError, RuntimeError) as error:
            partial.unlink(missing_ok=True)
            cause = error.__context__ if isinstance(error, RuntimeError) else error  # torch's writer hides the file's own error
            if isinstance(cause, OSError):
                raise OSError(cause.errno, cause.strerror, str(partial)) from error
            raise
        self._kept(self.folder / file)

    def save_meanwhile(self, content: dict[str, Any]) -> None:
        """Write the checkpoint as it is now while the run goes on; waits for the one before, and raises as `wait`."""
        self.wait()
        self._writing = self._writer.submit(self.save, copied(content))

    def keep_provenance(self, launch: dict[str, Any]) -> None:
        """Note what trains the run from now on."""
        append_provenance(self.folder, launch)
        self._kept(self.folder / PROVENANCE_FILE)

    def wait(self) -> None:
        """Wait for what is being written.

        Raises:
            OSError: it could not be.
        """
        writing, self._writing = self._writing, None
        if writing is not None:
            writing.result()

    def take_over(self, source: Path, may_differ: Collection[str]) -> None:
        """Let the run go on from another run's checkpoint, with its own settings; nothing where it has done so already.

        Args:
            source: copy of the other run's checkpoint, of its first stage.
            may_differ: settings in which the two may differ.

        Raises:
            CheckpointError: the copy is missing or damaged, or differs in other settings.
        """
        if self.exists() and self._load(self.folder / CHECKPOINT_FILE, may_differ).get("taken_from") == str(source):
            return
        content = self._load(source, may_differ)
        self._taken_from = str(source)
        self.save(content)

    def keep_copy(self, epoch: int) -> None:
        """Keep a copy of the checkpoint for `take_over` by another run; of earlier copies, the last one stays.

        The checkpoint is replaced whole, never changed, so the copy is a second name of the same file.
        """
        self.wait()
        copies = sorted(self.folder.glob(copy_file("*")))
        for old in copies[:-1]:
            old.unlink(missing_ok=True)
        (self.folder / copy_file(epoch)).unlink(missing_ok=True)
        os.link(self.folder / CHECKPOINT_FILE, self.folder / copy_file(epoch))

    def load(self, file: str = CHECKPOINT_FILE) -> dict[str, Any]:
        """Content of a file.

        Raises:
            CheckpointError: it is missing or damaged, or belongs to a run with other settings or on another corpus.
        """
        content = self._load(self.folder / file, may_differ=())
        self._taken_from = content.get("taken_from", "")
        return content

    def _load(self, path: Path, may_differ: Collection[str]) -> dict[str, Any]:
        content = read_file(path)
        for name in differing_settings(content["config"], self._settings):
            ours, theirs = self._settings.get(name), content["config"].get(name)
            if name in may_differ:
                continue
            raise CheckpointError(f"{path} belongs to a run with {name}={theirs!r}, not {ours!r}; use another folder")
        if content["corpus"] != self._corpus:
            raise CheckpointError(f"{path} belongs to a run on another corpus than {self._root}; use another folder")
        return content


def copied(content: dict[str, Any]) -> dict[str, Any]:
    """The same in this process's memory, whatever happens to the original from now on."""

    def own(value: Any) -> Any:
        return value.detach().to("cpu", non_blocking=True, copy=True) if isinstance(value, Tensor) else value

    copy: dict[str, Any] = tree_map(own, content)
    if torch.cuda.is_initialized():  # the copies of what is on a GPU may still be under way
        torch.cuda.current_stream().synchronize()
    return copy
