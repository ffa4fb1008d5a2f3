"""The port Log on Kafka: topics as the tools see them."""

import time
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import closing
from typing import Final, cast

from confluent_kafka import KafkaError, KafkaException
from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewTopic

from lern.adapters.kafka.connection import (
    DEPENDENCY,
    Health,
    Timing,
    configuration,
    error_of,
    unavailable,
    unusable,
)
from lern.adapters.kafka.reader import Reader, Start
from lern.adapters.kafka.sender import Sender
from lern.adapters.kafka.stored import Stored
from lern.errors import Unavailable
from lern.job import Message, Place, Record
from lern.ports import Partition
from lern.settings.model import KafkaSettings

_NAME: Final = "log"
"""What its clients are called, and the group that a reader must name but never joins or asks."""

_BROKER_DEFAULT: Final = -1

_QUIET: Final = 0.2
"""Seconds without a message after which a reader says that there is none."""


class KafkaLog:
    """All topics of a cluster (`ports.Log`). Belongs to one thread."""

    def __init__(self, settings: KafkaSettings, timing: Timing | None = None) -> None:
        self._settings = settings
        self._timing = timing or Timing()
        self._health = Health()
        self._sender = Sender(settings, _NAME, self._timing, self._health)
        self._admin: AdminClient | None = None

    def send(self, messages: Sequence[Message]) -> None:
        """As the port says; raises Refused for a message that the broker will never take."""
        if self._health.down:
            self.topics()
        self._sender.send(messages)

    def read(self, topic: str, *, from_beginning: bool) -> Iterator[Record | None]:
        """As the port says: None after 0.2 seconds without a message.

        Only what is committed is read. Without `from_beginning` it starts with what comes after this call. A topic
        that does not exist is waited for.
        """
        start = Start.BEGINNING if from_beginning else Start.END
        reader = Reader(self._settings, topic, _NAME, start=start, timing=self._timing, health=Health())
        try:
            reader.take_all()
        except Unavailable:
            reader.close()
            raise
        return _follow(reader)

    def spans(self, topic: str) -> Mapping[Partition, range]:
        """As the port says; what is not yet committed counts as not there."""
        with self._stored(topic) as stored:
            return stored.spans()

    def stored(self, topic: str, *, since: int = 0) -> Iterator[Record]:
        """As the port says. Only what is committed is read."""
        with self._stored(topic) as stored:
            yield from stored.read(since)

    def at(self, place: Place) -> Record | None:
        """As the port says."""
        with self._stored(place.topic) as stored:
            return stored.at(place)

    def _stored(self, topic: str) -> closing[Stored]:
        return closing(Stored(self._settings, topic, _NAME, self._timing))

    def topics(self) -> Mapping[str, int]:
        """As the port says, without Kafka's internal ones."""
        try:
            metadata = self._administrator().list_topics(timeout=self._timing.request)
        except KafkaException as error:
            self._health.check()
            raise unavailable("listing topics", error) from error
        self._health.recovered()
        return {
            name: len(topic.partitions)
            for name, topic in metadata.topics.items()
            if not name.startswith("__") and topic.error is None
        }

    def create(self, topics: Collection[str], partitions: int) -> None:
        """As the port says, with the broker's default of replicas; returns when they can be used."""
        missing = sorted(set(topics) - self.topics().keys())
        if not missing:
            return
        refused = self._create(missing, partitions, _BROKER_DEFAULT)
        if refused:
            # Before Kafka 2.4 there is no default, and one replica is what fits every cluster.
            refused = self._create(refused, partitions, 1)
        if refused:
            raise Unavailable(DEPENDENCY, f"creating {', '.join(refused)}: no fitting number of replicas")
        deadline = time.monotonic() + self._timing.request
        while any(not count for count in (self.topics().get(topic, 0) for topic in missing)):
            if time.monotonic() > deadline:
                raise Unavailable(DEPENDENCY, f"creating {', '.join(missing)}: not there yet")
            time.sleep(0.05)

    def close(self) -> None:
        """As the port says."""
        self._sender.drop()
        self._admin = None

    def _create(self, topics: Sequence[str], partitions: int, replicas: int) -> list[str]:
        """Creates topics; returns those that cannot have this number of replicas."""
        refused = []
        answers = self._administrator().create_topics(
            [NewTopic(topic, partitions, replicas) for topic in topics], request_timeout=self._timing.request
        )
        for topic, answer in answers.items():
            try:
                answer.result()
            except KafkaException as error:
                match error_of(error).code():
                    case KafkaError.TOPIC_ALREADY_EXISTS:
                        continue
                    case KafkaError.INVALID_REPLICATION_FACTOR | KafkaError.UNSUPPORTED_VERSION:
                        refused.append(topic)
                    case _:
                        raise unavailable(f"creating {topic}", error) from error
        return refused

    def _administrator(self) -> AdminClient:
        if self._admin is None:
            try:
                # The binding's types leave out its own callbacks.
                self._admin = AdminClient(
                    cast(
                        "dict[str, str | int | float | bool]",
                        configuration(self._settings, _NAME, self._timing, self._health),
                    )
                )
            except KafkaException as error:
                raise unusable(error) from error
        return self._admin


def _follow(reader: Reader) -> Iterator[Record | None]:
    try:
        while True:
            yield from reader.poll(500, _QUIET) or (None,)
    finally:
        reader.close()
