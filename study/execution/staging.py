"""Staging: what a machine of a cluster needs before trials run on it, seen from that machine, and what is copied to it.

It must see the folder of the study, in which trials keep their state. Features that it does not see where the study says are copied
to it from the machine that launched the study, once, under their digest.
"""

import json
import os
import shutil
import socket
import stat
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

import ray
from ray.exceptions import RayError

from acl.config import Mode
from acl.store.digest import content_digest
from acl.store.feature_store import FeatureStore
from acl.system.errors import StoreError
from acl.system.locks import ANY_PATIENCE, take_lock
from acl.system.text import first_line, format_size
from study.errors import NodeError, StudyError
from study.state.storage import Storage

STAGING_VARIABLE = "ACL_STUDY_STAGING"
CHUNK_BYTES = 8 << 20
_FILES = ("logmel.npy", "clips.csv", "store.json")  # the last one makes it a store
# Name of a file of a feature store, first byte and number of bytes -> the bytes
Read = Callable[[str, int, int], bytes]


@dataclass(frozen=True)
class Features:
    """A feature store that trials of a study learn from.

    Attributes:
        root: corpus folder, as the study names it.
        front_end: of the store.
        digest: its `content_sha256`.
        sizes: bytes of each of its files.
    """

    root: str
    front_end: Mode
    digest: str
    sizes: tuple[tuple[str, int], ...]

    @classmethod
    def of(cls, root: str, front_end: Mode) -> "Features":
        """The store as this machine sees it.

        Raises:
            StoreError: there is none.
        """
        digest = FeatureStore.open(root, front_end).metadata["content_sha256"]
        folder = _store_of(root, front_end)
        return cls(root, front_end, digest, tuple((name, (folder / name).stat().st_size) for name in _FILES))

    @property
    def size(self) -> int:
        """Bytes of all files."""
        return sum(size for _, size in self.sizes)

    def read(self, name: str, first: int, count: int) -> bytes:
        """A part of one of its files, where this machine sees them."""
        if name not in _FILES:
            raise ValueError(f"{name} is no file of a feature store")
        with (_store_of(self.root, self.front_end) / name).open("rb") as file:
            file.seek(first)
            return file.read(count)


@dataclass(frozen=True)
class NodeState:
    """What a machine has of what trials need.

    Attributes:
        host: its name.
        version: of acl-study there.
        wrong: why trials cannot keep their state from there; empty where they can.
        unseen: features that it sees neither where the study says nor among its copies.
    """

    host: str
    version: str
    wrong: str
    unseen: tuple[Features, ...]


def inspect_node(marker_file: Path | None, storage: Storage | None, needed: Sequence[Features]) -> NodeState:
    """What this machine has; arguments as `node_problem`, and features that are needed."""
    unseen = tuple(features for features in needed if seen_root(features) is None)
    return NodeState(here(), metadata.version("acl-study"), node_problem(marker_file, storage), unseen)


def node_problem(marker_file: Path | None, storage: Storage | None) -> str:
    """Why trials cannot keep their state from this machine, with the remedy; empty where they can.

    Args:
        marker_file: file that a launch has left in the study's folder; None where that folder need not be seen.
        storage: that must be reached instead.
    """
    if marker_file is not None and not marker_file.exists():
        return (
            f"{here()} does not see {marker_file.parent}; put --home on a folder that all machines share, or pass --storage (e.g. "
            "s3://bucket/folder)"
        )
    try:
        if storage is not None:
            storage.check()
    except StudyError as error:
        return f"on {here()} {error}"
    return ""


def seen_root(features: Features) -> str | None:
    """Corpus folder under which this machine has the features: the study's own, or that of a copy; None where it has none."""
    if _is_whole(features.root, features):
        return features.root
    copy = _copy_root(features)
    return str(copy) if _is_own(copy.parent) and _is_whole(copy, features) else None


def _is_whole(root: str | Path, features: Features) -> bool:
    if FeatureStore.digest_at(root, features.front_end) != features.digest:
        return False
    folder = _store_of(root, features.front_end)
    try:
        return all((folder / name).stat().st_size == size for name, size in features.sizes)
    except OSError:  # cleaned away
        return False


def copied_root(features: Features, read: Read, node: str) -> str:
    """As `seen_root`; copies the features to this machine first, where it has none, while other processes that want to wait.

    Args:
        features: that a trial needs.
        read: gives their bytes.
        node: id of this machine.

    Raises:
        NodeError: this machine has no room for them, or they do not arrive whole.
    """
    root = _copy_root(features)
    try:
        root.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        if not _is_own(root.parent):
            raise StoreError("the folder belongs to another user, or others may write to it")
        # Without locks nothing is copied: processes of one machine do begin at once, and would remove each other's copies.
        with take_lock(root.parent / f"{root.name}.lock", ANY_PATIENCE):
            if (seen := seen_root(features)) is not None:
                return seen
            _copy(features, read, root)
    except (OSError, StoreError) as error:
        raise NodeError(
            node,
            f"{here()} does not see the features of {features.root} and cannot copy them to {root.parent} ({error}); "
            f"make room there, name another folder with {STAGING_VARIABLE}, or put the corpus where all machines see it",
        ) from None
    return str(root)


