"""Small servers that stand in for what a test needs: the search and the content service, and a road to a server that can be closed."""

import contextlib
import json
import socket
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Self

from tests.conformance.servers import Json


class Search:
    """The search service: answers `POST /v3/search` with the statuses it was given; `broken` is a status to answer."""

    def __init__(self) -> None:
        self.statuses: dict[str, str] = {}
        self.broken: int | None = None
        self.asked: list[Json] = []
        search = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:  # the base class looks for this name
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                status, answer = search.answer(self.path, body)
                text = json.dumps(answer).encode()
                self.send_response(status)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(text)))
                self.end_headers()
                self.wfile.write(text)

            def log_message(self, format: str, *args: object) -> None:  # noqa: A002  # as in the base class
                """Says nothing."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,))
        self.base = f"http://127.0.0.1:{self._server.server_address[1]}/search"

    def answer(self, path: str, body: Json) -> tuple[int, Json]:
        """Status and document."""
        if self.broken:
            return self.broken, {"responseCode": "SERVER_ERROR"}
        self.asked.append(body)
        filters = body["request"]["filters"]
        if path != "/search/v3/search" or filters["objectType"] != "Collection":
            return 404, {"responseCode": "RESOURCE_NOT_FOUND"}
        wanted = filters["identifier"]
        found = [
            {"identifier": course, "objectType": "Collection", "status": status}
            for course, status in self.statuses.items()
            if course == wanted or (isinstance(wanted, list) and course in wanted)
        ]
        result: Json = {"count": len(found)} | ({"content": found} if found else {})
        return 200, {"id": "api.v1.search", "responseCode": "OK", "result": result}

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


class Contents:
    """The content service: answers `GET /content/read/<id>` with the metadata it was given, or with what is `broken`."""

    def __init__(self) -> None:
        self.metadata: dict[str, Json] = {}
        self.broken: dict[str, int] = {}
        """Statuses to answer, by content."""
        self.asked: list[str] = []
        contents = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:  # the base class looks for this name
                status, answer = contents.answer(self.path)
                text = json.dumps(answer).encode()
                self.send_response(status)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(text)))
                self.end_headers()
                self.wfile.write(text)

            def log_message(self, format: str, *args: object) -> None:  # noqa: A002  # as in the base class
                """Says nothing."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,))
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}/content/read/"

    def answer(self, path: str) -> tuple[int, Json]:
        """Status and document."""
        before, _, content = path.rpartition("/")
        self.asked.append(content)
        if content in self.broken:
            return self.broken[content], {"responseCode": "SERVER_ERROR"}
        if before != "/content/read" or content not in self.metadata:
            return 404, {"responseCode": "RESOURCE_NOT_FOUND"}
        found = {"identifier": content, **self.metadata[content]}
        return 200, {"id": "api.content.read", "responseCode": "OK", "result": {"content": found}}

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


class Road:
    """A port of our own that leads to a server once it is open, and refuses connections until then."""

    def __init__(self, target: str) -> None:
        host, _, port = target.rpartition(":")
        self._target = host, int(port)
        with contextlib.closing(socket.socket()) as probe:
            probe.bind(("127.0.0.1", 0))
            self.port: int = probe.getsockname()[1]
        self._listener: socket.socket | None = None
        self._threads: list[threading.Thread] = []
        self._open: list[socket.socket] = []

    @property
    def address(self) -> str:
        """Where it begins."""
        return f"127.0.0.1:{self.port}"

    def open(self) -> None:
        """From now on connections are passed on."""
        self._listener = socket.create_server(("127.0.0.1", self.port))
        self._start(self._accept, self._listener)

    def _accept(self, listener: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while True:
                near, _ = listener.accept()
                far = socket.create_connection(self._target)
                self._open += near, far
                self._start(self._pass, near, far)
                self._start(self._pass, far, near)

    def _pass(self, source: socket.socket, target: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while data := source.recv(65536):
                target.sendall(data)
            target.shutdown(socket.SHUT_WR)

    def _start(self, work: object, *arguments: socket.socket) -> None:
        assert callable(work)
        thread = threading.Thread(target=work, args=arguments, daemon=True)
        thread.start()
        self._threads.append(thread)

    def close(self) -> None:
        """The road is gone, and with it all that is on it."""
        ends = [*self._open, *filter(None, [self._listener])]
        for end in ends:
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
        for thread in list(self._threads):
            thread.join(5)
        for end in ends:
            end.close()


@contextlib.contextmanager
def closed_road(target: str) -> Iterator[Road]:
    """A road that is not open yet."""
    road = Road(target)
    try:
        yield road
    finally:
        road.close()
