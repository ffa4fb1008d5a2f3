"""What it means to remember what was sent again (`ports.Replays`), in the embedded file and in Redis."""

import threading
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from redis import Redis

from lern.adapters.embedded import Embedded
from lern.adapters.redis import RedisReplays
from lern.job import Place, Record
from lern.ports import Partition, Replays
from lern.settings.model import RedisSettings

Open = Callable[[str], Replays]
"""Takes the failed topic; each call is another process."""


@pytest.fixture(params=["embedded", "redis"])
def replays(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Open]:
    files: list[Embedded] = []
    opened: list[Replays] = []

    def embedded(topic: str) -> Replays:
        files.append(file := Embedded(tmp_path / "lern.db"))
        return file.replays(topic)

    def redis(topic: str) -> Replays:
        host, _, port = request.getfixturevalue("redis_address").rpartition(":")
        return RedisReplays(RedisSettings(host, int(port), database=13), topic)

    def make(topic: str) -> Replays:
        opened.append(made := {"embedded": embedded, "redis": redis}[request.param](topic))
        return made

    yield make
    for each in opened:
        each.close()
    for file in files:
        file.close()


@pytest.fixture
def topic() -> str:
    return f"failed-{uuid.uuid4().hex}"


def records(
    topic: str, count: int, partition: int = 0, first: int = 0, at: int = 1_709_287_200_000
) -> list[Record]:
    return [Record(topic, partition, first + number, None, b"", (), at + number) for number in range(count)]


def places(found: list[Record]) -> set[Place]:
    return {record.place for record in found}


def test_nothing_was_sent_again_at_first(replays: Open, topic: str) -> None:
    assert not replays(topic).seen(records(topic, 3))
    assert not replays(topic).seen([])


def test_what_is_remembered_is_seen_by_every_process(replays: Open, topic: str) -> None:
    some = records(topic, 4)
    with (mine := replays(topic)).turn():
        mine.remember(some[1:3])

    assert set(replays(topic).seen(some)) == places(some[1:3])


def test_remembering_nothing_or_twice_is_harmless(replays: Open, topic: str) -> None:
    some = records(topic, 2)
    mine = replays(topic)
    mine.remember([])
    mine.remember([some[0], some[0]])
    mine.remember(some[:1])

    assert set(mine.seen(some)) == places(some[:1])


def test_topics_and_partitions_are_told_apart(replays: Open, topic: str) -> None:
    replays(topic).remember(records(topic, 1, partition=1))

    assert not replays(topic).seen(records(topic, 1, partition=0))
    assert not replays(f"{topic}-2").seen(records(f"{topic}-2", 1, partition=1))
    assert replays(topic).seen(records(topic, 1, partition=1))


def test_a_record_in_the_same_place_of_a_recreated_topic_is_another_one(replays: Open, topic: str) -> None:
    replays(topic).remember(records(topic, 1))

    assert not replays(topic).seen(records(topic, 1, at=1_709_287_999_000))


def test_what_the_topic_does_not_hold_any_more_is_forgotten(replays: Open, topic: str) -> None:
    some, others = records(topic, 10), records(topic, 10, partition=1)
    mine = replays(topic)
    mine.remember([*some, *others])

    mine.forget_before({Partition(topic, 0): 7, Partition(topic, 2): 100})

    assert set(mine.seen(some)) == places(some[7:])
    assert set(mine.seen(others)) == places(others)


def test_thousands_at_once(replays: Open, topic: str) -> None:
    some = records(topic, 5000)
    mine = replays(topic)
    mine.remember(some[::2])

    assert set(mine.seen(some)) == places(some[::2])


def test_large_offsets_are_told_apart(replays: Open, topic: str) -> None:
    """Beyond 2**53, a float is no whole number any more; no topic gets there, but no two records may be one."""
    some = records(topic, 3, first=2**62)
    mine = replays(topic)
    mine.remember(some[:1])

    assert set(mine.seen(some)) == places(some[:1])


def test_processes_take_turns(replays: Open, topic: str) -> None:
    mine, theirs = replays(topic), replays(topic)
    told: list[str] = []

    def other() -> None:
        with theirs.turn():
            told.append("theirs")

    thread = threading.Thread(target=other)
    with mine.turn():
        thread.start()
        time.sleep(0.5)
        told.append("mine")
    thread.join(20)

    assert told == ["mine", "theirs"]


def test_a_turn_that_fails_is_over(replays: Open, topic: str) -> None:
    with suppress(ZeroDivisionError), replays(topic).turn():
        raise ZeroDivisionError

    started = time.monotonic()
    with replays(topic).turn():
        assert time.monotonic() - started < 5


def test_the_turn_of_a_killed_process_ends_by_itself_in_redis(redis_address: str, topic: str) -> None:
    host, _, port = redis_address.rpartition(":")
    settings = RedisSettings(host, int(port), database=13)
    with Redis(host=host, port=int(port), db=13) as other, (mine := RedisReplays(settings, topic)).turn():
        assert 25_000 < other.pttl(f"lern:replaying:{topic}") <= 30_000
        mine.remember(records(topic, 1))
        assert other.ttl(f"lern:replayed:{topic}:0") == -1
    mine.close()


def test_a_turn_that_somebody_else_has_got_meanwhile_is_left_to_them(redis_address: str, topic: str) -> None:
    host, _, port = redis_address.rpartition(":")
    settings = RedisSettings(host, int(port), database=13)
    key = f"lern:replaying:{topic}"
    with Redis(host=host, port=int(port), db=13) as other:
        with (mine := RedisReplays(settings, topic)).turn():
            other.set(key, "of another")
        assert other.get(key) == b"of another"
        other.delete(key)
    mine.close()
