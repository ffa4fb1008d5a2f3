"""What happens while Kafka is down, and what is left of it afterwards: nothing."""

import random
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import pytest
from structlog.testing import capture_logs
from tests.patience import within

from lern.adapters.kafka import KafkaConsumer, KafkaLog, Timing
from lern.errors import Unavailable
from lern.job import Message, Place
from lern.ports import Partition
from lern.settings.model import KafkaSettings

if TYPE_CHECKING:
    from tests.conftest import Outage

_PATIENCE = 60.0
_QUICK = Timing(session=2.0, delivery=2.0, transaction=2.5, settlement=1.0, request=1.0, metadata=0.5)
_NOWHERE = "127.0.0.1:1"


@pytest.fixture
def log(kafka_address: str) -> Iterator[KafkaLog]:
    log = KafkaLog(KafkaSettings(kafka_address), _QUICK)
    yield log
    log.close()


@dataclass
class Copying:
    """Copies every message from one topic to another, a few at a time, as an engine would do it."""

    consumer: KafkaConsumer
    target: str
    batch: int = 4
    waiting: dict[tuple[Partition, int], list[tuple[int, bytes]]] = field(default_factory=dict)
    troubles: int = 0

    def step(self) -> None:
        """Reads what is there, and copies one batch of each partition."""
        try:
            records = self.consumer.poll(50, 0.05)
        except Unavailable:
            self.troubles += 1
            return
        now = {place: self.consumer.generation(place) for place in self.consumer.assigned()}
        self.waiting = {key: self.waiting.get(key, []) for key in now.items()}
        for record in records:
            place = Partition(record.topic, record.partition)
            self.waiting[place, now[place]].append((record.offset, record.value or b""))
        for (place, _), messages in self.waiting.items():
            if messages:
                self._turn(place, messages)

    def _turn(self, place: Partition, messages: list[tuple[int, bytes]]) -> None:
        batch = messages[: self.batch]
        try:
            self.consumer.stage([Message(self.target, b"key", value) for _, value in batch])
            self.consumer.commit(place, batch[-1][0] + 1)
        except Unavailable:
            self.troubles += 1
            self.consumer.abort()
        else:
            del messages[: self.batch]


@dataclass
class Course:
    """An input with messages, an output, and what was copied so far."""

    log: KafkaLog
    source: str
    target: str
    sent: list[bytes]

    def watch(self) -> Callable[[], list[bytes | None]]:
        """A function that tells what can be read of the output by now."""
        reader, found = self.log.read(self.target, from_beginning=True), list[bytes | None]()

        def look() -> list[bytes | None]:
            while (record := next(reader)) is not None:
                found.append(record.value)
            return found

        return look


@pytest.fixture
def course(log: KafkaLog) -> Course:
    name = uuid.uuid4().hex
    course = Course(log, f"in-{name}", f"out-{name}", [b"%05d" % number for number in range(100)])
    # A broker that has just started takes its time.
    within(30, lambda: log.create([course.source], 4))
    within(30, lambda: log.create([course.target], 1))
    log.send(
        [Message(course.source, b"%d" % (number % 20), value) for number, value in enumerate(course.sent)]
    )
    return course


def copied_exactly_once(course: Course, found: list[bytes | None]) -> bool:
    """Whether everything is there; fails as soon as something is there twice."""
    assert len(found) == len(set(found)), "something was copied twice"
    return set(found) == set(course.sent)


def test_commits_whose_answers_come_too_late_are_neither_lost_nor_doubled(
    kafka_address: str, course: Course
) -> None:
    impatient = Timing(session=6.0, settlement=0.0005)
    consumer = KafkaConsumer(KafkaSettings(kafka_address), course.source, course.target, impatient)
    copying = Copying(consumer, course.target, batch=10)
    look, deadline = course.watch(), time.monotonic() + _PATIENCE
    with capture_logs() as lines:
        while not copied_exactly_once(course, look()):
            assert time.monotonic() < deadline, "not everything was copied"
            for _ in range(5):
                copying.step()
        consumer.close()

    settled = [line["committed"] for line in lines if line["event"] == "kafka_commit_settled"]
    assert any(settled), "no answer was late"


