"""What only Kafka has: several members of a group, and transactions that end without their owner."""

import os
import time
import uuid
from collections.abc import Callable, Iterator

import pytest
from confluent_kafka.admin import AdminClient
from structlog.testing import capture_logs

from lern.adapters.kafka import KafkaConsumer, KafkaLog, KafkaObserver, Timing
from lern.errors import Refused, Unavailable
from lern.job import Message, Record
from lern.ports import Partition
from lern.settings.model import KafkaSettings

_PATIENCE = 15.0
_PARTITIONS = 4
_QUICK = Timing(session=2.0, delivery=3.0, transaction=4.0, metadata=0.5)


@pytest.fixture
def settings(kafka_address: str) -> KafkaSettings:
    return KafkaSettings(kafka_address)


@pytest.fixture
def log(settings: KafkaSettings) -> Iterator[KafkaLog]:
    log = KafkaLog(settings, _QUICK)
    yield log
    log.close()


@pytest.fixture
def topic(log: KafkaLog) -> str:
    """An input, empty."""
    name = f"in-{uuid.uuid4().hex}"
    log.create([name], _PARTITIONS)
    return name


@pytest.fixture
def output(log: KafkaLog) -> str:
    """An output of one partition, empty."""
    name = f"out-{uuid.uuid4().hex}"
    log.create([name], 1)
    return name


Open = Callable[..., KafkaConsumer]


@pytest.fixture
def member(settings: KafkaSettings, topic: str) -> Iterator[Open]:
    """Opens members of one group on the input."""
    group = f"group-{uuid.uuid4().hex}"
    opened: list[KafkaConsumer] = []

    def open_member(
        timing: Timing = _QUICK, its: KafkaSettings = settings, reading: str = topic
    ) -> KafkaConsumer:
        opened.append(consumer := KafkaConsumer(its, reading, group, timing))
        return consumer

    yield open_member
    for each in opened:
        each.close()


def polled(consumer: KafkaConsumer | KafkaObserver, count: int) -> list[Record]:
    """The next messages, at least `count`, if they come in time."""
    records: list[Record] = []
    deadline = time.monotonic() + _PATIENCE
    while len(records) < count and time.monotonic() < deadline:
        records += consumer.poll(count, 0.2)
    return records


def wait_until(condition: Callable[[], bool], *members: KafkaConsumer) -> None:
    """Lets the members poll until it is so."""
    deadline = time.monotonic() + _PATIENCE
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        for each in members:
            each.poll(100, 0.05)


def values(log: KafkaLog, topic: str, last: bytes) -> list[bytes | None]:
    """What can be read of a topic, up to a message that is sent now."""
    log.send([Message(topic, b"key", last)])
    found: list[bytes | None] = []
    for record in log.read(topic, from_beginning=True):
        if record is not None:
            found.append(record.value)
        if found[-1:] == [last]:
            break
    return found[:-1]


def homes(log: KafkaLog, topic: str, value: bytes) -> list[int]:
    """The partitions of all messages with this value, of which there are a hundred."""
    reader = log.read(topic, from_beginning=True)
    found: list[int] = []
    while len(found) < 100:
        found += [record.partition for record in filter(None, [next(reader)]) if record.value == value]
    return found


def test_two_members_share_the_partitions(member: Open, topic: str) -> None:
    first, second = member(), member()

    wait_until(lambda: len(first.assigned()) == len(second.assigned()) == 2, first, second)

    assert first.assigned() | second.assigned() == {Partition(topic, number) for number in range(_PARTITIONS)}


def test_a_member_that_closes_hands_over_at_once(member: Open, topic: str, log: KafkaLog) -> None:
    patient = Timing(session=30.0)
    first, second = member(patient), member(patient)
    wait_until(lambda: bool(first.assigned() and second.assigned()), first, second)

    first.close()
    start = time.monotonic()
    wait_until(lambda: len(second.assigned()) == _PARTITIONS, second)

    assert time.monotonic() - start < 8


