"""What topics promise (`ports.Consumer`, `ports.Log`), in one SQLite file and on Kafka.

Run as a program, this file is the process that a test kills: it takes its partitions, stages a message, and waits.
"""

import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext, suppress
from pathlib import Path
from typing import Protocol

import pytest

from lern.adapters.embedded import Embedded
from lern.adapters.kafka import KafkaConsumer, KafkaLog, Timing
from lern.job import Message, Record
from lern.job import Place as Where
from lern.ports import Consumer, Log, Partition
from lern.settings.model import KafkaSettings

_PATIENCE = 15.0
_PARTITIONS = 4
_QUICK = Timing(session=2.0, delivery=2.0, transaction=2.5, metadata=0.5)


class Topics(Protocol):
    """One implementation of both ports, and how to open them."""

    def consumer(self, topic: str, group: str) -> Consumer: ...
    def log(self) -> Log: ...
    def other_log(self) -> Log: ...
    def transaction(self) -> AbstractContextManager[None]: ...
    def close(self) -> None: ...


class _InFile:
    def __init__(self, file: str) -> None:
        self._file = Path(file)
        self._embedded = Embedded(self._file, partitions=_PARTITIONS)
        self._others: list[Embedded] = []

    def consumer(self, topic: str, group: str) -> Consumer:
        return self._embedded.consumer(topic, group)

    def log(self) -> Log:
        return self._embedded.log()

    def other_log(self) -> Log:
        self._others.append(other := Embedded(self._file, partitions=_PARTITIONS))
        return other.log()

    def transaction(self) -> AbstractContextManager[None]:
        return self._embedded.transaction()

    def close(self) -> None:
        for embedded in [*self._others, self._embedded]:
            embedded.close()


class _OnKafka:
    def __init__(self, address: str) -> None:
        self._settings = KafkaSettings(address)
        self._opened: list[Consumer | Log] = []

    def consumer(self, topic: str, group: str) -> Consumer:
        self._opened.append(consumer := KafkaConsumer(self._settings, topic, group, _QUICK))
        return consumer

    def log(self) -> Log:
        self._opened.append(log := KafkaLog(self._settings, _QUICK))
        return log

    other_log = log

    def transaction(self) -> AbstractContextManager[None]:
        return nullcontext()

    def close(self) -> None:
        for each in self._opened:
            each.close()


_KINDS: dict[str, Callable[[str], Topics]] = {"embedded": _InFile, "kafka": _OnKafka}


class Place:
    """One implementation, and names that no other test uses."""

    def __init__(self, kind: str, address: str) -> None:
        self.kind, self.address = kind, address
        self.topics = _KINDS[kind](address)
        self.log = self.topics.log()
        self.input, self.output = f"in-{uuid.uuid4().hex}", f"out-{uuid.uuid4().hex}"
        self.log.create([self.input, self.output], _PARTITIONS)
        self.group = f"group-{uuid.uuid4().hex}"

    def consumer(self) -> Consumer:
        """A member of the group, reading the input."""
        return self.topics.consumer(self.input, self.group)

    def send(self, *values: bytes, key: bytes | None = b"key") -> None:
        """Sends to the input."""
        self.log.send([Message(self.input, key, value) for value in values])


class _Stop(Exception):
    """Ends a transaction."""


@pytest.fixture(params=_KINDS)
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Place]:
    kind: str = request.param
    address = request.getfixturevalue("kafka_address") if kind == "kafka" else str(tmp_path / "lern.db")
    place = Place(kind, address)
    yield place
    place.topics.close()


def polled(consumer: Consumer, count: int, patience: float = _PATIENCE) -> list[Record]:
    """The next messages, at least `count`, if they come in time."""
    records: list[Record] = []
    deadline = time.monotonic() + patience
    while len(records) < count and time.monotonic() < deadline:
        records += consumer.poll(count, 0.2)
    return records


def following(reader: Iterator[Record | None], count: int) -> list[Record]:
    """The next messages of a log, `count` of them, if they come in time."""
    records: list[Record] = []
    deadline = time.monotonic() + _PATIENCE
    while len(records) < count and time.monotonic() < deadline:
        records += filter(None, [next(reader)])
    return records


