"""Reading what a topic holds now, from its first message or a time to its end; and single messages."""

import time
from collections.abc import Iterator, Mapping, Sequence
from typing import Final, cast

from confluent_kafka import Consumer, KafkaException, Message, TopicPartition

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
from lern.job import Place, Record
from lern.ports import Partition
from lern.settings.model import KafkaSettings

_QUIET: Final = 0.1
"""Seconds that librdkafka may wait for more messages before it gives those that it has."""


class Stored:
    """One topic, for a tool: it joins no group, and asks again for nothing that is not there. Belongs to one thread."""

    def __init__(self, settings: KafkaSettings, topic: str, name: str, timing: Timing) -> None:
        self._topic = topic
        self._timing = timing
        try:
            self._client = Consumer(reading(settings, name, timing, Health()))
        except KafkaException as error:
            raise unusable(error) from error

    def spans(self) -> dict[Partition, range]:
        """As `ports.Log.spans`. Raises Unavailable."""
        patience, spans = self._timing.request, {}
        try:
            topic = self._client.list_topics(self._topic, timeout=patience).topics[self._topic]
            if topic.error is not None and topic.error.code() not in MISSING_TOPIC:
                raise Unavailable(DEPENDENCY, f"{self._topic}: {topic.error.str()}")
            for number in topic.partitions:
                place = TopicPartition(self._topic, number)
                # What a transaction holds back lies behind the end that a reader of committed messages is told.
                spans[Partition(self._topic, number)] = self._span(place)
        except KafkaException as error:
            raise unavailable(f"asking where {self._topic} ends", error) from error
        return spans

    def _span(self, place: TopicPartition) -> range:
        """From the first message to the end; a partition that is just getting another leader is waited for."""
        deadline = time.monotonic() + self._timing.request
        while True:
            try:
                return range(*self._client.get_watermark_offsets(place, timeout=self._timing.request))
            except KafkaException:
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.1)

    def read(self, since: int) -> Iterator[Record]:
        """As `ports.Log.stored`. Raises Unavailable."""
        unread = {partition.number: span for partition, span in self.spans().items() if span}
        if not unread:
            return
        start = self._since(since, unread) if since else {n: span.start for n, span in unread.items()}
        for record in self._records(unread, start):
            if record.timestamp >= since:
                yield record

    def at(self, place: Place) -> Record | None:
        """As `ports.Log.at`. Raises Unavailable."""
        span = self.spans().get(Partition(place.topic, place.partition), range(0))
        if place.offset not in span:
            return None
        wanted = {place.partition: range(place.offset, place.offset + 1)}
        return next(self._records(wanted, {place.partition: place.offset}), None)

    def close(self) -> None:
        """Lets go of the connections."""
        self._client.close()

    def _since(self, since: int, spans: Mapping[int, range]) -> dict[int, int]:
        """Where the messages of each partition begin that are not older."""
        asked = [TopicPartition(self._topic, number, since) for number in spans]
        try:
            found = self._client.offsets_for_times(asked, timeout=self._timing.request)
        except KafkaException as error:
            raise unavailable(f"asking for a time in {self._topic}", error) from error
        # A negative offset stands for the end: no message is that young.
        return {
            each.partition: each.offset if each.offset >= 0 else spans[each.partition].stop for each in found
        }

    def _records(self, spans: Mapping[int, range], start: Mapping[int, int]) -> Iterator[Record]:
        """The messages of all partitions from `start` to the ends of the spans, where there are any in between."""
        unread = {number: span.stop for number, span in spans.items() if start[number] < span.stop}
        self._client.assign([TopicPartition(self._topic, number, start[number]) for number in unread])
        last_heard = time.monotonic()
        while unread:
            try:
                messages = self._client.consume(500, _QUIET)
            except KafkaException as error:
                raise unavailable(f"reading {self._topic}", error) from error
            if messages:
                last_heard = time.monotonic()
            elif time.monotonic() - last_heard > self._timing.delivery:
                raise Unavailable(DEPENDENCY, f"reading {self._topic}: no answer in time")
            for message in messages:
                number, offset = cast("int", message.partition()), cast("int", message.offset())
                at_end = self._is_end(message)
                if (end := unread.get(number)) is None:
                    continue
                if at_end or offset + 1 >= end:
                    del unread[number]
                if not at_end and offset < end:
                    yield self._record(message, number, offset)

    def _is_end(self, message: Message) -> bool:
        """Whether this is no message, but the end of a partition. Raises Unavailable for any other trouble."""
        trouble = message.error()
        if trouble is None:
            return False
        if trouble.code() != END_OF_PARTITION:
            raise Unavailable(DEPENDENCY, f"reading {self._topic}: {trouble.str()}")
        return True

    def _record(self, message: Message, number: int, offset: int) -> Record:
        headers = cast("Sequence[tuple[str, bytes | None]]", message.headers() or ())
        timestamp = message.timestamp()[1]
        return Record(self._topic, number, offset, message.key(), message.value(), headers, timestamp)