def test_partitions_that_stay_are_not_read_again_when_others_move(
    member: Open, topic: str, log: KafkaLog
) -> None:
    first = member()
    log.send([Message(topic, b"%d" % number, b"before") for number in range(100)])
    polled(first, 100)

    second = member()
    wait_until(lambda: bool(first.assigned() and second.assigned()), first, second)
    kept = first.assigned()
    log.send([Message(topic, b"%d" % number, b"after") for number in range(100)])

    expected = sum(Partition(topic, number) in kept for number in homes(log, topic, b"after"))
    assert [record.value for record in polled(first, expected)] == [b"after"] * expected
    assert all(first.generation(partition) == 1 for partition in kept)


def test_a_partition_that_comes_back_has_a_new_generation(member: Open, topic: str) -> None:
    first = member()
    wait_until(lambda: len(first.assigned()) == _PARTITIONS, first)
    second = member()
    wait_until(lambda: bool(second.assigned()), first, second)
    (lent, *_) = second.assigned()

    second.close()
    wait_until(lambda: len(first.assigned()) == _PARTITIONS, first)

    assert first.generation(lent) == 2


@pytest.mark.parametrize("staging", [True, False], ids=["transaction", "position alone"])
def test_a_partition_that_another_member_has_cannot_be_committed(
    member: Open, topic: str, output: str, log: KafkaLog, *, staging: bool
) -> None:
    first, second = member(), member()
    wait_until(lambda: bool(first.assigned() and second.assigned()), first, second)
    (foreign, *_) = second.assigned()

    if staging:
        first.stage([Message(output, b"key", b"never seen")])
    with pytest.raises(Unavailable):
        first.commit(foreign, 1)

    assert values(log, output, b"last") == []


@pytest.mark.parametrize("staging", [True, False], ids=["transaction", "position alone"])
def test_a_member_that_was_given_up_cannot_commit(
    member: Open, topic: str, output: str, log: KafkaLog, *, staging: bool
) -> None:
    stuck = member(Timing(session=2.0, between_polls=2.0, delivery=3.0, transaction=8.0))
    wait_until(lambda: len(stuck.assigned()) == _PARTITIONS, stuck)
    successor = member()
    if staging:
        stuck.stage([Message(output, b"key", b"never seen")])

    wait_until(lambda: len(successor.assigned()) == _PARTITIONS, successor)
    with pytest.raises(Unavailable):
        stuck.commit(Partition(topic, 0), 1)

    assert values(log, output, b"last") == []
    wait_until(lambda: bool(stuck.assigned() and successor.assigned()), stuck, successor)


def test_a_transaction_that_took_too_long_is_gone_and_the_next_succeeds(
    member: Open, topic: str, output: str, log: KafkaLog
) -> None:
    consumer = member(Timing(session=2.0, delivery=1.0, transaction=1.0))
    log.send([Message(topic, b"key", b"trigger")])
    trigger = polled(consumer, 1)[0]
    place = Partition(topic, trigger.partition)

    consumer.stage([Message(output, b"key", b"too late")])
    time.sleep(3.5)
    with pytest.raises(Unavailable):
        consumer.commit(place, 1)
    consumer.abort()
    consumer.stage([Message(output, b"key", b"in time")])
    consumer.commit(place, 1)

    assert values(log, output, b"last") == [b"in time"]


