"""The relation cache on a real Redis: what is in memory, and how soon it is dropped."""

import threading
import time
import uuid
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from redis import Redis

from lern.adapters.redis import RelationSets, RelationWriter
from lern.domain.model import CourseId, Relation, RelationKey
from lern.errors import Refused, Unavailable
from lern.job import ReplaceRelation
from lern.settings.model import RedisSettings

if TYPE_CHECKING:
    from tests.conftest import Outage

Open = Callable[..., RelationSets]
Write = Callable[[RelationKey, set[str]], None]


@pytest.fixture
def settings(redis_address: str) -> RedisSettings:
    host, _, port = redis_address.rpartition(":")
    return RedisSettings(host, int(port), database=10)


@pytest.fixture
def other(settings: RedisSettings) -> Iterator[Redis]:
    """Any other client of the same database."""
    with Redis(host=settings.host, port=settings.port, db=settings.database) as client:
        yield client


@pytest.fixture
def open_sets(settings: RedisSettings) -> Iterator[Open]:
    opened: list[RelationSets] = []

    def make(settings: RedisSettings = settings, limit: int = 1_000_000) -> RelationSets:
        opened.append(made := RelationSets(settings, limit=limit))
        return made

    yield make
    for each in opened:
        each.close()


@pytest.fixture
def write(settings: RedisSettings) -> Iterator[Write]:
    writer = RelationWriter(settings, replace(settings, database=5))
    yield lambda key, members: writer.apply([ReplaceRelation(key, frozenset(members))])
    writer.close()


@pytest.fixture
def keys() -> list[RelationKey]:
    course = CourseId(f"do_{uuid.uuid4().hex}")
    return [RelationKey(course, f"do_{number}", Relation.LEAF_NODES) for number in range(300)]


@pytest.fixture
def user(settings: RedisSettings) -> Iterator[Callable[[str], RedisSettings]]:
    """Makes a user that may do everything, as changed by one more rule, and gives the settings to connect as it."""
    names: list[str] = []
    with Redis(host=settings.host, port=settings.port) as admin:

        def make(rule: str) -> RedisSettings:
            names.append(name := f"test-{uuid.uuid4().hex}")
            admin.acl_setuser(
                *(name, True, False, ["+of-the-test"]), categories=["+@all"], commands=[rule], keys=["*"]
            )
            return replace(settings, username=name, password="of-the-test")  # noqa: S106  # of that user alone

        yield make
        admin.acl_deluser(*names)


def test_every_write_by_another_client_is_seen_by_the_next_call(
    open_sets: Open, other: Redis, keys: list[RelationKey]
) -> None:
    sets = open_sets()
    for number in range(500):
        with other.pipeline() as pipeline:
            pipeline.delete(keys[0].redis_key)
            pipeline.sadd(keys[0].redis_key, number)
            pipeline.execute()

        assert sets.members(keys[:1]) == {keys[0]: {str(number)}}


def test_sets_that_nobody_changes_are_read_once(
    open_sets: Open, other: Redis, keys: list[RelationKey]
) -> None:
    other.sadd(keys[0].redis_key, "do_1", "do_2")
    sets = open_sets()

    for _ in range(10):
        found = sets.members(keys)

    assert found == {key: {"do_1", "do_2"} if key == keys[0] else frozenset() for key in keys}
    assert (sets.misses, sets.hits) == (300, 2700)


def test_only_what_changed_is_read_again(open_sets: Open, other: Redis, keys: list[RelationKey]) -> None:
    sets = open_sets()
    sets.members(keys)

    other.sadd(keys[7].redis_key, "do_1")
    found = sets.members(keys)

    assert found[keys[7]] == {"do_1"}
    assert (sets.misses, sets.hits) == (301, 299)


def test_a_change_is_seen_in_a_call_that_has_to_read_other_sets_too(
    open_sets: Open, other: Redis, keys: list[RelationKey]
) -> None:
    sets = open_sets()
    sets.members(keys[:2])

    other.sadd(keys[1].redis_key, "do_1")
    found = sets.members(keys[:3])

    assert found == {keys[0]: frozenset(), keys[1]: {"do_1"}, keys[2]: frozenset()}
    assert (sets.misses, sets.hits) == (4, 1)


def test_nothing_is_remembered_of_a_database_that_was_flushed(
    open_sets: Open, settings: RedisSettings, keys: list[RelationKey]
) -> None:
    spare = replace(settings, database=15)
    with Redis(host=settings.host, port=settings.port, db=15) as other:
        other.sadd(keys[0].redis_key, "do_1")
        sets = open_sets(spare)
        assert sets.members(keys) == {key: {"do_1"} if key == keys[0] else frozenset() for key in keys}

        other.flushdb()

    assert sets.members(keys) == dict.fromkeys(keys, frozenset())


def test_writes_during_a_lost_connection_are_seen(
    open_sets: Open, other: Redis, keys: list[RelationKey], user: Callable[[str], RedisSettings]
) -> None:
    connected_as = user("+ping")
    sets = open_sets(connected_as)
    sets.members(keys[:2])

    assert other.client_kill_filter(user=str(connected_as.username)) == 1
    other.sadd(keys[0].redis_key, "do_1")

    assert sets.members(keys[:2]) == {keys[0]: {"do_1"}, keys[1]: frozenset()}
    other.sadd(keys[1].redis_key, "do_2")
    assert sets.members(keys[:2]) == {keys[0]: {"do_1"}, keys[1]: {"do_2"}}
    assert (sets.misses, sets.hits) == (5, 1)


