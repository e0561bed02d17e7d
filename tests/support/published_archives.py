"""Small archives in the structure of FSDnoisy18k's, and an HTTP server that does what servers and networks do to downloads.

Run as a script, it is the command line for which the archives of a folder are the published ones:

    PYTHONPATH=. python tests/support/published_archives.py FOLDER data download fsdnoisy18k DIR ...
"""

import contextlib
import hashlib
import re
import socket
import sys
import threading
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import soundfile

from acl.data.archives import PUBLISHED, Archive, PublishedCorpus
from acl.data.clips import CLASSES
from study.corpora import WORK_FOLDER, download_corpus

RATE = 44_100
TRAIN = "FSDnoisy18k.audio_train.zip"
NO_WAITS = (0.0, 0.0, 0.0)
PARTS = ("doc", "meta", "audio_test", "audio_train")


@dataclass
class Answer:
    """How one request is answered, other than by the file.

    Attributes:
        status: of an answer without the file; None sends the file.
        headers: of that answer.
        cut_after: bytes of the body after which the connection breaks.
        stall_after: bytes of the body after which nothing comes any more.
        body: sent in the place of the file.
        has_length: False leaves the number of bytes open.
    """

    status: int | None = None
    headers: dict[str, str] = field(default_factory=dict)
    cut_after: int | None = None
    stall_after: int | None = None
    body: bytes | None = None
    has_length: bool = True


@dataclass(frozen=True)
class Request:
    """What the server was asked for, and what it sent: the status, the first byte of the file, the number of bytes."""

    name: str
    status: int
    first: int
    sent: int


@dataclass
class ArchiveServer:
    """A server's address, what it is to do next, and its log.

    Attributes:
        url: base address.
        answers: file name -> how the next requests for it are answered; afterwards with the file.
        knows_ranges: whether it sends parts of files.
        log: requests that were answered, in order.
    """

    url: str
    answers: dict[str, list[Answer]] = field(default_factory=dict)
    knows_ranges: bool = True
    log: list[Request] = field(default_factory=list)

    def requests(self, name: str) -> list[Request]:
        return [request for request in self.log if request.name == name]


@contextlib.contextmanager
def serve(folder: Path) -> Iterator[ArchiveServer]:
    """Serve the files of a folder on 127.0.0.1."""
    ended = threading.Event()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            name = self.path.rpartition("/")[2].partition("?")[0]
            answer = (state.answers.get(name) or [Answer()])[0]
            del state.answers.get(name, [])[:1]
            if answer.status is not None:
                state.log.append(Request(name, answer.status, 0, 0))  # before a client can have seen the answer
                self._begin(answer.status, answer.headers | {"Content-Length": "0"})
                return
            body = (folder / name).read_bytes() if answer.body is None else answer.body
            asked = re.fullmatch(r"bytes=(\d+)-", self.headers.get("Range", ""))
            first = int(asked[1]) if asked and state.knows_ranges else 0
            if first >= len(body):
                state.log.append(Request(name, 416, first, 0))
                self._begin(416, {"Content-Range": f"bytes */{len(body)}", "Content-Length": "0"})
                return
            self._send(name, body, first, answer)

        def _send(self, name: str, body: bytes, first: int, answer: Answer) -> None:
            headers = {"Content-Length": str(len(body) - first)} if answer.has_length else {"Connection": "close"}
            if first:
                headers["Content-Range"] = f"bytes {first}-{len(body) - 1}/{len(body)}"
            self._begin(206 if first else 200, headers)
            stops = [stop for stop in (answer.cut_after, answer.stall_after) if stop is not None]
            sent = body[first : first + min(stops, default=len(body))]
            state.log.append(Request(name, 206 if first else 200, first, len(sent)))
            with contextlib.suppress(ConnectionError):  # the client was killed
                self.wfile.write(sent)
            if answer.stall_after is not None:
                ended.wait(60)
            if stops or not answer.has_length:
                self.close_connection = True
                with contextlib.suppress(OSError):
                    self.connection.shutdown(socket.SHUT_RDWR)

        def _begin(self, status: int, headers: dict[str, str]) -> None:
            self.send_response(status)
            for key, value in headers.items():
                self.send_header(key, value)
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:
            pass

    class Server(ThreadingHTTPServer):
        daemon_threads = True

        def handle_error(self, request: object, client_address: object) -> None:
            pass  # clients that go away are what the tests are about

    server = Server(("127.0.0.1", 0), Handler)
    state = ArchiveServer(f"http://127.0.0.1:{server.server_address[1]}")
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield state
    finally:
        ended.set()
        server.shutdown()
        thread.join()
        server.server_close()


