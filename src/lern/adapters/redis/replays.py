"""What has been sent again of a failed topic, in Redis."""

import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from uuid import uuid4

from lern.adapters.redis.connection import NAME, Command, RedisConnection
from lern.errors import Unavailable
from lern.job import Place, Record
from lern.ports import Partition
from lern.settings.model import RedisSettings

_LEASE = 30.0
"""Seconds after which the turn of a process that was killed is over; sending a chunk takes two thirds of it at most."""

_LOOK_AGAIN = 0.1


class RedisReplays:
    """Port `Replays`: sorted sets `lern:replayed:<topic>:<partition>` in the database of the marks.

    A member is `<offset>:<milliseconds>`, its score the offset, so that what the topic has dropped can be dropped here. The
    sets do not expire: a server that is short of memory drops first what does.
    """

    def __init__(
        self, settings: RedisSettings, topic: str, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._connection = RedisConnection(settings)
        self._topic = topic
        self._clock = clock

    @contextmanager
    def turn(self) -> Iterator[None]:
        """One process at a time, by the key `lern:replaying:<topic>`. Raises Unavailable."""
        key, token = f"lern:replaying:{self._topic}", uuid4().hex.encode()
        deadline = self._clock() + _LEASE + 5
        while not self._taken(key, token):
            if self._clock() > deadline:
                raise Unavailable(NAME, f"another process is sending records of {self._topic} again")
            time.sleep(_LOOK_AGAIN)
        try:
            yield
        finally:
            with suppress(Unavailable):  # then it ends by itself
                [holder] = self._connection.exchange([(b"GET", key)])
                if holder == token:
                    self._connection.exchange([(b"UNLINK", key)])

    def _taken(self, key: str, token: bytes) -> bool:
        """Whether the turn is ours; asked for twice (as after a lost answer), it is."""
        _, holder = self._connection.exchange(
            [(b"SET", key, token, b"NX", b"PX", round(_LEASE * 1000)), (b"GET", key)]
        )
        return holder == token

    def seen(self, records: Sequence[Record]) -> Collection[Place]:
        """As `ports.Replays.seen`. Raises Unavailable."""
        commands: list[Command] = [(b"ZSCORE", self._key(each.partition), _member(each)) for each in records]
        answers = self._connection.exchange(commands) if commands else []
        return {each.place for each, score in zip(records, answers, strict=True) if score is not None}

    def remember(self, records: Sequence[Record]) -> None:
        """As `ports.Replays.remember`. Raises Unavailable."""
        commands: list[Command] = [
            (b"ZADD", self._key(each.partition), each.offset, _member(each)) for each in records
        ]
        if commands:
            self._connection.exchange(commands)

    def forget_before(self, first: Mapping[Partition, int]) -> None:
        """As `ports.Replays.forget_before`. Raises Unavailable."""
        commands: list[Command] = [
            (b"ZREMRANGEBYSCORE", self._key(partition.number), b"-inf", f"({offset}")
            for partition, offset in first.items()
        ]
        if commands:
            self._connection.exchange(commands)

    def close(self) -> None:
        """Hangs up."""
        self._connection.close()

    def _key(self, partition: int) -> str:
        return f"lern:replayed:{self._topic}:{partition}"


def _member(record: Record) -> str:
    return f"{record.offset}:{record.timestamp}"
