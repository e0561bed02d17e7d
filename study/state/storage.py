"""Remote storage for the state of trials, where machines share no folder: an address that pyarrow or fsspec knows.

Each trial then trains in a folder of the machine that it runs on; each file of its state is put here when it is whole, and fetched
by the machine that goes on. What nobody needs again but the machine that launched the study (predictions, provenance) is fetched
when the trial is over, weights when somebody asks for them.
"""

import time
from collections.abc import Callable, Collection
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from urllib.parse import urlsplit
from uuid import uuid4

import fsspec
import pyarrow as pa
from pyarrow.fs import FileSelector, FileSystem, FileType, FSSpecHandler, LocalFileSystem, PyFileSystem, copy_files

from acl.system.text import first_line
from study.errors import StudyError

_REPLACES_WHOLE = ("s3", "gcs", "abfs")  # an object is there when its upload is complete, and not before
_TRIES, _WAIT_SECONDS = 4, 2.0  # the wait doubles


@dataclass(frozen=True)
class Storage:
    """A place in a storage.

    Attributes:
        uri: of the storage, e.g. `s3://bucket/folder`; credentials are taken from the environment of each machine.
        place: below it.
    """

    uri: str
    place: str = ""

    def __post_init__(self) -> None:
        """Refuse what is no address.

        Raises:
            StudyError: it names no scheme, or holds a password.
        """
        parts = urlsplit(self.uri)
        if not parts.scheme:
            raise StudyError(f"--storage {self.uri} is no address such as s3://bucket/folder; a folder that all see goes to --home")
        if parts.password is not None or "secret_key" in parts.query:
            raise StudyError(
                f"--storage {parts.scheme}://… holds a password, which would be kept and shown; set it in the environment of all "
                "machines instead, e.g. AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"
            )

    def below(self, *names: str) -> "Storage":
        """A place below this one."""
        return Storage(self.uri, "/".join(part for part in (self.place, *names) if part))

    def check(self) -> None:
        """Write, read and delete a small file.

        Raises:
            StudyError: one of that is refused, or the storage does not answer.
        """
        name = f"probe-{uuid4().hex}"
        try:
            filesystem, folder = self.opened
            if filesystem.type_name not in _REPLACES_WHOLE:
                filesystem.create_dir(folder, recursive=True)
            with filesystem.open_output_stream(f"{folder}/{name}") as file:
                file.write(name.encode())
            with filesystem.open_input_stream(f"{folder}/{name}") as file:
                whole = file.read() == name.encode()
            filesystem.delete_file(f"{folder}/{name}")
        except (OSError, pa.ArrowException, ValueError, ImportError) as error:
            raise StudyError(
                f"the storage {self.uri} cannot be used ({first_line(error)}); correct --storage, or the credentials in the "
                "environment"
            ) from None
        if not whole:
            raise StudyError(f"the storage {self.uri} gives back other bytes than it was given; name another with --storage")

    def put(self, path: Path) -> None:
        """Put a file here under its name; what was there is replaced whole.

        Raises:
            OSError: the storage refuses it, or does not answer for a while.
        """
        self._insist(lambda: self._put(path), f"take {path.name}")

    def fetch(self, folder: Path, names: Collection[str] | None = None) -> None:
        """Copy the files that lie here, or those of these names, into a folder; each replaces one of its name whole.

        Raises:
            OSError: the storage does not answer.
        """
        self._insist(lambda: self._fetch(folder, names), f"give what lies in {self.place}")

    def clear(self) -> None:
        """Remove what lies here and below; nothing where there is nothing, or where the storage does not let us."""
        with suppress(OSError, pa.ArrowException):
            filesystem, folder = self.opened
            filesystem.delete_dir(folder)

    def _insist(self, act: Callable[[], None], what: str) -> None:
        wait = _WAIT_SECONDS
        for tries_left in reversed(range(_TRIES)):
            try:
                act()
                return
            except (OSError, pa.ArrowException) as error:
                if not tries_left:
                    raise OSError(f"the storage {self.uri} does not {what} ({first_line(error)})") from error
            time.sleep(wait)
            wait *= 2

    def _fetch(self, folder: Path, names: Collection[str] | None) -> None:
        filesystem, place = self.opened
        for entry in filesystem.get_file_info(FileSelector(place, allow_not_found=True)):
            if entry.type != FileType.File or (names is not None and entry.base_name not in names):
                continue
            folder.mkdir(parents=True, exist_ok=True)
            partial = folder / f"{entry.base_name}.fetched"
            copy_files(entry.path, str(partial), filesystem, LocalFileSystem())
            partial.replace(folder / entry.base_name)

    def _put(self, path: Path) -> None:
        filesystem, folder = self.opened
        if filesystem.type_name in _REPLACES_WHOLE:
            copy_files(str(path), f"{folder}/{path.name}", LocalFileSystem(), filesystem)
            return
        filesystem.create_dir(folder, recursive=True)
        copy_files(str(path), f"{folder}/{path.name}.partial", LocalFileSystem(), filesystem)
        filesystem.move(f"{folder}/{path.name}.partial", f"{folder}/{path.name}")

    @cached_property
    def opened(self) -> tuple[FileSystem, str]:
        """The file system, and the path of this place in it."""
        try:
            filesystem, root = FileSystem.from_uri(self.uri)
        except (pa.ArrowInvalid, pa.ArrowNotImplementedError):  # a scheme that pyarrow itself does not know
            foreign, root = fsspec.core.url_to_fs(self.uri)
            filesystem = PyFileSystem(FSSpecHandler(foreign))
        return filesystem, f"{root.rstrip('/')}/{self.place}".rstrip("/")

    def __getstate__(self) -> dict[str, str]:
        return {"uri": self.uri, "place": self.place}  # an open file system stays in its process
