"""The digest of a feature store's bytes, on which everything relies that compares numbers.

To read a store whole takes seconds a gigabyte. So each state of its files is read once on a machine. Its digest is remembered in
the cache folder, together with size, times and inode of the files and with a sample of their bytes, which is read each time.
"""

import contextlib
import hashlib
import json
import os
import tempfile
from pathlib import Path
from typing import Any

from platformdirs import user_cache_path

from acl.system.locks import ANY_PATIENCE, take_lock
from acl.system.text import parse_json

CACHE_FOLDER = "ACL_STUDY_CACHE"  # environment variable
_FILES = ("logmel.npy", "clips.csv")
_SAMPLES, _SAMPLE_BYTES = 128, 4096


def content_digest(folder: Path) -> str:
    """SHA-256 over the bytes of logmel.npy and clips.csv, all of which are read."""
    digest = hashlib.sha256()
    for name in _FILES:
        with (folder / name).open("rb") as file:
            while block := file.read(1 << 24):
                digest.update(block)
    return digest.hexdigest()


def current_digest(folder: Path) -> str:
    """As `content_digest`, of which this machine remembers what it was for files in the same state.

    Raises:
        OSError: the files cannot be read.
    """
    remembered = _cache() / f"{hashlib.sha256(os.fsencode(folder.resolve())).hexdigest()[:32]}.digest"
    try:
        remembered.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        lock = take_lock(remembered.with_suffix(".lock"), ANY_PATIENCE, on_no_locks=lambda reason: None)
    except OSError:  # no place to remember anything
        return content_digest(folder)
    with lock:  # processes that want the same one wait for the first
        state = _state(folder)
        if (known := _load(remembered)) and known.get("state") == state:
            return str(known["digest"])
        digest = content_digest(folder)
        if _state(folder) == state:  # else it was written meanwhile
            _save(remembered, {"state": state, "digest": digest})
        return digest


def _cache() -> Path:
    named = os.environ.get(CACHE_FOLDER)
    try:
        return (Path(named) if named else user_cache_path("acl-study")) / "features"
    except RuntimeError:  # a user without a home folder
        return Path(tempfile.gettempdir()) / f"acl-study-{os.getuid()}" / "features"


def _state(folder: Path) -> list[Any]:
    """What changes when a file does: its identity, size and times, and a sample of its bytes."""
    state: list[Any] = []
    for name in _FILES:
        with (folder / name).open("rb") as file:
            status, sample = os.fstat(file.fileno()), hashlib.sha256()
            last = max(0, status.st_size - _SAMPLE_BYTES)
            for place in range(_SAMPLES):
                sample.update(os.pread(file.fileno(), _SAMPLE_BYTES, place * last // (_SAMPLES - 1)))
        numbers = (status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns)
        state.append([*numbers, sample.hexdigest()])
    return state


def _load(path: Path) -> dict[str, Any]:
    try:
        known = parse_json(path.read_bytes())
        return known if isinstance(known, dict) and isinstance(known.get("digest"), str) else {}
    except (OSError, ValueError):
        return {}


def _save(path: Path, known: dict[str, Any]) -> None:
    partial = path.with_suffix(".partial")
    with contextlib.suppress(OSError):  # it is computed again
        partial.write_text(json.dumps(known), encoding="utf-8")
        partial.replace(path)
