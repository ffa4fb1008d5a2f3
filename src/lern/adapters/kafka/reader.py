"""Reading one topic, as a member of a consumer group or beside it."""

import time
from collections.abc import Sequence
from enum import Enum, auto
from typing import Final, cast

import structlog
from confluent_kafka import (
    OFFSET_BEGINNING,
    OFFSET_INVALID,
    Consumer,
    KafkaError,
    KafkaException,
    Message,
    TopicPartition,
)

from lern.adapters.kafka.assignment import Assignment
from lern.adapters.kafka.connection import (
    DEPENDENCY,
    END_OF_PARTITION,
    MISSING_TOPIC,
    Health,
    Timing,
    reading,
    unavailable,
    unusable,
)
from lern.errors import Unavailable
from lern.job import Record
from lern.ports import Partition
from lern.settings.model import KafkaSettings

_log = structlog.get_logger(__name__)

_PROBE: Final = 0.5
"""Seconds within which a broker that is back gives an answer."""

_REPLACE_AFTER: Final = 30.0
"""Seconds without any broker after which the client is made anew, from the addresses in the settings."""


class Start(Enum):
    """Which partitions are read, and from where."""

    MEMBER = auto()
    """Those that the group gives to this member, from the group's positions."""
    POSITIONS = auto()
    """All, from the group's positions or else the beginning; the group does not know of it."""
    BEGINNING = auto()
    """All, from their first messages; there is no group."""
    END = auto()
    """All, from where they end now; there is no group."""


