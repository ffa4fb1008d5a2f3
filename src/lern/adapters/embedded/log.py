"""Topics in the embedded file: partitions, offsets and consumer groups as in Kafka, in tables."""

import threading
import time
import zlib
from collections.abc import Collection, Iterator, Mapping, Sequence

import msgspec

from lern.adapters.embedded.database import Database, translated
from lern.job import Message, Place, Record
from lern.ports import Partition

_LOOK_AGAIN = 0.05
"""Seconds between two looks for messages that another process may have sent."""

_TIDY_EVERY = 3600.0

_headers = msgspec.msgpack.Decoder(tuple[tuple[str, bytes | None], ...])
_FORGET = """
DELETE FROM messages WHERE timestamp < ? AND NOT EXISTS (
  SELECT 1 FROM positions WHERE positions.topic = messages.topic
  AND positions.partition = messages.partition AND positions.following <= messages."offset")"""
_FETCH = (
    'SELECT topic, partition, "offset", key, value, headers, timestamp FROM messages'
    ' WHERE topic = ? AND partition = ? AND "offset" >= ? ORDER BY "offset" LIMIT ?'
)


class EmbeddedLog:
    """Implements `ports.Log` on the file."""

    def __init__(self, database: Database, partitions: int, retention_days: float) -> None:
        self._database = database
        self._partitions = partitions
        self._retention_days = retention_days
        self._tidy_after = 0.0
        self._counts: dict[str, int] = {}
        database.rolled_back.append(self._forget)
        self._next = 0
        self.arrived = threading.Condition()
        """Notified when this process has sent something."""

    def _forget(self) -> None:
        """A transaction was taken back: what is remembered may stem from it."""
        self._counts.clear()
        self._next = 0

    def send(self, messages: Sequence[Message]) -> None:
        """Appends messages; inside a transaction they become visible with it."""
        if not messages:
            return
        with self._database.transaction(), translated():
            self._append(messages)
        with self.arrived:
            self.arrived.notify_all()

    def _append(self, messages: Sequence[Message]) -> None:
        now = int(time.time() * 1000)
        following: dict[tuple[str, int], int] = {}
        rows = []
        for message in messages:
            place = (message.topic, self._partition(message))
            if place not in following:
                following[place] = self.end(*place)
            headers = msgspec.msgpack.encode(message.headers) if message.headers else None
            rows.append((*place, following[place], now, message.key, message.value, headers))
            following[place] += 1
        connection = self._database.connection
        connection.executemany("INSERT INTO messages VALUES (?, ?, ?, ?, ?, ?, ?)", rows)
        connection.executemany(
            "INSERT OR REPLACE INTO ends VALUES (?, ?, ?)",
            [(*place, end) for place, end in following.items()],
        )

    def _partition(self, message: Message) -> int:
        count = self.partitions(message.topic)
        if message.key is not None:
            return zlib.crc32(message.key) % count
        self._next += 1
        return self._next % count

    def partitions(self, topic: str) -> int:
        """How many partitions a topic has; one that does not exist is created."""
        if topic not in self._counts:
            self.create([topic], self._partitions)
            [(self._counts[topic],)] = self._database.rows(
                "SELECT partitions FROM topics WHERE topic = ?", [topic]
            )
        return self._counts[topic]

    def end(self, topic: str, partition: int) -> int:
        """The offset that the next message of a partition gets."""
        found = self._database.rows(
            "SELECT following FROM ends WHERE topic = ? AND partition = ?", (topic, partition)
        )
        return int(found[0][0]) if found else 0

    def fetch(self, partition: Partition, offset: int, limit: int) -> list[Record]:
        """Messages of one partition from an offset on."""
        return [
            Record(topic, number, at, key, value, _headers.decode(headers) if headers else (), timestamp)
            for topic, number, at, key, value, headers, timestamp in self._database.rows(
                _FETCH, (*partition, offset, limit)
            )
        ]

    def read(self, topic: str, *, from_beginning: bool) -> Iterator[Record | None]:
        """As `ports.Log.read`."""
        places = [Partition(topic, number) for number in range(self.topics().get(topic, 0))]
        offsets = (
            dict.fromkeys(places, 0) if from_beginning else {place: self.end(*place) for place in places}
        )
        while True:
            if not places:
                places = [Partition(topic, number) for number in range(self.topics().get(topic, 0))]
                offsets = dict.fromkeys(places, 0)
            found = False
            for place in places:
                for record in self.fetch(place, offsets[place], 500):
                    found = True
                    offsets[place] = record.offset + 1
                    yield record
            if not found:
                yield None
                time.sleep(_LOOK_AGAIN)

    def spans(self, topic: str) -> Mapping[Partition, range]:
        """As `ports.Log.spans`."""
        spans = {}
        for number in range(self.topics().get(topic, 0)):
            place, end = Partition(topic, number), self.end(topic, number)
            oldest = self.fetch(place, 0, 1)
            spans[place] = range(oldest[0].offset if oldest else end, end)
        return spans

    def stored(self, topic: str, *, since: int = 0) -> Iterator[Record]:
        """As `ports.Log.stored`."""
        for place, span in self.spans(topic).items():
            offset = span.start
            while offset < span.stop and (found := self.fetch(place, offset, 500)):
                offset = found[-1].offset + 1
                yield from (each for each in found if each.offset < span.stop and each.timestamp >= since)

    def at(self, place: Place) -> Record | None:
        """As `ports.Log.at`."""
        found = self.fetch(Partition(place.topic, place.partition), place.offset, 1)
        return found[0] if found and found[0].offset == place.offset else None

    def topics(self) -> Mapping[str, int]:
        """As `ports.Log.topics`."""
        return dict(self._database.rows("SELECT topic, partitions FROM topics ORDER BY topic"))

    def create(self, topics: Collection[str], partitions: int) -> None:
        """As `ports.Log.create`."""
        with self._database.transaction(), translated():
            self._database.connection.executemany(
                "INSERT OR IGNORE INTO topics VALUES (?, ?)", [(topic, partitions) for topic in topics]
            )

    def tidy(self) -> None:
        """Forgets what is older than the retention and handled by every group, and expired marks; once an hour."""
        now = time.time()
        if now < self._tidy_after:
            return
        self._tidy_after = now + _TIDY_EVERY
        sent_before = int((now - self._retention_days * 86400) * 1000)
        with self._database.transaction(), translated():
            self._database.connection.execute(_FORGET, [sent_before])
            self._database.connection.execute("DELETE FROM dedup_marks WHERE expires < ?", [int(now)])

    def close(self) -> None:
        """Nothing is held."""


