"""The archives that a published corpus comes in, and how they are unpacked: whole and inside the corpus folder, or not at all."""

import os
import re
import shutil
import stat
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from zipfile import BadZipFile, ZipFile, ZipInfo

from acl.system.errors import ArchiveError
from acl.system.text import format_size

MOST_EXPANSION = 200
"""An archive that declares more bytes than this times its own is none of audio: the tables of a corpus shrink to a tenth."""
RESOURCE_FORKS = "__MACOSX"  # what macOS adds to archives beside their content


@dataclass(frozen=True)
class Archive:
    """A zip file with one folder in it, which has the archive's name.

    Attributes:
        name: of the file.
        md5: published sum of its bytes, in hexadecimal digits.
    """

    name: str
    md5: str

    @property
    def folder(self) -> str:
        """Name of the folder in it."""
        return self.name.removesuffix(".zip")


@dataclass(frozen=True)
class PublishedCorpus:
    """Archives of a corpus, small ones first: what is wrong with a server or a network shows before hours have passed.

    Attributes:
        address: of an archive, with {name} in the place of its name.
        archives: all that the publisher offers.
    """

    address: str
    archives: tuple[Archive, ...]


PUBLISHED = {
    "fsdnoisy18k": PublishedCorpus(
        "https://zenodo.org/record/2529934/files/{name}?download=1",
        (
            Archive("FSDnoisy18k.doc.zip", "093a1ca185ec341ca4eac14215e7f96b"),
            Archive("FSDnoisy18k.meta.zip", "96e27a4a63b7a2870522ddcedb5d8296"),
            Archive("FSDnoisy18k.audio_test.zip", "1ac73d70b4ef3f81900d98c261a832de"),
            Archive("FSDnoisy18k.audio_train.zip", "34dc1d34ca44622af5bf439ceb6f0d55"),
        ),
    )
}


def check_room(folder: Path, needed: int, purpose: str) -> None:
    """See that a disk has room.

    Args:
        folder: on that disk.
        needed: bytes.
        purpose: what needs them, the subject of the message.

    Raises:
        ArchiveError: it has not.
    """
    free = shutil.disk_usage(folder).free
    if needed > free:
        wanted, has = (format_size(count, "MB", "GB") for count in (needed, free))
        raise ArchiveError(f"{purpose} needs {wanted} in {folder}, {has} are free; free some space and run again")


def unpack(path: Path, root: Path, work: Path, progress: Callable[[int, int], None]) -> None:
    """Put the folder of an archive into `root`, in one rename once all its files are on the disk.

    Args:
        path: an `Archive`'s file.
        root: corpus folder, which has no such folder yet.
        work: a folder on the same disk, where files lie meanwhile; what a killed run left there is removed.
        progress: called with (files done, files in total).

    Raises:
        ArchiveError: the archive is damaged, leads out of its folder, or there is no room; `root` is as it was.
    """
    folder = path.name.removesuffix(".zip")
    unpacked = work / f"{folder}.unpacked"
    shutil.rmtree(unpacked, ignore_errors=True)
    try:
        with ZipFile(path) as opened:
            members = _checked_members(opened, path, folder)
            check_room(root, sum(member.file_size for member in members), f"unpacking {path.name}")
            unpacked.mkdir(parents=True)
            for done, member in enumerate(members):
                progress(done, len(members))
                opened.extract(member, unpacked)  # checks the sum of its bytes, and reads no more of them than were declared
            progress(len(members), len(members))
        os.sync()  # else a power cut after the rename could leave a whole folder of empty files
        (unpacked / folder).rename(root / folder)
    except (BadZipFile, zlib.error, EOFError, NotImplementedError) as error:
        raise ArchiveError(f"{path} is damaged ({error}); remove it and run again") from None
    except OSError as error:
        reason = error.strerror or error
        raise ArchiveError(f"{path.name} could not be unpacked in {root} ({reason}); once that is mended, run again") from None
    finally:
        shutil.rmtree(unpacked, ignore_errors=True)


def _checked_members(opened: ZipFile, path: Path, folder: str) -> list[ZipInfo]:
    """Files and folders of an archive, none of them outside `folder`."""
    members = [member for member in opened.infolist() if _parts(member)[:1] != (RESOURCE_FORKS,)]
    for member in members:
        fault = _fault(member, folder)
        if fault is not None:
            raise ArchiveError(f"{path} is not what was published: its member {member.filename!r} {fault}; remove the archive")
    if not any(_parts(member)[1:] for member in members):
        raise ArchiveError(f"{path} is not what was published: it has no files in {folder}/; remove the archive")
    declared, own = sum(member.file_size for member in members), path.stat().st_size
    if declared > MOST_EXPANSION * own:
        packed, unpacked = (format_size(count, "MB", "GB") for count in (own, declared))
        raise ArchiveError(f"{path} is not what was published: it would grow from {packed} to {unpacked}; remove the archive")
    return members


def _parts(member: ZipInfo) -> tuple[str, ...]:
    return PurePosixPath(member.filename).parts


def _fault(member: ZipInfo, folder: str) -> str | None:
    """Why a member must not be unpacked, as the rest of a sentence."""
    parts = _parts(member)
    kind = stat.S_IFMT(member.external_attr >> 16)
    if member.filename.startswith("/") or "\\" in member.filename or re.match("[A-Za-z]:", member.filename):
        return "is an absolute path, or one of another system"
    if ".." in parts or parts[:1] != (folder,):
        return f"lies outside {folder}/"
    if kind not in (0, stat.S_IFREG, stat.S_IFDIR):
        return "is neither a file nor a folder"
    if member.flag_bits & 1:
        return "is encrypted"
    return None
