"""A real HTTP server that has files of a folder, and does what servers and networks do to downloads."""

import contextlib
import re
import socket
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path


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
