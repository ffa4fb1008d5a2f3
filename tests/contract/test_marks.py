"""What de-duplication marks promise (`ports.Marks`, and `mark` of `ports.Stores`)."""

import time
import uuid
from collections.abc import Callable, Collection, Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from lern.adapters.embedded import Embedded
from lern.adapters.redis import RedisMarks
from lern.settings.model import ActivitySettings, JobSettings, Profile, RedisSettings, Topics


class Store(NamedTuple):
    """The marks of one job."""

    seen: Callable[[Collection[str]], Collection[str]]
    mark: Callable[[Collection[str]], None]


Open = Callable[[int], Store]
"""Takes the seconds after which marks expire."""


@pytest.fixture(params=["embedded", "redis"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Open]:
    opened: list[RedisMarks | Embedded] = []

    def embedded(expiry: int) -> Store:
        settings = JobSettings(
            *("any", "test", Profile.EMBEDDED, "any", Topics("in", "failed"), None, None, None),
            activity=ActivitySettings(mark_expiry=expiry),
        )
        opened.append(made := Embedded(tmp_path / "lern.db"))
        return Store(made.facts().marks.seen, made.stores(settings).mark)

    def redis(expiry: int) -> Store:
        host, _, port = request.getfixturevalue("redis_address").rpartition(":")
        opened.append(made := RedisMarks(RedisSettings(host, int(port), database=13), expiry))
        return Store(made.seen, made.mark)

    yield {"embedded": embedded, "redis": redis}[request.param]
    for each in opened:
        each.close()


@pytest.fixture
def marks() -> list[str]:
    """In the form of the real ones: upper-case hex, 32 digits."""
    return [uuid.uuid4().hex.upper() for _ in range(12_000)]


def test_marks_are_not_seen_until_they_are_set(store: Open, marks: list[str]) -> None:
    assert not store(60).seen(marks[:3])


def test_only_the_marks_that_are_set_are_seen(store: Open, marks: list[str]) -> None:
    opened = store(60)

    opened.mark(marks[:2])

    assert set(opened.seen(marks[1:4])) == {marks[1]}


def test_asking_for_nothing_and_setting_nothing_is_harmless(store: Open) -> None:
    opened = store(60)

    opened.mark([])

    assert not opened.seen([])


def test_setting_a_mark_twice_is_setting_it_once(store: Open, marks: list[str]) -> None:
    opened = store(60)

    opened.mark([marks[0], marks[0]])
    opened.mark([marks[0]])

    assert set(opened.seen([marks[0], marks[0]])) == {marks[0]}


def test_many_marks_at_once(store: Open, marks: list[str]) -> None:
    opened = store(60)

    opened.mark(marks[::2])

    assert set(opened.seen(marks)) == set(marks[::2])


def test_marks_expire(store: Open, marks: list[str]) -> None:
    opened = store(1)
    opened.mark(marks[:2])

    deadline = time.monotonic() + 5
    while opened.seen(marks[:2]) and time.monotonic() < deadline:
        time.sleep(0.1)

    assert not opened.seen(marks[:2])


def test_a_mark_that_is_set_again_lives_longer(store: Open, marks: list[str]) -> None:
    opened = store(3)
    opened.mark(marks[:2])

    time.sleep(1.6)
    opened.mark(marks[:1])
    time.sleep(1.6)

    assert set(opened.seen(marks[:2])) == {marks[0]}
