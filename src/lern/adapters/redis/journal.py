"""The journal in Redis: for each partition the outcome that is being applied."""

from typing import cast

from lern.adapters.redis.connection import RedisConnection
from lern.ports import Partition
from lern.settings.model import RedisSettings

_EXPIRY = 7 * 24 * 3600
"""Seconds. Entries are forgotten when they are applied; this is for groups that nobody runs any more."""


class RedisJournal:
    """Port `Journal`: `lern:journal:<group>:<topic>:<partition>`, in the database of the marks.

    An entry is as durable as the server keeps its promises: a crash of this process does not lose it.
    """

    def __init__(self, settings: RedisSettings, group: str) -> None:
        self._connection = RedisConnection(settings)
        self._group = group

    def recall(self, partition: Partition) -> bytes | None:
        """What was last recorded and not yet forgotten. Raises Unavailable."""
        return cast("bytes | None", self._connection.exchange([(b"GET", self._key(partition))])[0])

    def record(self, partition: Partition, entry: bytes) -> None:
        """Keeps `entry` in place of an earlier one, for a week. Raises Unavailable."""
        self._connection.exchange([(b"SET", self._key(partition), entry, b"EX", _EXPIRY)])

    def forget(self, partition: Partition) -> None:
        """Drops the entry; nothing happens when there is none. Raises Unavailable."""
        self._connection.exchange([(b"UNLINK", self._key(partition))])

    def close(self) -> None:
        """Hangs up."""
        self._connection.close()

    def _key(self, partition: Partition) -> str:
        return f"lern:journal:{self._group}:{partition.topic}:{partition.number}"
