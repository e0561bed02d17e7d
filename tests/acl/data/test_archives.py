"""Damaged or unsafe archives: none is unpacked, not even in part."""

import stat
import zipfile
from pathlib import Path

import pytest

from acl.data.archives import unpack
from acl.system.errors import ArchiveError
from support.file_systems import small_disk
from support.published_archives import TRAIN


def zip_of(folder: Path, *members: tuple[str | zipfile.ZipInfo, bytes]) -> Path:
    path = folder / TRAIN
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("FSDnoisy18k.audio_train/1.wav", b"good")
        for name, content in members:
            archive.writestr(name, content)
    return path


def symlink(name: str) -> zipfile.ZipInfo:
    info = zipfile.ZipInfo(name)
    info.create_system = 3
    info.external_attr = (stat.S_IFLNK | 0o777) << 16
    return info


@pytest.mark.parametrize(
    ("member", "content", "message"),
    [
        ("../escaped", b"x", "lies outside"),
        ("FSDnoisy18k.audio_train/../../escaped", b"x", "lies outside"),
        ("FSDnoisy18k.meta/train.csv", b"x", "lies outside"),
        ("escaped", b"x", "lies outside"),
        ("/tmp/escaped", b"x", "is an absolute path"),
        ("C:/escaped", b"x", "is an absolute path, or one of another system"),
        ("FSDnoisy18k.audio_train\\..\\..\\escaped", b"x", "is an absolute path, or one of another system"),
        (symlink("FSDnoisy18k.audio_train/link"), b"/etc", "is neither a file nor a folder"),
        ("FSDnoisy18k.audio_train/bomb.wav", bytes(10_000_000), "it would grow from"),
    ],
    ids=["parent", "parent inside", "another folder", "top", "absolute", "drive", "backslashes", "link", "bomb"],
)
def test_an_archive_that_leads_elsewhere_is_not_unpacked(
    member: str | zipfile.ZipInfo, content: bytes, message: str, tmp_path: Path
) -> None:
    root = tmp_path / "a" / "corpus"
    root.mkdir(parents=True)
    path = zip_of(tmp_path, (member, content))
    with pytest.raises(ArchiveError, match=message):
        unpack(path, root, root / "work", lambda done, total: None)
    assert {found for found in tmp_path.rglob("*") if found.is_file()} == {path}
    assert not Path("/tmp/escaped").exists()


@pytest.mark.parametrize("damage", ["bytes", "cut", "nothing", "no archive"])
def test_a_damaged_archive_leaves_nothing(damage: str, archives: Path, tmp_path: Path) -> None:
    content = bytearray((archives / TRAIN).read_bytes())
    if damage == "bytes":
        content[len(content) // 2] ^= 1
    path = tmp_path / TRAIN
    path.write_bytes(
        {"bytes": content, "cut": content[:-500], "nothing": b"", "no archive": b"<html>Please log in</html>" * 100}[damage]
    )
    with pytest.raises(ArchiveError, match=r"is damaged .*; remove it and run again"):
        unpack(path, tmp_path, tmp_path / "work", lambda done, total: None)
    assert not (tmp_path / "FSDnoisy18k.audio_train").exists()


@pytest.mark.parametrize(
    ("spare", "message"),
    [
        (-100_000, r"unpacking FSDnoisy18k\.audio_train\.zip needs"),
        (4_096, r"could not be unpacked in .* \(No space left on device\)"),
    ],
    ids=["known before", "found while unpacking"],
)
def test_unpacking_to_a_full_disk_leaves_nothing(spare: int, message: str, corpus: Path, archives: Path, tmp_path: Path) -> None:
    needed = sum(path.stat().st_size for path in (corpus / "FSDnoisy18k.audio_train").iterdir())
    with small_disk(tmp_path / "disk", str((needed + spare) // 4096 * 4096)) as disk:
        with pytest.raises(ArchiveError, match=message):
            unpack(archives / TRAIN, disk, disk / "work", lambda done, total: None)
        assert not [path for path in disk.rglob("*") if path.is_file()]
        assert not (disk / "FSDnoisy18k.audio_train").exists()