def values(records: Sequence[Record]) -> list[bytes | None]:
    return [record.value for record in records]


def partition_of(record: Record) -> Partition:
    return Partition(record.topic, record.partition)


def numbered(count: int) -> list[bytes]:
    return [b"%03d" % number for number in range(count)]


def wait_until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + _PATIENCE
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"


# --- Messages -------------------------------------------------------------------------------------------------------


def test_messages_of_one_key_come_in_order_from_one_partition(place: Place) -> None:
    place.send(*numbered(300))

    records = polled(place.consumer(), 300)

    assert values(records) == numbered(300)
    assert len({record.partition for record in records}) == 1
    assert [record.offset for record in records] == list(range(300))


def test_a_key_goes_to_the_same_partition_whoever_sends_it(place: Place) -> None:
    keys = [b"user-%d" % number for number in range(20)]
    place.log.send([Message(place.input, key, b"first") for key in keys])
    place.topics.other_log().send([Message(place.input, key, b"second") for key in keys])

    records = polled(place.consumer(), 40)

    homes = {record.key: record.partition for record in records if record.value == b"first"}
    assert homes == {record.key: record.partition for record in records if record.value == b"second"}
    assert len(set(homes.values())) == _PARTITIONS


def test_a_message_arrives_as_it_was_sent(place: Place) -> None:
    headers = (("lern-job", b"merge"), ("binary", b"\x00\xff"))
    sent = [
        Message(place.input, b"\x00\xfe key", bytes(range(256)), headers),
        Message(place.input, None, b""),
        Message(place.input, b"", b"empty key"),
    ]
    before = int(time.time() * 1000)
    place.log.send(sent)

    records = polled(place.consumer(), 3)

    arrived = {record.value: record for record in records}
    assert len(arrived) == 3
    for message in sent:
        record = arrived[message.value]
        assert (record.topic, record.key, tuple(record.headers)) == (
            place.input,
            message.key,
            message.headers,
        )
        assert before - 5_000 <= record.timestamp <= int(time.time() * 1000) + 5_000


def test_a_message_of_900_kilobytes_passes(place: Place) -> None:
    large = uuid.uuid4().bytes * 57_600
    consumer = place.consumer()
    consumer.stage([Message(place.output, b"key", large)])
    place.send(large)

    assert values(polled(consumer, 1)) == [large]


def test_poll_brings_no_more_than_its_limit(place: Place) -> None:
    place.send(*numbered(50))
    consumer = place.consumer()

    counts = [len(consumer.poll(7, _PATIENCE)) for _ in range(3)]

    assert all(1 <= count <= 7 for count in counts)
    assert len(consumer.poll(1, _PATIENCE)) == 1


def test_poll_waits_for_a_message_no_longer_than_its_timeout(place: Place) -> None:
    consumer = place.consumer()
    place.send(b"first")
    polled(consumer, 1)

    start = time.monotonic()
    assert not consumer.poll(10, 0.3)
    assert 0.2 < time.monotonic() - start < 1.5


def test_poll_returns_as_soon_as_there_is_a_message(place: Place) -> None:
    consumer = place.consumer()
    place.send(b"first")
    polled(consumer, 1)
    place.send(b"second")

    start = time.monotonic()
    assert values(polled(consumer, 1)) == [b"second"]
    assert time.monotonic() - start < 5


# --- Positions ------------------------------------------------------------------------------------------------------


def test_a_new_group_begins_with_the_oldest_message(place: Place) -> None:
    place.send(b"old")

    assert values(polled(place.consumer(), 1)) == [b"old"]


def test_a_group_goes_on_behind_its_committed_position(place: Place) -> None:
    place.send(*numbered(10))
    first = place.consumer()
    records = polled(first, 10)
    with place.topics.transaction():
        first.commit(partition_of(records[0]), 4)
    first.close()

    assert values(polled(place.consumer(), 6)) == numbered(10)[4:]


def test_what_was_only_read_comes_again(place: Place) -> None:
    place.send(*numbered(3))
    first = place.consumer()
    polled(first, 3)
    first.close()

    assert values(polled(place.consumer(), 3)) == numbered(3)


