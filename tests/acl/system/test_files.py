"""Files that survive a power cut: the order of the calls, and a flush that fails."""

import errno
import os
from pathlib import Path

import pytest

from acl.system.files import flush_to_disk, write_durably


def test_the_content_is_flushed_before_the_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path, seen = tmp_path / "file.csv", []
    path.write_text("old")
    fsync = os.fsync

    def watched(descriptor: int) -> None:
        flushed = Path(os.readlink(f"/proc/self/fd/{descriptor}"))
        seen.append((flushed.name, flushed.read_text() if flushed.is_file() else "", path.read_text()))
        fsync(descriptor)

    monkeypatch.setattr(os, "fsync", watched)
    write_durably(path, "new, é")
    assert seen == [("file.csv.partial", "new, é", "old"), (tmp_path.name, "", "new, é")]


def test_a_disk_that_fills_up_leaves_the_old_content(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "file.csv"
    path.write_text("old")

    def full(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space left"):
        write_durably(path, "new")
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_file_system_that_cannot_flush_folders_is_no_failure(tmp_path: Path) -> None:
    """/proc answers EINVAL, as CIFS and some of FUSE do."""
    folder = os.open("/proc/self", os.O_RDONLY)
    with pytest.raises(OSError, match="Invalid argument"):
        os.fsync(folder)
    os.close(folder)
    flush_to_disk(Path("/proc/self"))
    with pytest.raises(OSError, match="Invalid argument"):
        flush_to_disk(Path("/proc/self/status"))  # a file that is not on the disk is a failure