def here() -> str:
    """Name of this machine."""
    return socket.gethostname()


def staging_folder() -> Path:
    """This user's folder for copies of features on this machine, below `ACL_STUDY_STAGING` or among the temporary files."""
    return Path(os.environ.get(STAGING_VARIABLE) or tempfile.gettempdir(), f"acl-study-{os.getuid()}")


@contextmanager
def scratch_folder() -> Iterator[Path]:
    """A folder of this process on this machine's disk, removed in the end; those of processes that were killed are removed, too."""
    folder = staging_folder() / "running"
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    for old in folder.iterdir():
        if not Path("/proc", old.name.partition("-")[0]).exists():
            shutil.rmtree(old, ignore_errors=True)
    with tempfile.TemporaryDirectory(prefix=f"{os.getpid()}-", dir=folder) as scratch:
        yield Path(scratch)


def _copy(features: Features, read: Read, root: Path) -> None:
    partial = root.with_name(f"{root.name}.partial")
    for old in (partial, root):  # of a process that was killed; or no longer whole
        shutil.rmtree(old, ignore_errors=True)
    free = shutil.disk_usage(root.parent).free
    if features.size > free:
        raise StoreError(f"{format_size(features.size, 'GB')}, {format_size(free, 'GB')} are free")
    folder = _store_of(partial, features.front_end)
    folder.mkdir(parents=True)
    try:
        for name, size in features.sizes:
            with (folder / name).open("wb") as file:
                for first in range(0, size, CHUNK_BYTES):
                    file.write(read(name, first, min(CHUNK_BYTES, size - first)))
                file.flush()
                os.fsync(file.fileno())
        stated = json.loads((folder / "store.json").read_text(encoding="utf-8"))["content_sha256"]
        if stated != features.digest or content_digest(folder) != features.digest:
            raise StoreError("what arrived has another digest; the features there have changed")
        partial.rename(root)
    except BaseException:
        shutil.rmtree(partial, ignore_errors=True)
        raise


def _is_own(folder: Path) -> bool:
    """Whether nobody else can have put copies there."""
    try:
        status = folder.lstat()
    except OSError:
        return False
    return stat.S_ISDIR(status.st_mode) and status.st_uid == os.getuid() and not status.st_mode & (stat.S_IWGRP | stat.S_IWOTH)


def _copy_root(features: Features) -> Path:
    return staging_folder() / f"{features.front_end}-{features.digest[:32]}"


def _store_of(root: str | Path, front_end: Mode) -> Path:
    return Path(root) / "features" / front_end


class FeatureFeed:
    """Gives features to machines that do not see them; an actor on the machine that launched the study."""

    def __init__(self) -> None:
        self._sent = 0

    def read(self, features: Features, name: str, first: int, count: int) -> bytes:
        """A part of a file of a feature store."""
        part = features.read(name, first, count)
        self._sent += len(part)
        return part

    def sent(self) -> int:
        """Bytes that were given so far."""
        return self._sent


@dataclass(frozen=True)
class NodeRequirements:
    """What trials need of a machine.

    Attributes:
        features: by sweep.
        feed: a `FeatureFeed`.
        marker_file: file in the study's folder, by which a machine knows that it sees that folder; None where it need not.
        storage: that it must reach instead.
    """

    features: Mapping[str, Features]
    feed: Any
    marker_file: Path | None
    storage: Storage | None

    def make_ready(self, sweep: str) -> None:
        """Have this process find the sweep's features on its machine; copies them here first, if need be.

        Raises:
            NodeError: no trial can run here.
        """
        node = ray.get_runtime_context().get_node_id()
        if wrong := node_problem(self.marker_file, self.storage):
            raise NodeError(node, wrong)
        features = self.features[sweep]
        FeatureStore.use_copy(features.root, features.front_end, self.copied(features, node))

    def copied(self, features: Features, node: str) -> str:
        """Corpus folder under which this machine, `node`, has the features, copied if need be; errors as `make_ready`."""
        return seen_root(features) or copied_root(features, self._reader(features), node)

    def _reader(self, features: Features) -> Callable[[str, int, int], bytes]:
        def read(name: str, first: int, count: int) -> bytes:
            try:
                part: bytes = ray.get(self.feed.read.remote(features, name, first, count))
            except RayError as error:
                raise OSError(f"the machine that has them does not answer: {first_line(error)}") from None
            return part

        return read
