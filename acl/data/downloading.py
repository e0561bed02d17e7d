"""Download of an archive that goes on where it was cut, also after the process was killed.

pooch checks the MD5 and puts the file in place; it would begin each download anew, so it is given a downloader of ours, which keeps
what has arrived in NAME.part and asks the server for the rest. No ETag is kept for that: the published MD5 says better whether the
parts belong together, and a download of several parts that has another one is repeated once in one go.
"""

import logging
import os
import re
import shutil
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pooch
import requests

from acl.data.archives import Archive, check_room
from acl.system.errors import ArchiveError
from acl.system.text import first_line

WAITS = (1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 60.0)
"""Seconds before each further attempt; the count begins again whenever something has arrived."""
TRIES_OF_A_NAME = 2  # more, where the server's name cannot be resolved
LONGEST_WAIT = 900.0  # that a server may ask for
TIMEOUT = (30.0, 60.0)  # seconds to connect, and between two bytes
BUSY = (408, 429, 500, 502, 503, 504)  # statuses that may be others in a moment
BLOCK = 1 << 16
HEADERS = {
    "Accept-Encoding": "identity",
    "User-Agent": f"acl-study/{version('acl-study')} (corpus download)",  # Zenodo asks clients to say who they are
}


def fetch(archive: Archive, url: str, folder: Path, downloader: "ResumingDownloader") -> Path:
    """The archive's file in `folder`, checked; nothing is downloaded where it is there already.

    Raises:
        ArchiveError: the server does not have it or does not answer, and what has arrived is kept; or it sends other bytes.
    """
    pooch.get_logger().setLevel(logging.WARNING)
    may_repeat = True
    while True:
        try:
            path = pooch.retrieve(url, f"md5:{archive.md5}", fname=archive.name, path=folder, downloader=downloader)
        except ValueError:  # pooch's word for another MD5
            received = pooch.file_hash(str(downloader.part), alg="md5")
            downloader.part.unlink()
            if not (downloader.has_resumed and may_repeat):
                raise ArchiveError(
                    f"{url} has MD5 {received}, published is {archive.md5}; it was removed: run again, or name a mirror with --url"
                ) from None
            may_repeat = False
            downloader.say(f"{archive.name}: its parts do not belong together (MD5 {received}); once more from its beginning")
        else:
            downloader.part.unlink(missing_ok=True)
            return Path(path)