def test_a_message_that_is_too_large_is_refused_by_name_and_size(
    member: Open, topic: str, output: str, log: KafkaLog
) -> None:
    consumer = member()
    log.send([Message(topic, b"key", b"trigger")])
    trigger = polled(consumer, 1)[0]
    large = os.urandom(2_097_152)

    with pytest.raises(Refused, match=f"{output} refuses a message of 2097152 bytes") as refused:
        consumer.stage([Message(output, b"key", b"innocent"), Message(output, b"key", large)])
    assert refused.value.code == "ERR_OUTPUT_REFUSED"
    with pytest.raises(Refused, match="20971520 bytes"):
        consumer.stage([Message(output, b"key", large * 10)])
    with pytest.raises(Refused, match="no topic!"):
        consumer.stage([Message("no topic!", b"key", b"value")])

    consumer.stage([Message(output, b"key", b"good")])
    consumer.commit(Partition(topic, trigger.partition), 1)
    assert values(log, output, b"last") == [b"good"]


def test_an_input_that_does_not_exist_is_waited_for(member: Open, log: KafkaLog) -> None:
    topic = f"later-{uuid.uuid4().hex}"
    consumer = member(reading=topic)
    with capture_logs() as lines:
        for _ in range(5):
            assert not consumer.poll(10, 0.1)
    assert consumer.available() is None
    assert topic not in log.topics()

    log.create([topic], 2)
    log.send([Message(topic, b"key", b"first")])

    assert [record.value for record in polled(consumer, 1)] == [b"first"]
    assert len([line for line in lines if line["event"] == "kafka_topic_missing"]) == 1


def test_without_transactions_what_is_staged_is_seen_at_once(
    member: Open, settings: KafkaSettings, topic: str, output: str, log: KafkaLog, kafka_address: str
) -> None:
    plain = KafkaSettings(kafka_address, transactional=False)
    log.send([Message(topic, b"key", value) for value in (b"first", b"second")])
    consumer = member(its=plain)
    first = polled(consumer, 2)[0]

    consumer.stage([Message(output, b"key", b"staged")])
    consumer.abort()
    assert values(log, output, b"last") == [b"staged"]
    consumer.commit(Partition(topic, first.partition), 1)
    with pytest.raises(Refused, match="2097152 bytes"):
        consumer.stage([Message(output, b"key", os.urandom(2_097_152))])
    consumer.close()

    assert [record.value for record in polled(member(its=plain), 1)] == [b"second"]


def test_an_observer_reads_what_is_next_and_leaves_no_trace(
    member: Open, settings: KafkaSettings, topic: str, output: str, log: KafkaLog
) -> None:
    log.send([Message(topic, b"key", b"%d" % number) for number in range(5)])
    consumer = member()
    home = Partition(topic, polled(consumer, 5)[0].partition)
    consumer.commit(home, 2)
    group = f"observed-{uuid.uuid4().hex}"
    observer = KafkaObserver(settings, topic, group, _QUICK)
    try:
        records = polled(observer, 5)
        observer.stage([Message(output, b"key", b"never seen")])
        observer.commit(home, 3)
        observer.abort()
        assert [record.offset for record in records] == [0, 1, 2, 3, 4]
        assert observer.assigned() == {Partition(topic, number) for number in range(_PARTITIONS)}
        assert observer.lag()[home] == 2
    finally:
        observer.close()

    groups = AdminClient({"bootstrap.servers": settings.brokers}).list_consumer_groups().result()
    assert group not in {each.group_id for each in groups.valid}
    assert values(log, output, b"last") == []


def test_an_observer_begins_where_the_group_is(settings: KafkaSettings, topic: str, log: KafkaLog) -> None:
    log.send([Message(topic, b"key", b"%d" % number) for number in range(5)])
    group = f"observed-{uuid.uuid4().hex}"
    consumer = KafkaConsumer(settings, topic, group, _QUICK)
    observer = KafkaObserver(settings, topic, group, _QUICK)
    try:
        home = Partition(topic, polled(consumer, 5)[0].partition)
        consumer.commit(home, 3)

        assert [record.offset for record in polled(observer, 2)] == [3, 4]
        assert len(consumer.assigned()) == _PARTITIONS
        log.send([Message(topic, b"key", b"more")])
        assert [record.offset for record in polled(consumer, 1)] == [5]
    finally:
        observer.close()
        consumer.close()