def test_committing_one_partition_leaves_the_others(place: Place) -> None:
    keys = [b"user-%d" % number for number in range(20)]
    place.log.send([Message(place.input, key, key) for key in keys])
    first = place.consumer()
    records = polled(first, 20)
    done = partition_of(records[0])
    with place.topics.transaction():
        first.commit(done, 1 + max(record.offset for record in records if partition_of(record) == done))
    first.close()

    left = [record for record in records if partition_of(record) != done]
    again = polled(place.consumer(), len(left))
    assert {partition_of(record) for record in again} == {partition_of(record) for record in left}
    assert sorted(again) == sorted(left)


def test_groups_do_not_disturb_each_other(place: Place) -> None:
    place.send(b"for all")
    first = place.consumer()
    with place.topics.transaction():
        first.commit(partition_of(polled(first, 1)[0]), 1)

    assert values(polled(place.topics.consumer(place.input, f"{place.group}-2"), 1)) == [b"for all"]


def test_lag_counts_the_messages_that_are_not_committed(place: Place) -> None:
    place.send(*numbered(10))
    consumer = place.consumer()
    records = polled(consumer, 10)
    home = partition_of(records[0])

    assert consumer.lag()[home] == 10
    with place.topics.transaction():
        consumer.commit(home, 7)
    assert consumer.lag()[home] == 3
    with place.topics.transaction():
        consumer.commit(home, 10)
    assert sum(consumer.lag().values()) == 0


def test_the_traces_of_transactions_are_no_lag(place: Place) -> None:
    place.log.send([Message(place.output, b"key", b"trigger")])
    producing = place.topics.consumer(place.output, place.group)
    trigger = polled(producing, 1)[0]
    with suppress(_Stop), place.topics.transaction():
        producing.stage([Message(place.input, b"key", b"taken back")])
        producing.abort()
        raise _Stop
    with place.topics.transaction():
        producing.stage([Message(place.input, b"key", b"staged")])
        producing.commit(partition_of(trigger), trigger.offset + 1)
    consumer = place.consumer()
    staged = polled(consumer, 1)[0]
    with place.topics.transaction():
        consumer.commit(partition_of(staged), staged.offset + 1)

    def without_lag() -> bool:
        consumer.poll(10, 0.1)
        lags = consumer.lag()
        return len(lags) == _PARTITIONS and not any(lags.values())

    wait_until(without_lag)


# --- What is staged -------------------------------------------------------------------------------------------------


def test_staged_messages_are_seen_once_they_are_committed(place: Place) -> None:
    place.send(b"trigger")
    consumer = place.consumer()
    trigger = polled(consumer, 1)[0]
    reader = place.topics.other_log().read(place.output, from_beginning=True)
    place.log.send([Message(place.output, b"key", b"before")])
    assert values(following(reader, 1)) == [b"before"]

    with place.topics.transaction():
        consumer.stage([Message(place.output, b"key", value) for value in numbered(5)])
        consumer.stage([Message(place.output, b"key", b"more")])
        assert [next(reader), next(reader), next(reader)] == [None, None, None]
        consumer.commit(partition_of(trigger), trigger.offset + 1)

    assert values(following(reader, 6)) == [*numbered(5), b"more"]


def test_staged_messages_are_gone_after_an_abort(place: Place) -> None:
    place.send(b"trigger")
    consumer = place.consumer()
    trigger = polled(consumer, 1)[0]

    with suppress(_Stop), place.topics.transaction():
        consumer.stage([Message(place.output, b"key", b"taken back")])
        consumer.abort()
        raise _Stop
    with place.topics.transaction():
        consumer.stage([Message(place.output, b"key", b"second attempt")])
        consumer.commit(partition_of(trigger), trigger.offset + 1)

    reader = place.topics.other_log().read(place.output, from_beginning=True)
    assert values(following(reader, 1)) == [b"second attempt"]
    assert next(reader) is None


def test_staged_messages_are_gone_after_a_close(place: Place) -> None:
    place.send(b"trigger")
    consumer = place.consumer()
    polled(consumer, 1)

    with suppress(_Stop), place.topics.transaction():
        consumer.stage([Message(place.output, b"key", b"never seen")])
        consumer.close()
        raise _Stop
    place.log.send([Message(place.output, b"key", b"after")])

    reader = place.topics.other_log().read(place.output, from_beginning=True)
    assert values(following(reader, 1)) == [b"after"]
    assert values(polled(place.consumer(), 1)) == [b"trigger"]