def write_corpus(root: Path, classes: int = 3, seconds: float = 0.5) -> Path:
    """A corpus of noise, which does not compress: a clean and two noisy training clips and a test clip a class."""
    rng = np.random.default_rng(0)
    train = ["fname,label,aso_id,manually_verified,noisy_small"]
    test = ["fname,label,aso_id"]
    for number, label in enumerate(CLASSES[:classes]):
        for kind, flags in (("clean", "1,0"), ("small", "0,1"), ("noisy", "0,0")):
            train.append(f"{number}-{kind}.wav,{label},/m/{number},{flags}")
        test.append(f"{number}-test.wav,{label},/m/{number}")
    for split, rows in (("train", train), ("test", test)):
        folder = root / f"FSDnoisy18k.audio_{split}"
        folder.mkdir(parents=True)
        for row in rows[1:]:
            soundfile.write(folder / row.partition(",")[0], rng.uniform(-0.5, 0.5, round(seconds * RATE)), RATE, "PCM_16")
        (root / "FSDnoisy18k.meta").mkdir(exist_ok=True)
        (root / "FSDnoisy18k.meta" / f"{split}.csv").write_text("\n".join(rows) + "\n", encoding="utf-8")
    (root / "FSDnoisy18k.doc").mkdir()
    (root / "FSDnoisy18k.doc" / "LICENSE-DATASET").write_text("CC-BY", encoding="utf-8")
    return root


def write_archives(corpus: Path, folder: Path) -> Path:
    """The four archives of a corpus, each with its folder at the top and, as from a Mac, what belongs to no corpus."""
    folder.mkdir()
    for part in PARTS:
        with zipfile.ZipFile(folder / f"FSDnoisy18k.{part}.zip", "w", zipfile.ZIP_DEFLATED) as archive:
            source = corpus / f"FSDnoisy18k.{part}"
            archive.mkdir(source.name)
            for path in sorted(source.iterdir()):
                archive.write(path, f"{source.name}/{path.name}")
            archive.writestr(f"__MACOSX/{source.name}/._x", "fork")
    return folder


def published(folder: Path) -> PublishedCorpus:
    """The archives of a folder as if they were the published ones; there is no publisher."""
    archives = [Archive(path.name, md5(path)) for path in (folder / f"FSDnoisy18k.{part}.zip" for part in PARTS)]
    return PublishedCorpus("http://127.0.0.1:9/{name}", tuple(archives))


def md5(path: Path) -> str:
    return hashlib.md5(path.read_bytes()).hexdigest()


def download(root: Path, server: ArchiveServer, kept: Path | None = None) -> None:
    """As the command does, without waiting before further attempts."""
    download_corpus("fsdnoisy18k", root, server.url, kept, NO_WAITS)


def assert_complete(root: Path, corpus: Path) -> None:
    """All files of the source with their bytes, and nothing else."""
    contents = [
        {path.relative_to(folder): path.read_bytes() for path in folder.rglob("*") if path.is_file()} for folder in (root, corpus)
    ]
    assert contents[0] == contents[1]
    assert not (root / WORK_FOLDER).exists()


def begin(root: Path, archives: Path, *, size: int) -> Path:
    """What a killed download of the training clips has left: the first bytes."""
    part = root / WORK_FOLDER / f"{TRAIN}.part"
    part.parent.mkdir(parents=True)
    part.write_bytes((archives / TRAIN).read_bytes()[:size])
    return part


if __name__ == "__main__":
    from study.cli import app as cli

    PUBLISHED["fsdnoisy18k"] = published(Path(sys.argv.pop(1)))
    cli.main()
