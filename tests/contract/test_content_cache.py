"""What `ports.ContentDirectory` promises of the content cache, wherever it is."""

import json
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import pytest
from redis import Redis

from lern.adapters.embedded import Embedded
from lern.adapters.http.contents import ContentDirectory
from lern.adapters.redis import RedisContents
from lern.domain.model import ContentId
from lern.job import SetUnit
from lern.ports import ContentDirectory as Port
from lern.ports import QuestionTotal
from lern.settings.model import JobSettings, Profile, RedisSettings, Topics

UNKNOWN = QuestionTotal(None, was_cached=False)


class Cache(NamedTuple):
    """One content cache; `put` writes to it as other programs do."""

    directory: Port
    put: Callable[[str, bytes], object]


@pytest.fixture(params=["embedded", "redis"])
def cache(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Cache]:
    if request.param == "embedded":
        embedded = Embedded(tmp_path / "lern.db")
        settings = JobSettings(
            "any", "test", Profile.EMBEDDED, "any", Topics("in", "failed"), None, None, None
        )
        stores = embedded.stores(settings)
        yield Cache(embedded.facts().contents, lambda key, value: stores.apply([SetUnit(key, value)]))
        embedded.close()
        return
    host, _, port = request.getfixturevalue("redis_address").rpartition(":")
    directory = ContentDirectory(RedisContents(RedisSettings(host, int(port), database=5)), None)
    with Redis(host=host, port=int(port), db=5) as other:
        yield Cache(directory, other.set)
    directory.close()


@pytest.fixture
def content() -> ContentId:
    return ContentId(f"do_{uuid.uuid4().hex}")


def test_asking_for_nothing_finds_nothing(cache: Cache) -> None:
    assert not cache.directory.question_totals([])


def test_what_is_not_cached_is_unknown(cache: Cache, content: ContentId) -> None:
    assert cache.directory.question_totals([content]) == {content: UNKNOWN}


@pytest.mark.parametrize("name", ["totalQuestions", "totalquestions", "total_questions", "TOTAL_Questions"])
@pytest.mark.parametrize("number", [20, 20.0, "20", "20.0"])
def test_the_number_is_found_in_every_spelling(
    cache: Cache, content: ContentId, name: str, number: object
) -> None:
    metadata = {"identifier": content, "name": "Quiz", "maxQuestions": 3, name: number, "children": [{}]}
    cache.put(content, json.dumps(metadata).encode())

    assert cache.directory.question_totals([content]) == {content: QuestionTotal(20, was_cached=True)}


@pytest.mark.parametrize(
    "value",
    [
        b"{}",
        b"[]",
        b"null",
        b"no JSON",
        b'{"totalQuestions": null}',
        b'{"totalQuestions": "many"}',
        b'{"totalQuestions": 0}',
        b'{"totalQuestions": -1}',
        b'{"totalQuestions": {}}',
        b'{"totalQuestions": 1e400}',
        b'{"totalQuestion": 3}',
    ],
)
def test_what_tells_no_number_is_unknown(cache: Cache, content: ContentId, value: bytes) -> None:
    cache.put(content, value)

    assert cache.directory.question_totals([content]) == {content: UNKNOWN}


def test_a_spelling_without_a_number_hides_no_other(cache: Cache, content: ContentId) -> None:
    cache.put(content, b'{"totalQuestions": null, "totalquestions": 7}')

    assert cache.directory.question_totals([content]) == {content: QuestionTotal(7, was_cached=True)}


def test_a_change_is_seen_at_once(cache: Cache, content: ContentId) -> None:
    for number in (1, 2):
        cache.put(content, b'{"totalQuestions": %d}' % number)
        assert cache.directory.question_totals([content])[content].total == number


def test_hundreds_at_once(cache: Cache, content: ContentId) -> None:
    contents = [ContentId(f"{content}_{number}") for number in range(350)]
    for number, each in enumerate(contents):
        if number % 2:
            cache.put(each, b'{"totalQuestions": %d, "body": "%s"}' % (number, b"x" * 1_000))

    assert cache.directory.question_totals(contents) == {
        each: QuestionTotal(number, was_cached=True) if number % 2 else UNKNOWN
        for number, each in enumerate(contents)
    }