def test_an_abort_and_an_empty_stage_without_a_reason_are_harmless(place: Place) -> None:
    place.send(b"trigger")
    consumer = place.consumer()
    trigger = polled(consumer, 1)[0]

    consumer.abort()
    with place.topics.transaction():
        consumer.stage([])
        consumer.commit(partition_of(trigger), 1)
    consumer.abort()
    consumer.close()

    place.send(b"second")
    assert values(polled(place.consumer(), 1)) == [b"second"]


def test_ten_thousand_messages_are_staged_at_once(place: Place) -> None:
    place.send(b"trigger")
    consumer = place.consumer()
    trigger = polled(consumer, 1)[0]
    padding = b"x" * 2_000

    with place.topics.transaction():
        consumer.stage(
            [Message(place.output, b"%d" % number, b"%d" % number + padding) for number in range(10_000)]
        )
        consumer.commit(partition_of(trigger), 1)

    reader = place.topics.other_log().read(place.output, from_beginning=True)
    records = following(reader, 10_000)
    assert {record.key for record in records} == {b"%d" % number for number in range(10_000)}
    assert len(records) == 10_000


def test_a_killed_process_leaves_nothing_but_its_work_to_do(place: Place) -> None:
    place.send(b"trigger")
    arguments = [place.kind, place.address, place.input, place.output, place.group]
    with subprocess.Popen([sys.executable, __file__, *arguments], stdout=subprocess.PIPE) as child:
        assert child.stdout
        assert b"staged\n" in iter(child.stdout.readline, b"")
        child.kill()
    place.log.send([Message(place.output, b"key", b"after")])

    successor = place.consumer()

    assert values(polled(successor, 1)) == [b"trigger"]
    assert len(successor.assigned()) == _PARTITIONS
    reader = place.topics.other_log().read(place.output, from_beginning=True)
    assert values(following(reader, 1)) == [b"after"]


# --- The assignment -------------------------------------------------------------------------------------------------


def test_a_lone_member_has_all_partitions(place: Place) -> None:
    consumer = place.consumer()
    place.send(b"first")
    polled(consumer, 1)

    assert consumer.assigned() == {Partition(place.input, number) for number in range(_PARTITIONS)}


def test_a_paused_partition_is_silent_until_it_is_resumed(place: Place) -> None:
    place.send(*numbered(5))
    consumer = place.consumer()
    home = partition_of(polled(consumer, 5)[0])
    consumer.pause(home)
    consumer.pause(home)
    place.send(*numbered(10)[5:])
    elsewhere = [Message(place.input, b"user-%d" % number, b"elsewhere") for number in range(20)]
    place.log.send(elsewhere)

    others = polled(consumer, 20, patience=1.0)
    assert others
    assert home not in {partition_of(record) for record in others}
    consumer.resume(home)
    consumer.resume(home)

    resumed = [record for record in polled(consumer, 25 - len(others)) if partition_of(record) == home]
    assert values(resumed)[:5] == numbered(10)[5:]


def test_what_was_fetched_before_a_pause_is_not_lost(place: Place) -> None:
    place.send(*numbered(100))
    consumer = place.consumer()
    records = list(consumer.poll(10, _PATIENCE))
    home = partition_of(records[0])

    for _ in range(3):
        consumer.pause(home)
        assert not consumer.poll(10, 0.05)
        consumer.resume(home)
        records += polled(consumer, 10)
    records += polled(consumer, 100 - len(records))

    assert values(records) == numbered(100)


# --- The log --------------------------------------------------------------------------------------------------------


def test_a_log_that_is_read_from_its_end_brings_what_comes_then(place: Place) -> None:
    place.send(*numbered(5))
    reader = place.log.read(place.input, from_beginning=False)
    assert next(reader) is None

    place.send(b"new")

    assert values(following(reader, 1)) == [b"new"]


def test_a_log_that_is_read_from_its_beginning_brings_all_and_goes_on(place: Place) -> None:
    place.send(*numbered(5))
    reader = place.log.read(place.input, from_beginning=True)

    assert values(following(reader, 5)) == numbered(5)
    place.send(b"new")
    assert values(following(reader, 1)) == [b"new"]