class Reader:
    """The partitions of one topic that this process has, and their messages. Belongs to one thread."""

    def __init__(
        self,
        settings: KafkaSettings,
        topic: str,
        group: str,
        *,
        start: Start,
        timing: Timing,
        health: Health,
    ) -> None:
        self._topic = topic
        self._start = start
        self._timing = timing
        self._health = health
        self._configuration = reading(settings, group, timing, health)
        self._assignment = Assignment(topic)
        self._missing = False
        self._objection: str | None = None
        self._down_since: float | None = None
        self._client = self._open()

    def poll(self, limit: int, timeout: float) -> list[Record]:
        """As `ports.Consumer.poll`."""
        if self._health.down:
            self.probe()
        if self._start is not Start.MEMBER and not self._assignment:
            self.take_all()
        deadline = time.monotonic() + timeout
        while True:
            try:
                records = self._records(self._messages(limit, max(0.0, deadline - time.monotonic())))
            except KafkaException as error:
                raise unavailable("reading", error) from error
            if records:
                return records
            self._complain()
            # What came may have been none of the messages that the caller waits for.
            if time.monotonic() >= deadline:
                return records

    def assigned(self) -> frozenset[Partition]:
        """As `ports.Consumer.assigned`."""
        return self._assignment.partitions()

    def has(self, partition: Partition) -> bool:
        """Whether the partition is assigned."""
        return partition.topic == self._topic and partition.number in self._assignment

    def generation(self, partition: Partition) -> int:
        """As `ports.Consumer.generation`; 0 for a partition that never was assigned."""
        return self._assignment.generation(partition.number)

    def pause(self, partition: Partition) -> None:
        """As `ports.Consumer.pause`."""
        self._pause(partition, paused=True)

    def resume(self, partition: Partition) -> None:
        """As `ports.Consumer.resume`."""
        self._pause(partition, paused=False)

    def membership(self) -> object:
        """What tells the broker that a position comes from a member of the group's present generation."""
        return self._client.consumer_group_metadata()

    def commit(self, partition: Partition, following: int) -> None:
        """Moves the group's position; raises Unavailable when the group does not take it from this member."""
        self._health.check()
        position = [TopicPartition(partition.topic, partition.number, following)]
        try:
            error = self._client.commit(offsets=position, asynchronous=False)[0].error
        except KafkaException as exception:
            raise unavailable("committing a position", exception) from exception
        if error is not None:
            raise Unavailable(DEPENDENCY, f"committing a position: {error.str()}")
        self.committed(partition, following)

    def committed(self, partition: Partition, following: int) -> None:
        """Takes note that the group's position has moved to `following`, for `lag`."""
        self._assignment[partition.number].committed = following

    def position(self, partition: Partition) -> int:
        """The group's position as the cluster has it, once no transaction is about to change it."""
        place = TopicPartition(partition.topic, partition.number)
        try:
            return self._client.committed([place], timeout=self._timing.request)[0].offset
        except KafkaException as error:
            raise unavailable("reading a position", error) from error

    def restart(self, partition: Partition, offset: int) -> None:
        """Reads on from `offset` as if the partition had been lost and given back."""
        place = [TopicPartition(partition.topic, partition.number, offset)]
        try:
            self._client.incremental_unassign(place)
            self._added(self._client, place)
        except KafkaException as error:
            self._reopen()
            raise unavailable("moving to another offset", error) from error

    def lag(self) -> dict[Partition, int]:
        """As `ports.Consumer.lag`; without partitions of which nothing is known yet."""
        lags = {}
        for number in self._assignment:
            _, high = self._client.get_watermark_offsets(TopicPartition(self._topic, number), cached=True)
            lag = self._assignment[number].lag(high)
            if high >= 0 and lag is not None:
                lags[Partition(self._topic, number)] = lag
        return lags

    def take_all(self) -> None:
        """Starts with all partitions of the topic, or when it does not exist, waits for it: `poll` tries again."""
        try:
            topic = self._client.list_topics(self._topic, timeout=self._timing.request).topics[self._topic]
            if topic.error is None:
                self._added(self._client, [self._place(number) for number in topic.partitions])
        except KafkaException as error:
            raise unavailable("listing partitions", error) from error
        if topic.error is not None:
            self._objected(topic.error)
            if self._start is Start.END:
                # Whatever will be in it, came later.
                self._start = Start.BEGINNING

    def probe(self) -> None:
        """Raises Unavailable unless a broker answers; without this an idle client would not learn that one does."""
        reason = self._health.reason or ""
        try:
            self._client.list_topics(self._topic, timeout=_PROBE)
        except KafkaException as error:
            now = time.monotonic()
            self._down_since = self._down_since or now
            if now - self._down_since > _REPLACE_AFTER:
                _log.info("kafka_client_replaced", topic=self._topic)
                self._down_since = None
                self._reopen()
            raise Unavailable(DEPENDENCY, reason) from error
        self._down_since = None
        self._health.recovered()

    def close(self) -> None:
        """Leaves the group, if it is a member of it."""
        try:
            # librdkafka lets a member that has no partitions close without leaving its group: everybody else would wait
            # for it until its session ends.
            self._client.unsubscribe()
            self._client.close()
        except (KafkaException, RuntimeError) as error:
            _log.warning("kafka_close_failed", error=str(error))
        self._assignment.clear()

    def _open(self) -> Consumer:
        try:
            client = Consumer(self._configuration)
            if self._start is Start.MEMBER:
                client.subscribe(
                    [self._topic], on_assign=self._added, on_revoke=self._removed, on_lost=self._removed
                )
        except KafkaException as error:
            raise unusable(error) from error
        return client

    def _reopen(self) -> None:
        self.close()
        self._client = self._open()

    # --- The assignment: librdkafka calls these from inside of a poll. ------------------------------------------

    def _added(self, client: Consumer, partitions: list[TopicPartition]) -> None:
        client.incremental_assign(partitions)
        if partitions:
            # A pause can outlive the assignment that it was meant for.
            client.resume(partitions)
            self._missing = False
        numbers = [partition.partition for partition in partitions]
        self._assignment.add(numbers)
        self._tell("kafka_partitions_assigned", numbers)

    def _removed(self, client: Consumer, partitions: list[TopicPartition]) -> None:
        client.incremental_unassign(partitions)
        numbers = [partition.partition for partition in partitions]
        self._assignment.remove(numbers)
        self._tell("kafka_partitions_revoked", numbers)

    def _tell(self, event: str, numbers: list[int]) -> None:
        if numbers and self._start is Start.MEMBER:
            _log.info(event, topic=self._topic, partitions=sorted(numbers))

    def _place(self, number: int) -> TopicPartition:
        place = TopicPartition(self._topic, number, OFFSET_INVALID)
        if self._start is Start.BEGINNING:
            place.offset = OFFSET_BEGINNING
        elif self._start is Start.END:
            place.offset = self._client.get_watermark_offsets(place, timeout=self._timing.request)[1]
        return place

    # --- Messages ---------------------------------------------------------------------------------------------

    def _messages(self, limit: int, timeout: float) -> list[Message]:
        # `consume` waits until it has all that it was asked for: so one is waited for, and what is there is taken.
        messages = self._client.consume(1, timeout)
        if messages and limit > 1:
            self._assignment.moved()
            messages += self._client.consume(limit - 1, 0)
            if moved := self._assignment.moved():
                # The assignment changed in the middle: what came before belongs to the old one.
                messages = [message for message in messages if message.partition() not in moved]
        return messages

    def _complain(self) -> None:
        objection, self._objection = self._objection, None
        if self._health.down:
            self.probe()
        elif objection:
            raise Unavailable(DEPENDENCY, objection)

    def _records(self, messages: list[Message]) -> list[Record]:
        records = []
        topic, assignment = self._topic, self._assignment
        for message in messages:
            error = message.error()
            if error is not None:
                self._noticed(error, message)
                continue
            number, offset = message.partition(), message.offset()
            if number is None or offset is None or (place := assignment.get(number)) is None:
                continue
            if place.committed is None:
                place.committed = offset
            place.delivered = offset + 1
            headers = cast("Sequence[tuple[str, bytes | None]]", message.headers() or ())
            timestamp = message.timestamp()[1]
            records.append(Record(topic, number, offset, message.key(), message.value(), headers, timestamp))
        return records

    def _noticed(self, error: KafkaError, message: Message) -> None:
        """What librdkafka has put among the messages that is none."""
        if error.code() == END_OF_PARTITION:
            if place := self._assignment.get(message.partition()):
                place.end = message.offset()
        elif error.fatal():
            _log.error("kafka_consumer_failed", reason=error.str())
            self._reopen()
        else:
            self._objected(error)

    def _objected(self, error: KafkaError) -> None:
        if error.code() not in MISSING_TOPIC:
            self._objection = error.str()
            self._health.objected(self._objection)
        elif not self._missing:
            # Waiting is the right thing: the first message may create it.
            self._missing = True
            _log.warning("kafka_topic_missing", topic=self._topic)

    def _pause(self, partition: Partition, *, paused: bool) -> None:
        place = self._assignment.get(partition.number)
        if place is None or place.paused == paused:
            return
        change = self._client.pause if paused else self._client.resume
        try:
            change([TopicPartition(partition.topic, partition.number)])
        except KafkaException as error:
            raise unavailable("pausing or resuming", error) from error
        place.paused = paused