@dataclass
class ResumingDownloader:
    """A downloader for `pooch.retrieve`.

    Args:
        part: what has arrived; it stays when the process ends.
        unpacked_in: folder whose disk must have room for the unpacked files, too, which take no less than the archive.
        progress: called with (bytes there, bytes in total).
        say: called with a line about what is waited for.
        waits: see WAITS.
        timeout: see TIMEOUT.

    Attributes:
        has_resumed: what is there came in several answers of the server.
    """

    part: Path
    unpacked_in: Path
    progress: Callable[[int, int], None]
    say: Callable[[str], None]
    waits: Sequence[float] = WAITS
    timeout: tuple[float, float] = TIMEOUT
    has_resumed: bool = False

    def __call__(self, url: str, output_file: str, pooch: Any = None) -> None:
        """Complete the part and give it to pooch under a second name: while pooch checks it, a kill must not lose it.

        Raises:
            ArchiveError: the server refuses, goes on failing, or there is no room.
        """
        self._complete(url)
        Path(output_file).unlink()
        try:
            os.link(self.part, output_file)
        except OSError:  # a file system without second names
            shutil.copyfile(self.part, output_file)

    def _complete(self, url: str) -> None:
        failures = 0
        while True:
            before = self._arrived()
            try:
                self._receive(url)
                return
            except (requests.RequestException, ValueError) as error:  # ValueError: host names that are none
                asked = _wait_asked_for(error)
                if asked is None:
                    raise ArchiveError(
                        f"{url} cannot be downloaded: {_words(error)}; check the address, or name another with --url"
                    ) from None
                failures = 1 if self._arrived() > before else failures + 1
                is_unknown = (
                    "resolve" in str(error) and not self._arrived()
                )  # a name that has no address: a machine without a network
                if failures > (TRIES_OF_A_NAME if is_unknown else len(self.waits)) or asked > LONGEST_WAIT:
                    raise ArchiveError(f"{url} cannot be downloaded now: {_words(error)}; run again later, it continues") from None
                wait = max(self.waits[failures - 1], asked)
                self.say(f"{self.part.stem}: {_words(error)}; again in {wait:g} s")
                time.sleep(wait)
            except OSError as error:
                reason = error.strerror or error
                raise ArchiveError(f"{self.part} cannot be written ({reason}); make room and run again, it continues") from None

    def _receive(self, url: str) -> None:
        """Take what one answer of the server has; returns when the part is complete."""
        arrived = self._arrived()
        headers = HEADERS | ({"Range": f"bytes={arrived}-"} if arrived else {})
        with requests.get(url, headers=headers, stream=True, timeout=self.timeout) as answer:
            if arrived and answer.status_code in (206, 416):
                first, total = _content_range(answer)
                if answer.status_code == 416 and total == arrived:
                    self.has_resumed = True
                    return
                if first != arrived:  # the file has become shorter, or the server means another range
                    self.part.unlink()
                    self._receive(url)
                    return
            answer.raise_for_status()
            if answer.status_code != 206:  # also where the server knows no ranges
                arrived = 0
            self.has_resumed = arrived > 0
            rest = int(answer.headers.get("Content-Length", 0))
            total = arrived + rest
            check_room(self.unpacked_in, rest + total, f"{self.part.stem} with its files")
            with self.part.open("ab" if arrived else "wb") as file:
                for block in answer.iter_content(BLOCK):
                    file.write(block)
                    arrived += len(block)
                    self.progress(arrived, max(arrived, total))

    def _arrived(self) -> int:
        return self.part.stat().st_size if self.part.exists() else 0


def _content_range(answer: requests.Response) -> tuple[int | None, int | None]:
    """First byte of an answer, and bytes of the whole file; None for what it does not say."""
    found = re.fullmatch(r"bytes (?:(\d+)-\d+|\*)/(?:(\d+)|\*)", answer.headers.get("Content-Range", ""))
    first, total = found.groups() if found else (None, None)
    return (None if first is None else int(first)), (None if total is None else int(total))


def _wait_asked_for(error: Exception) -> float | None:
    """Seconds that a server wants to be left alone; None where another attempt would fail as well."""
    if isinstance(error, requests.HTTPError) and error.response is not None:
        if error.response.status_code not in BUSY:
            return None
        return _seconds(error.response.headers.get("Retry-After", "0"))
    if isinstance(error, requests.exceptions.SSLError):
        return None
    passing = (requests.ConnectionError, requests.Timeout, requests.exceptions.ChunkedEncodingError)
    return 0.0 if isinstance(error, passing) else None


def _seconds(retry_after: str) -> float:
    """What the header says, in seconds or as a date; 0 where it is neither."""
    if retry_after.isdigit():
        return float(retry_after)
    try:
        return max(0.0, parsedate_to_datetime(retry_after).timestamp() - time.time())
    except ValueError:
        return 0.0


def _words(error: Exception) -> str:
    """What happened, in one line."""
    if isinstance(error, requests.HTTPError) and error.response is not None:
        return f"the server answers {error.response.status_code} {error.response.reason}"
    if isinstance(error, requests.Timeout):
        return "the server does not answer"
    if isinstance(error, requests.exceptions.ChunkedEncodingError):
        return "the connection was cut"
    cause = error.args[0] if error.args else error
    text = str(getattr(cause, "reason", cause))
    if isinstance(error, requests.ConnectionError):
        return f"no connection ({text.rpartition(': ')[2]})"
    return first_line(text, type(error).__name__)
