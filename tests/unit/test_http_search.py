"""The search service's client, against a real HTTP server of this process."""

import json
import logging
import socket
import threading
import time
import traceback
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, NamedTuple

import pytest

from lern.adapters.http.client import HttpService
from lern.adapters.http.search import NoDirectory, SearchDirectory
from lern.domain.model import CourseId
from lern.errors import LernError, Refused, Unavailable

HOUR = 3600.0


class Reply(NamedTuple):
    """What the server says; None as status cuts the connection."""

    status: int | None
    body: bytes = b""
    headers: dict[str, str] = {}  # noqa: RUF012  # never changed


class Server(ThreadingHTTPServer):
    """A search service that knows the collections in `known`, unless it is told to say something else."""

    daemon_threads = False  # so that the end of a test waits for the end of its connections

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.known: dict[str, str] = {}
        self.answers: dict[str, Reply] = {}
        self.asked: list[str] = []
        self.requests: list[tuple[str, dict[str, str], Any]] = []
        self.connections = 0
        self.pause = 0.0
        self.at_once = self.most_at_once = 0
        self.lock = threading.Lock()

    def handle_error(self, request: object, client_address: object) -> None:
        """Clients that give up are part of some tests; anything else shows in their answers."""

    @property
    def base(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"

    def reply(self, path: str, headers: dict[str, str], body: Any) -> Reply:
        with self.lock:
            self.requests.append((path, headers, body))
            self.asked.append(identifier := body["request"]["filters"]["identifier"])
            self.at_once += 1
            self.most_at_once = max(self.most_at_once, self.at_once)
        time.sleep(self.pause)
        with self.lock:
            self.at_once -= 1
        status = self.known.get(identifier)
        found = (
            {"count": 1, "content": [{"identifier": identifier, "status": status}]}
            if status
            else {"count": 0}
        )
        answer = {"responseCode": "OK", "params": {"err": None}, "result": found}
        return self.answers.get(identifier) or Reply(200, json.dumps(answer).encode())


class Handler(BaseHTTPRequestHandler):
    """One connection."""

    server: Server
    protocol_version = "HTTP/1.1"

    def setup(self) -> None:
        super().setup()
        self.server.connections += 1

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        reply = self.server.reply(self.path, dict(self.headers.items()), body)
        if reply.status is None:
            self.wfile.write(reply.body)
            self.close_connection = True
            return
        self.send_response(reply.status)
        for name, value in {"Content-Length": str(len(reply.body)), **reply.headers}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(reply.body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002  # its name in the standard library
        pass


@pytest.fixture
def server() -> Iterator[Server]:
    with Server() as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@pytest.fixture
def now() -> list[float]:
    """The clock's time, in its only element."""
    return [1000.0]


@pytest.fixture
def directory(server: Server, now: list[float]) -> Iterator[SearchDirectory]:
    directory = SearchDirectory(server.base, HOUR, lambda: now[0])
    yield directory
    directory.close()


def courses(*names: str) -> list[CourseId]:
    return [CourseId(name) for name in names]


def rejection(call: Callable[[], object]) -> LernError:
    with pytest.raises(LernError) as caught:
        call()
    return caught.value


def test_the_question_is_put_as_the_service_expects_it(server: Server, directory: SearchDirectory) -> None:
    directory.statuses(courses("do_1"))

    [(path, headers, body)] = server.requests
    assert path == "/v3/search"
    assert headers["Content-Type"] == "application/json"
    filters = {"objectType": "Collection", "identifier": "do_1", "status": ["Live", "Unlisted", "Retired"]}
    assert body == {"request": {"filters": filters, "fields": ["status"]}}


def test_the_base_url_may_have_a_path(server: Server) -> None:
    for base in (f"{server.base}/search-service", f"{server.base}/search-service/"):
        directory = SearchDirectory(base, HOUR)
        directory.statuses(courses("do_1"))
        directory.close()

    assert [path for path, _, _ in server.requests] == ["/search-service/v3/search"] * 2


def test_every_collection_that_is_known_has_its_status(server: Server, directory: SearchDirectory) -> None:
    server.known = {"do_1": "Live", "do_2": "Retired", "do_3": "Unlisted"}

    found = directory.statuses(courses("do_1", "do_2", "do_3", "do_4"))

    assert found == server.known


def test_nothing_asked_is_nothing_answered(server: Server, directory: SearchDirectory) -> None:
    assert directory.statuses([]) == {}
    assert server.asked == []


def test_answers_are_kept_until_they_expire(
    server: Server, directory: SearchDirectory, now: list[float]
) -> None:
    server.known = {"do_1": "Live"}
    directory.statuses(courses("do_1"))
    server.known = {"do_1": "Retired"}

    now[0] += HOUR - 1
    assert directory.statuses(courses("do_1")) == {"do_1": "Live"}
    now[0] += 1
    assert directory.statuses(courses("do_1")) == {"do_1": "Retired"}
    assert server.asked == ["do_1", "do_1"]


def test_an_unknown_collection_is_asked_for_again_after_a_minute(
    server: Server, directory: SearchDirectory, now: list[float]
) -> None:
    assert directory.statuses(courses("do_1")) == {}
    server.known = {"do_1": "Live"}

    now[0] += 59
    assert directory.statuses(courses("do_1")) == {}
    now[0] += 1
    assert directory.statuses(courses("do_1")) == {"do_1": "Live"}


def test_nothing_is_kept_longer_than_the_settings_say(server: Server, now: list[float]) -> None:
    directory = SearchDirectory(server.base, 0.0, lambda: now[0])

    for _ in range(2):
        directory.statuses(courses("do_1"))

    directory.close()
    assert server.asked == ["do_1", "do_1"]


def test_the_oldest_answers_make_room_for_new_ones(server: Server) -> None:
    directory = SearchDirectory(server.base, HOUR, limit=3)
    server.known = dict.fromkeys(("do_1", "do_2", "do_3", "do_4"), "Live")
    for name in server.known:
        directory.statuses(courses(name))
    server.asked.clear()

    assert directory.statuses(courses(*server.known)) == server.known

    directory.close()
    assert server.asked == ["do_1"]


def test_a_few_collections_are_asked_for_at_a_time(server: Server, directory: SearchDirectory) -> None:
    server.pause = 0.02

    directory.statuses(courses(*(f"do_{number}" for number in range(24))))

    assert len(server.asked) == 24
    assert 2 <= server.most_at_once <= 4


def test_connections_are_kept(server: Server, directory: SearchDirectory) -> None:
    for number in range(10):
        directory.statuses(courses(f"do_{number}"))

    assert server.connections == 1


def test_a_connection_that_the_service_closed_meanwhile_is_no_error(
    server: Server, directory: SearchDirectory
) -> None:
    server.answers["do_1"] = Reply(200, b'{"result": {"count": 0}}', {"Connection": "close"})

    for number in range(1, 4):
        assert directory.statuses(courses(f"do_{number}")) == {}


@pytest.mark.parametrize(
    "reply",
    [
        Reply(500),
        Reply(502, b"<html>Bad Gateway</html>"),
        Reply(503, b'{"params": {"err": "CLIENT_ERROR"}}'),
        Reply(429),
        Reply(408),
        Reply(302, headers={"Location": "/sign-in"}),
        Reply(200, b"<html>Please sign in</html>"),
        Reply(200, b""),
        Reply(200, b'{"status": "up"}'),
        Reply(200, b'{"result": {"content": [{"status": 5}]}}'),
        Reply(200, b'{"result": "\xff"}'),
        Reply(200, b"not gzip", {"Content-Encoding": "gzip"}),
        Reply(200, b"{", {"Content-Length": "100", "Connection": "close"}),
        Reply(None),
        Reply(None, b"SSH-2.0-OpenSSH\r\n"),
    ],
    ids=str,
)
def test_what_says_nothing_about_the_collection_makes_the_service_unavailable(
    server: Server, directory: SearchDirectory, reply: Reply
) -> None:
    server.answers["do_1"] = reply

    error = rejection(lambda: directory.statuses(courses("do_1")))

    assert isinstance(error, Unavailable)
    assert error.dependency == "search"
    assert "Timeout" not in str(error)


def test_a_service_that_is_not_there_is_unavailable() -> None:
    with socket.create_server(("127.0.0.1", 0)) as place:
        port = place.getsockname()[1]
    directory = SearchDirectory(f"http://127.0.0.1:{port}", HOUR)

    error = rejection(lambda: directory.statuses(courses("do_1")))

    directory.close()
    assert isinstance(error, Unavailable)
    assert str(error) == "search: ConnectError"


def test_a_service_that_is_silent_is_unavailable(server: Server) -> None:
    server.pause = 0.5
    service = HttpService("search", server.base, patience=0.1)

    error = rejection(lambda: service.post("/v3/search", {"request": {"filters": {"identifier": "do_1"}}}))

    service.close()
    assert isinstance(error, Unavailable)
    assert str(error) == "search: ReadTimeout"


def test_a_busy_service_may_say_when_to_come_again(server: Server, directory: SearchDirectory) -> None:
    server.answers["do_1"] = Reply(429, headers={"Retry-After": "7"})

    error = rejection(lambda: directory.statuses(courses("do_1")))

    assert str(error) == "search: HTTP 429, again in 7 s"


@pytest.mark.parametrize(
    ("body", "word"),
    [
        (b'{"responseCode": "CLIENT_ERROR", "params": {"err": "ERR_BAD_FILTER"}}', " ERR_BAD_FILTER"),
        (b'{"responseCode": "RESOURCE_NOT_FOUND", "params": {"err": null}}', " RESOURCE_NOT_FOUND"),
        (b'{"responseCode": 400, "params": {"errmsg": "Asha Rao is not allowed"}}', ""),
        (b"<html>Asha Rao</html>", ""),
        (b"\xff", ""),
    ],
)
@pytest.mark.parametrize("status", [400, 401, 404, 422])
def test_a_no_is_a_refusal_with_the_error_word_and_nothing_else_of_the_answer(
    server: Server, directory: SearchDirectory, status: int, body: bytes, word: str
) -> None:
    server.answers["do_1"] = Reply(status, body)

    error = rejection(lambda: directory.statuses(courses("do_1")))

    assert isinstance(error, Refused)
    assert error.code == "ERR_SEARCH_REFUSED"
    assert error.reason == f"search refused: HTTP {status}{word}"


def test_answers_beside_a_failure_are_kept(server: Server, directory: SearchDirectory) -> None:
    server.known = {"do_1": "Live", "do_2": "Live"}
    server.answers = {"do_3": Reply(400), "do_4": Reply(500)}

    error = rejection(lambda: directory.statuses(courses("do_1", "do_2", "do_3", "do_4")))

    assert isinstance(error, Unavailable)  # that comes first: what is asked again may not be refused by then
    server.asked.clear()
    assert directory.statuses(courses("do_1", "do_2")) == server.known
    assert server.asked == []


def test_a_service_that_is_down_is_not_asked_for_every_collection(
    server: Server, directory: SearchDirectory
) -> None:
    names = [f"do_{number}" for number in range(100)]
    server.answers = dict.fromkeys(names, Reply(503))

    rejection(lambda: directory.statuses(courses(*names)))

    assert len(server.asked) < 10


def test_a_token_is_sent_and_never_told(server: Server, caplog: pytest.LogCaptureFixture) -> None:
    token = "Bearer of-the-test"  # noqa: S105  # no secret
    server.answers = {"do_1": Reply(400), "do_2": Reply(500), "do_3": Reply(None)}
    service = HttpService("search", server.base, {"Authorization": token})

    with caplog.at_level(logging.INFO):
        for name in server.answers:
            question = {"request": {"filters": {"identifier": name}}}
            error = rejection(lambda question=question: service.post("/v3/search", question))  # type: ignore[misc]  # a default binds the question
            assert "of-the-test" not in "".join(traceback.format_exception(error))

    service.close()
    assert [headers["Authorization"] for _, headers, _ in server.requests] == [token] * 3
    assert "of-the-test" not in caplog.text


def test_without_a_service_nothing_is_known() -> None:
    directory = NoDirectory()

    assert directory.statuses(courses("do_1")) == {}
    directory.close()
