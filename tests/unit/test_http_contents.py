"""The content service's client, against a real HTTP server of this process."""

import json
import threading
from collections.abc import Collection, Iterator, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from lern.adapters.http.contents import ContentDirectory
from lern.domain.model import ContentId
from lern.errors import Unavailable
from lern.ports import QuestionTotal

QUIZ = ContentId("do_1")


class Server(ThreadingHTTPServer):
    """A content service that answers what it is told, and 404 to the rest."""

    daemon_threads = False

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.answers: dict[str, tuple[int, bytes]] = {}
        self.asked: list[str] = []

    def has(self, content: str, **metadata: object) -> None:
        found = {"responseCode": "OK", "result": {"content": {"identifier": content, **metadata}}}
        self.answers[f"/content/read/{content}"] = (200, json.dumps(found).encode())


class Handler(BaseHTTPRequestHandler):
    """One connection."""

    server: Server
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        self.server.asked.append(self.path)
        status, body = self.server.answers.get(self.path, (404, b'{"responseCode": "RESOURCE_NOT_FOUND"}'))
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002  # its name in the standard library
        pass


class Cached(dict[ContentId, int]):
    """A content cache in memory."""

    closed = False

    def question_totals(self, contents: Collection[ContentId]) -> Mapping[ContentId, int]:
        return {content: self[content] for content in contents if content in self}

    def close(self) -> None:
        self.closed = True


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
def cached() -> Cached:
    return Cached()


@pytest.fixture
def directory(server: Server, cached: Cached, now: list[float]) -> Iterator[ContentDirectory]:
    directory = ContentDirectory(
        cached, f"http://127.0.0.1:{server.server_port}/content/read/", lambda: now[0]
    )
    yield directory
    directory.close()


def test_what_the_cache_has_is_not_asked_for(
    server: Server, cached: Cached, directory: ContentDirectory
) -> None:
    cached[QUIZ] = 5

    assert directory.question_totals([QUIZ]) == {QUIZ: QuestionTotal(5, was_cached=True)}
    assert server.asked == []


@pytest.mark.parametrize("number", [20, 20.0, "20"])
@pytest.mark.parametrize("name", ["totalQuestions", "total_questions"])
def test_the_service_is_asked_with_the_id_appended(
    server: Server, directory: ContentDirectory, name: str, number: object
) -> None:
    server.has(QUIZ, **{name: number})

    assert directory.question_totals([QUIZ, QUIZ]) == {QUIZ: QuestionTotal(20, was_cached=False)}
    assert server.asked == ["/content/read/do_1"]


def test_a_url_without_a_slash_at_its_end_gets_one(server: Server) -> None:
    server.has(QUIZ, totalQuestions=3)
    directory = ContentDirectory(Cached(), f"http://127.0.0.1:{server.server_port}/content/read")

    assert directory.question_totals([QUIZ])[QUIZ].total == 3
    directory.close()


def test_an_id_cannot_leave_its_place_in_the_path(server: Server, directory: ContentDirectory) -> None:
    directory.question_totals([ContentId("../../a?b=c#d é")])

    assert server.asked == ["/content/read/..%2F..%2Fa%3Fb%3Dc%23d%20%C3%A9"]


def test_answers_are_remembered_for_an_hour(
    server: Server, directory: ContentDirectory, now: list[float]
) -> None:
    server.has(QUIZ, totalQuestions=3)
    directory.question_totals([QUIZ])
    server.has(QUIZ, totalQuestions=4)

    now[0] += 3599
    assert directory.question_totals([QUIZ]) == {QUIZ: QuestionTotal(3, was_cached=True)}
    now[0] += 2
    assert directory.question_totals([QUIZ]) == {QUIZ: QuestionTotal(4, was_cached=False)}
    assert len(server.asked) == 2


def test_that_a_content_is_unknown_is_remembered_for_a_minute(
    server: Server, directory: ContentDirectory, now: list[float]
) -> None:
    assert directory.question_totals([QUIZ]) == {QUIZ: QuestionTotal(None, was_cached=False)}
    now[0] += 59
    assert directory.question_totals([QUIZ]) == {QUIZ: QuestionTotal(None, was_cached=True)}
    now[0] += 2
    server.has(QUIZ, totalQuestions=4)
    assert directory.question_totals([QUIZ])[QUIZ].total == 4


def test_a_content_without_the_number_is_unknown(server: Server, directory: ContentDirectory) -> None:
    server.has(QUIZ, name="Quiz")

    assert directory.question_totals([QUIZ]) == {QUIZ: QuestionTotal(None, was_cached=False)}


def test_a_refusal_is_about_one_content_and_is_not_remembered(
    server: Server, directory: ContentDirectory
) -> None:
    other = ContentId("do_2")
    server.has(other, totalQuestions=4)
    server.answers[f"/content/read/{QUIZ}"] = (400, b'{"params": {"err": "ERR_INVALID_ID"}}')

    found = directory.question_totals([QUIZ, other])

    assert found[other] == QuestionTotal(4, was_cached=False)
    refusal = found[QUIZ].refusal
    assert refusal
    assert refusal.code == "ERR_CONTENT_REFUSED"
    assert str(refusal) == "content refused: HTTP 400 ERR_INVALID_ID"
    server.has(QUIZ, totalQuestions=1)
    assert directory.question_totals([QUIZ])[QUIZ].total == 1


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (500, b""),
        (503, b"{}"),
        (429, b""),
        (301, b""),
        (200, b"<html>"),
        (200, b"[]"),
        (200, b'{"result": 1}'),
        (200, b"\xff"),
    ],
)
def test_a_service_that_is_down_or_says_nonsense_is_waited_for(
    server: Server, directory: ContentDirectory, status: int, body: bytes
) -> None:
    server.answers[f"/content/read/{QUIZ}"] = (status, body)

    with pytest.raises(Unavailable) as down:
        directory.question_totals([QUIZ])
    assert down.value.dependency == "content"
    server.has(QUIZ, totalQuestions=4)
    assert directory.question_totals([QUIZ])[QUIZ].total == 4


def test_nobody_listens_is_waited_for() -> None:
    directory = ContentDirectory(Cached(), "http://127.0.0.1:1/read")

    with pytest.raises(Unavailable):
        directory.question_totals([QUIZ])
    directory.close()


def test_without_a_service_what_is_not_cached_is_unknown(cached: Cached) -> None:
    directory = ContentDirectory(cached, None)
    cached[ContentId("do_2")] = 3

    assert directory.question_totals([QUIZ, ContentId("do_2")]) == {
        QUIZ: QuestionTotal(None, was_cached=False),
        ContentId("do_2"): QuestionTotal(3, was_cached=True),
    }
    directory.close()
    assert cached.closed