def test_a_topic_that_is_not_there_yet_is_read_once_it_is(place: Place) -> None:
    topic = f"later-{uuid.uuid4().hex}"
    reader = place.log.read(topic, from_beginning=False)
    assert next(reader) is None

    place.log.create([topic], 2)
    place.log.send([Message(topic, None, b"first")])

    assert values(following(reader, 1)) == [b"first"]


def test_what_a_topic_holds_is_read_to_its_present_end_and_no_further(place: Place) -> None:
    keys = [b"user-%d" % number for number in range(20)]
    place.log.send(
        [Message(place.input, key, value, (("h", b"1"),)) for value in numbered(30) for key in keys]
    )
    reader = place.topics.other_log().stored(place.input)
    first = next(reader)
    place.send(b"too late")

    records = [first, *reader]

    assert len(records) == 600
    assert {tuple(record.headers) for record in records} == {(("h", b"1"),)}
    for key in keys:
        assert values([record for record in records if record.key == key]) == numbered(30)


def test_nothing_is_read_of_an_empty_topic_or_of_none(place: Place) -> None:
    assert list(place.log.stored(place.input)) == []
    assert list(place.log.stored(place.input, since=1)) == []
    assert list(place.log.stored("no-such-topic")) == []
    assert place.log.spans("no-such-topic") == {}
    assert set(place.log.spans(place.input).values()) == {range(0)}


def test_spans_say_which_offsets_a_topic_holds(place: Place) -> None:
    place.send(*numbered(5))

    assert sorted(map(len, place.log.spans(place.input).values())) == [0, 0, 0, 5]


def test_what_came_before_a_time_is_left_out(place: Place) -> None:
    place.send(b"old")
    time.sleep(0.05)
    moment = int(time.time() * 1000)
    time.sleep(0.05)
    place.log.send([Message(place.input, b"%d" % number, b"new") for number in range(20)])

    assert values(list(place.log.stored(place.input, since=moment))) == [b"new"] * 20
    assert list(place.log.stored(place.input, since=moment + 3_600_000)) == []
    assert len(list(place.log.stored(place.input, since=1))) == 21


def test_the_traces_of_transactions_are_no_messages(place: Place) -> None:
    place.send(b"trigger")
    consumer = place.consumer()
    trigger = polled(consumer, 1)[0]
    with place.topics.transaction():
        consumer.stage([Message(place.output, b"key", b"staged")])
        consumer.commit(partition_of(trigger), trigger.offset + 1)

    [staged] = place.topics.other_log().stored(place.output)

    assert staged.value == b"staged"
    beside = Where(staged.topic, staged.partition, staged.offset + 1)
    assert place.topics.other_log().at(beside) is None


def test_a_single_message_is_found_by_its_place(place: Place) -> None:
    place.send(*numbered(5))
    records = list(place.log.stored(place.input))

    assert place.log.at(records[3].place) == records[3]
    for wrong in (
        records[3].place._replace(offset=5),
        records[3].place._replace(offset=10**15),
        records[3].place._replace(partition=_PARTITIONS),
        records[3].place._replace(topic="no-such-topic"),
        records[3].place._replace(partition=(records[3].partition + 1) % _PARTITIONS),
    ):
        assert place.log.at(wrong) is None


def test_topics_are_created_once_with_their_partitions(place: Place) -> None:
    topic = f"made-{uuid.uuid4().hex}"

    place.log.create([topic], 3)
    place.log.create([topic, place.input], 7)

    assert place.log.topics()[topic] == 3
    assert place.log.topics()[place.input] == _PARTITIONS


def _hold(kind: str, address: str, source: str, target: str, group: str) -> None:
    """Stages a message, says so, and waits for its end."""
    topics = _KINDS[kind](address)
    consumer = topics.consumer(source, group)
    while not consumer.poll(1, 1.0):
        pass
    with topics.transaction():
        consumer.stage([Message(target, b"key", b"of the dead")])
        sys.stdout.write("staged\n")
        sys.stdout.flush()
        time.sleep(_PATIENCE)


if __name__ == "__main__":
    _hold(*sys.argv[1:])
