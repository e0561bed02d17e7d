"""Failures of real file systems, in words."""

import errno
import os
from pathlib import Path

import pytest

from acl.system.files import write_durably
from acl.system.os_errors import explain_os_error, is_of_the_disk
from support.file_systems import fill, small_disk


def test_a_full_disk_names_the_file_and_the_remedy(tmp_path: Path) -> None:
    with small_disk(tmp_path / "disk", "64k") as disk:
        fill(disk / "filler")
        with pytest.raises(OSError, match="No space") as caught:
            write_durably(disk / "notes.json", "x" * 10_000)
        said = explain_os_error(caught.value)
        assert said.startswith(f"{disk}/notes.json")
        assert said.endswith(": no space left on device; make room on that disk. What was written before is safe")
        assert is_of_the_disk(caught.value)


def test_a_long_name_and_a_missing_folder(tmp_path: Path) -> None:
    for path, remedy in ((tmp_path / ("n" * 300), "choose a shorter name"), (tmp_path / "no" / "file", "correct the path")):
        with pytest.raises(OSError, match=path.name) as caught:
            write_durably(path, "text")
        assert remedy in explain_os_error(caught.value)
        assert str(path.parent) in explain_os_error(caught.value)
        assert not is_of_the_disk(caught.value)


@pytest.mark.parametrize("number", [errno.EIO, errno.EROFS, errno.EDQUOT, errno.ESTALE])
def test_a_disk_that_takes_nothing_more(number: int) -> None:
    error = OSError(number, os.strerror(number), "runs/file")
    assert is_of_the_disk(error)
    assert explain_os_error(error).startswith("runs/file: ")
    assert "[Errno" not in explain_os_error(error)