@pytest.mark.parametrize("refused", ["-client|tracking", "-hello"])
def test_without_tracking_a_write_is_seen_within_a_second(
    open_sets: Open,
    other: Redis,
    keys: list[RelationKey],
    user: Callable[[str], RedisSettings],
    refused: str,
) -> None:
    sets = open_sets(user(refused))
    assert sets.members(keys[:1]) == {keys[0]: frozenset()}
    sets.members(keys[:1])
    assert (sets.misses, sets.hits) == (1, 1)

    other.sadd(keys[0].redis_key, "do_1")
    time.sleep(1)

    assert sets.members(keys[:1]) == {keys[0]: {"do_1"}}


def test_readers_see_the_old_set_or_the_new_one_and_nothing_between(
    write: Write, settings: RedisSettings, open_sets: Open, keys: list[RelationKey]
) -> None:
    small, large = {f"do_{number}" for number in range(10)}, {f"do_{number}" for number in range(30_000)}
    write(keys[0], small)
    seen: set[int] = set()
    stop = threading.Event()

    def count() -> None:
        with Redis(host=settings.host, port=settings.port, db=settings.database) as reader:
            while not stop.is_set():
                seen.add(reader.scard(keys[0].redis_key))

    def read() -> None:
        sets = open_sets()
        while not stop.is_set():
            seen.add(len(sets.members(keys[:1])[keys[0]]))

    threads = [threading.Thread(target=count), threading.Thread(target=read)]
    for thread in threads:
        thread.start()
    for number in range(40):
        write(keys[0], small if number % 2 else large)
    stop.set()
    for thread in threads:
        thread.join()

    assert seen == {10, 30_000}


def test_memory_is_bounded_and_keeps_what_is_asked_for(
    open_sets: Open, other: Redis, keys: list[RelationKey]
) -> None:
    with other.pipeline(transaction=False) as pipeline:
        for key in keys:
            pipeline.sadd(key.redis_key, *range(96))
        pipeline.execute()
    sets = open_sets(limit=100 * 100)  # a hundred of these sets

    for key in keys:
        assert sets.members([keys[0], key])[key] == {str(number) for number in range(96)}

    assert (sets.misses, sets.hits) == (300, 299)
    sets.members(keys[-75:])
    assert sets.misses == 300
    sets.members(keys[1:200])
    assert sets.misses == 499


def test_sets_larger_than_the_memory_are_answered_all_the_same(
    open_sets: Open, other: Redis, keys: list[RelationKey]
) -> None:
    other.sadd(keys[0].redis_key, *range(1000))
    sets = open_sets(limit=500)

    for _ in range(2):
        assert len(sets.members(keys[:1])[keys[0]]) == 1000
    assert (sets.misses, sets.hits) == (2, 0)


def test_keys_that_colons_in_ids_make_the_same_share_their_set(
    open_sets: Open, other: Redis, keys: list[RelationKey]
) -> None:
    course = keys[0].course
    twins = [
        RelationKey(course, "unit:1", Relation.LEAF_NODES),
        RelationKey(CourseId(f"{course}:unit"), "1", Relation.LEAF_NODES),
    ]
    sets = open_sets()
    for number in range(3):
        other.sadd(twins[0].redis_key, number)
        for twin in twins:
            assert len(sets.members([twin])[twin]) == number + 1
        assert len(sets.members(twins)) == 2


def test_a_key_that_holds_something_else_is_refused_by_name(
    open_sets: Open, other: Redis, write: Write, keys: list[RelationKey]
) -> None:
    other.set(keys[1].redis_key, "not a set")
    sets = open_sets()

    with pytest.raises(Refused, match=f"SMEMBERS {keys[1].redis_key}: WRONGTYPE") as caught:
        sets.members(keys[:3])
    assert caught.value.code == "ERR_CACHE_REFUSED"

    assert sets.members([keys[0]]) == {keys[0]: frozenset()}
    write(keys[1], {"do_1"})
    assert sets.members(keys[:3])[keys[1]] == {"do_1"}


def test_a_write_that_is_not_allowed_leaves_the_old_set(
    open_sets: Open, write: Write, keys: list[RelationKey], user: Callable[[str], RedisSettings]
) -> None:
    write(keys[0], {"do_1"})
    forbidden = user("-sadd")
    writer = RelationWriter(forbidden, forbidden)

    with pytest.raises(Unavailable, match="redis: "):
        writer.apply([ReplaceRelation(keys[0], frozenset({"do_2"}))])

    writer.close()
    assert open_sets().members(keys[:1]) == {keys[0]: {"do_1"}}


def test_an_outage_is_reported_and_forgotten(
    open_sets: Open, write: Write, keys: list[RelationKey], outage: "Outage"
) -> None:
    sets = open_sets()
    write(keys[0], {"do_1"})
    assert sets.members(keys[:2])[keys[0]] == {"do_1"}

    outage.stop("redis", kill=True)
    for _ in range(2):
        with pytest.raises(Unavailable) as caught:
            sets.members(keys[:2])
        assert caught.value.dependency == "redis"
        with pytest.raises(Unavailable):
            write(keys[1], {"do_2"})
    outage.start("redis")

    write(keys[1], {"do_2"})
    assert sets.members(keys[:2]) == {keys[0]: {"do_1"}, keys[1]: {"do_2"}}
