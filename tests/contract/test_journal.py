"""What a journal promises (`ports.Journal`); the embedded profile needs none."""

import uuid
from collections.abc import Callable, Iterator

import pytest
from redis import Redis

from lern.adapters.redis import RedisJournal
from lern.ports import Partition
from lern.settings.model import RedisSettings


@pytest.fixture
def settings(redis_address: str) -> RedisSettings:
    host, _, port = redis_address.rpartition(":")
    return RedisSettings(host, int(port), database=13)


@pytest.fixture
def journal(settings: RedisSettings) -> Iterator[Callable[[str], RedisJournal]]:
    """Opens the journal of a consumer group."""
    opened: list[RedisJournal] = []

    def open_journal(group: str) -> RedisJournal:
        opened.append(made := RedisJournal(settings, group))
        return made

    yield open_journal
    for each in opened:
        each.close()


@pytest.fixture
def topic() -> str:
    return f"topic-{uuid.uuid4().hex}"


Open = Callable[[str], RedisJournal]


def test_nothing_is_recalled_where_nothing_was_recorded(journal: Open, topic: str) -> None:
    assert journal("group").recall(Partition(topic, 0)) is None


def test_an_entry_outlives_the_process_that_recorded_it(journal: Open, topic: str) -> None:
    journal("group").record(Partition(topic, 0), b"\x00outcome\xff")

    assert journal("group").recall(Partition(topic, 0)) == b"\x00outcome\xff"


def test_an_entry_takes_the_place_of_the_one_before(journal: Open, topic: str) -> None:
    opened = journal("group")

    opened.record(Partition(topic, 0), b"first, and longer")
    opened.record(Partition(topic, 0), b"second")

    assert opened.recall(Partition(topic, 0)) == b"second"


def test_a_forgotten_entry_is_gone(journal: Open, topic: str) -> None:
    opened = journal("group")
    opened.record(Partition(topic, 0), b"outcome")

    opened.forget(Partition(topic, 0))

    assert opened.recall(Partition(topic, 0)) is None


def test_forgetting_what_is_not_there_is_harmless(journal: Open, topic: str) -> None:
    opened = journal("group")

    opened.forget(Partition(topic, 0))

    assert opened.recall(Partition(topic, 0)) is None


def test_partitions_topics_and_groups_have_entries_of_their_own(journal: Open, topic: str) -> None:
    places = [("a", topic, 0), ("a", topic, 1), ("b", topic, 0), ("a", f"{topic}-2", 0)]
    for number, (group, name, partition) in enumerate(places):
        journal(group).record(Partition(name, partition), str(number).encode())

    journal("a").forget(Partition(topic, 1))

    recalled = [journal(group).recall(Partition(name, partition)) for group, name, partition in places]
    assert recalled == [b"0", None, b"2", b"3"]


def test_an_entry_of_several_megabytes_is_recalled_whole(journal: Open, topic: str) -> None:
    entry = bytes(range(256)) * 20_000

    journal("group").record(Partition(topic, 3), entry)

    assert journal("group").recall(Partition(topic, 3)) == entry


def test_an_entry_that_nobody_comes_for_expires_after_a_week(
    journal: Open, topic: str, settings: RedisSettings
) -> None:
    journal("group").record(Partition(topic, 7), b"outcome")

    with Redis(host=settings.host, port=settings.port, db=settings.database) as other:
        seconds = other.ttl(f"lern:journal:group:{topic}:7")
    assert 604_790 < seconds <= 604_800
