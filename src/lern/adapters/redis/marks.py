"""De-duplication marks in Redis: empty strings that expire, each under the mark itself as key."""

from collections.abc import Collection
from typing import cast

from lern.adapters.redis.connection import Command, RedisConnection
from lern.settings.model import RedisSettings

_CHUNK = 5000
"""Marks asked for in one command."""


class RedisMarks:
    """Port `Marks`, and how marks are set; `expiry` in seconds."""

    def __init__(self, settings: RedisSettings, expiry: int) -> None:
        self._connection = RedisConnection(settings)
        self._expiry = expiry

    def seen(self, marks: Collection[str]) -> Collection[str]:
        """Those of `marks` that are set and have not expired, whatever their value. Raises Unavailable."""
        asked = list(marks)
        chunks = [asked[start : start + _CHUNK] for start in range(0, len(asked), _CHUNK)]
        if not chunks:
            return set()
        answers = cast(
            "list[list[bytes | None]]", self._connection.exchange([(b"MGET", *chunk) for chunk in chunks])
        )
        values = (value for answer in answers for value in answer)
        return {mark for mark, value in zip(asked, values, strict=True) if value is not None}

    def mark(self, marks: Collection[str]) -> None:
        """Sets `marks`; one that is set already expires later. Raises Unavailable."""
        commands: list[Command] = [(b"SET", mark, b"", b"EX", self._expiry) for mark in marks]
        if commands:
            self._connection.exchange(commands)

    def close(self) -> None:
        """Hangs up."""
        self._connection.close()