@pytest.mark.timeout(240)
@pytest.mark.parametrize("kill", [False, True], ids=["stopped", "killed"])
def test_work_goes_on_after_an_outage_without_loss_or_doubling(
    kafka_address: str, course: Course, outage: "Outage", *, kill: bool
) -> None:
    consumer = KafkaConsumer(KafkaSettings(kafka_address), course.source, course.target, _QUICK)
    copying = Copying(consumer, course.target)
    other = KafkaConsumer(KafkaSettings(kafka_address), course.source, "other", _QUICK)
    try:
        while not any(copying.waiting.values()):
            copying.step()
        while not (records := other.poll(10, 0.2)):
            pass
        read = Partition(course.source, records[0].partition)
        other.stage([Message(course.target, None, b"never seen")])
        assert consumer.available() is None
        trouble = threading.Thread(target=outage.stop, args=("kafka",), kwargs={"kill": kill})
        trouble.start()
        deadline = time.monotonic() + _PATIENCE
        while consumer.available() is None:
            assert time.monotonic() < deadline, "the outage was not noticed"
            copying.step()
        trouble.join()
        with pytest.raises(Unavailable, match="kafka: all brokers are down"):
            consumer.poll(1, 0.1)
        with pytest.raises(Unavailable):
            consumer.stage([Message(course.target, None, b"never seen")])
        consumer.abort()
        with pytest.raises(Unavailable):
            course.log.send([Message(course.target, None, b"never seen")])
        start = time.monotonic()
        with pytest.raises(Unavailable):
            other.commit(read, 1)
        other.close()
        assert time.monotonic() - start < 8

        outage.start("kafka")
        patient = KafkaLog(KafkaSettings(kafka_address))
        patient.send([Message(course.source, b"key", b"after the outage")])
        patient.close()
        course.sent.append(b"after the outage")
        look, deadline = course.watch(), time.monotonic() + _PATIENCE
        while not copied_exactly_once(course, look()):
            assert time.monotonic() < deadline, "not everything was copied"
            for _ in range(20):
                copying.step()
        assert consumer.available() is None
    finally:
        consumer.close()


def test_a_consumer_that_finds_no_kafka_says_so_and_closes_quickly() -> None:
    start = time.monotonic()
    consumer = KafkaConsumer(KafkaSettings(_NOWHERE), "topic", "group", _QUICK)
    with pytest.raises(Unavailable, match="kafka: all brokers are down") as raised:
        consumer.poll(10, 2.0)
    assert raised.value.dependency == "kafka"
    assert "Connection refused" in (consumer.available() or "")
    with pytest.raises(Unavailable):
        consumer.stage([Message("topic", None, b"value")])
    with pytest.raises(Unavailable):
        consumer.commit(Partition("topic", 0), 1)
    assert not consumer.assigned()
    assert consumer.lag() == {}

    consumer.close()
    assert time.monotonic() - start < 6


def test_reading_what_a_topic_holds_says_when_kafka_goes_away_in_the_middle(
    kafka_address: str, log: KafkaLog, outage: "Outage"
) -> None:
    topic = f"large-{uuid.uuid4().hex}"
    patient = KafkaLog(KafkaSettings(kafka_address))
    patient.create([topic], 1)
    patient.send([Message(topic, b"key", random.randbytes(20_000)) for _ in range(1000)])
    patient.close()
    stored = log.stored(topic)
    next(stored)

    outage.stop("kafka")
    start = time.monotonic()
    with pytest.raises(Unavailable, match="kafka"):
        list(stored)
    assert time.monotonic() - start < 10
    outage.start("kafka")

    assert len(list(log.stored(topic))) == 1000


def test_a_log_that_finds_no_kafka_says_so() -> None:
    log = KafkaLog(KafkaSettings(_NOWHERE), Timing(delivery=1.0, request=1.0))

    for attempt in (
        lambda: log.send([Message("topic", None, b"value")]),
        lambda: log.create(["topic"], 1),
        lambda: next(log.read("topic", from_beginning=True)),
        lambda: log.spans("topic"),
        lambda: next(log.stored("topic")),
        lambda: log.at(Place("topic", 0, 0)),
        log.topics,
    ):
        with pytest.raises(Unavailable, match=r"Connection refused|Broker transport failure"):
            attempt()
    log.close()