class EmbeddedConsumer:
    """Implements `ports.Consumer`: the only member of its group, since one process runs jobs on a file."""

    def __init__(
        self, database: Database, log: EmbeddedLog, topic: str, group: str, *, observe: bool = False
    ) -> None:
        self._database = database
        self._log = log
        self._topic = topic
        self._group = group
        self._observe = observe
        self._paused: set[Partition] = set()
        self._places = [Partition(topic, number) for number in range(log.partitions(topic))]
        self._committed = {place: self._position(place) for place in self._places}
        self._offsets = dict(self._committed)
        database.rolled_back.append(self._recall)

    def _recall(self) -> None:
        """A transaction was taken back: what it had committed is not committed."""
        self._committed = {place: self._position(place) for place in self._places}

    def _position(self, place: Partition) -> int:
        found = self._database.rows(
            'SELECT following FROM positions WHERE "group" = ? AND topic = ? AND partition = ?',
            (self._group, *place),
        )
        return int(found[0][0]) if found else 0

    def poll(self, limit: int, timeout: float) -> Sequence[Record]:
        """As `ports.Consumer.poll`."""
        deadline = time.monotonic() + timeout
        while True:
            records = self._fetch(limit)
            remaining = deadline - time.monotonic()
            if records or remaining <= 0:
                return records
            if not self._observe:
                self._log.tidy()
            with self._log.arrived:
                self._log.arrived.wait(min(remaining, _LOOK_AGAIN))

    def _fetch(self, limit: int) -> list[Record]:
        records: list[Record] = []
        for place in self._places:
            if place in self._paused or len(records) >= limit:
                continue
            found = self._log.fetch(place, self._offsets[place], limit - len(records))
            if found:
                self._offsets[place] = found[-1].offset + 1
                records += found
        return records

    def assigned(self) -> frozenset[Partition]:
        """All partitions of the topic."""
        return frozenset(self._places)

    def generation(self, partition: Partition) -> int:  # noqa: ARG002  # there is no other member to lose it to
        """Always the first."""
        return 0

    def pause(self, partition: Partition) -> None:
        """As `ports.Consumer.pause`."""
        self._paused.add(partition)

    def resume(self, partition: Partition) -> None:
        """As `ports.Consumer.resume`."""
        self._paused.discard(partition)

    def stage(self, messages: Sequence[Message]) -> None:
        """Appends to the topics; visible when the surrounding transaction commits."""
        self._log.send(messages)

    def commit(self, partition: Partition, following: int) -> None:
        """As `ports.Consumer.commit`."""
        if self._observe:
            return
        with self._database.transaction(), translated():
            self._database.connection.execute(
                "INSERT OR REPLACE INTO positions VALUES (?, ?, ?, ?)", (self._group, *partition, following)
            )
        self._committed[partition] = following

    def abort(self) -> None:
        """The surrounding transaction takes back what was staged."""

    def lag(self) -> Mapping[Partition, int]:
        """As `ports.Consumer.lag`."""
        return {place: self._log.end(*place) - self._committed[place] for place in self._places}

    def close(self) -> None:
        """Nothing is held."""
