"""What a machine of a cluster needs before trials run on it, seen from that machine.

It must see the folder of the study, in which trials keep their state. Features that it does not see where the study says are copied
to it from the machine that launched the study, once, under their digest.
"""

import fcntl
import json
import os
import shutil
import socket
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

from acl.config import Mode
from acl.store import FeatureStore, StoreError, content_digest

STAGING_VARIABLE = "ACL_STUDY_STAGING"
CHUNK_BYTES = 8 << 20
_FILES = ("logmel.npy", "clips.csv", "store.json")  # the last one makes it a store

# Name of a file of a feature store, first byte and number of bytes -> the bytes
Read = Callable[[str, int, int], bytes]


class NodeError(RuntimeError):
    """No trial can run on this machine; the message is one line with the remedy.

    Attributes:
        node: Ray's id of the machine.
    """

    def __init__(self, node: str, reason: str) -> None:
        super().__init__(node, reason)  # both, for pickle
        self.node = node
        self.reason = reason

    def __str__(self) -> str:
        return self.reason


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
        sees_study: whether it sees the folder of the study.
        unseen: features that it sees neither where the study says nor among its copies.
    """

    host: str
    version: str
    sees_study: bool
    unseen: tuple[Features, ...]


def look(mark: Path | None, needed: Sequence[Features]) -> NodeState:
    """What this machine has: the `mark` that a launch has left in the study's folder (None: nothing is shared), and features."""
    unseen = tuple(features for features in needed if seen_root(features) is None)
    sees_study = mark is None or mark.exists()
    return NodeState(here(), metadata.version("acl-study"), sees_study, unseen)


def seen_root(features: Features) -> str | None:
    """Corpus folder under which this machine has the features: the study's own, or that of a copy; None where it has none."""
    for root in (features.root, str(_copy_root(features))):
        if FeatureStore.digest_at(root, features.front_end) == features.digest:
            return root
    return None


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
        _own_folder(root.parent)
        with (root.parent / f"{root.name}.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
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
    """Where copies of features lie on this machine: `ACL_STUDY_STAGING`, or a folder of this user's among the temporary files."""
    given = os.environ.get(STAGING_VARIABLE)
    return Path(given) if given else Path(tempfile.gettempdir(), f"acl-study-{os.getuid()}")


def _copy(features: Features, read: Read, root: Path) -> None:
    partial = root.with_name(f"{root.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    free = shutil.disk_usage(root.parent).free
    if features.size > free:
        raise StoreError(f"{features.size / 1e9:.1f} GB, {free / 1e9:.1f} GB are free")
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


def _own_folder(folder: Path) -> None:
    """Make the folder of copies; one of another user's is not to be trusted."""
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    if folder.stat().st_uid != os.getuid():
        raise StoreError("the folder belongs to another user")


def _copy_root(features: Features) -> Path:
    return staging_folder() / f"{features.front_end}-{features.digest[:32]}"


def _store_of(root: str | Path, front_end: Mode) -> Path:
    return Path(root) / "features" / front_end
