"""The content cache in Redis: metadata that other services keep of contents, as JSON under the content's id."""

from collections.abc import Collection, Mapping
from typing import cast

from lern.adapters.metadata import question_total
from lern.adapters.redis.connection import Command, RedisConnection
from lern.domain.model import ContentId
from lern.settings.model import RedisSettings

_CHUNK = 100
"""Contents asked for in one command: each may have some hundred kilobytes."""


class RedisContents:
    """Implements `adapters.http.contents.Cache`."""

    def __init__(self, settings: RedisSettings) -> None:
        self._connection = RedisConnection(settings)

    def question_totals(self, contents: Collection[ContentId]) -> Mapping[ContentId, int]:
        """As `Cache.question_totals`. Raises Unavailable."""
        asked = list(contents)
        commands: list[Command] = [
            (b"MGET", *asked[start : start + _CHUNK]) for start in range(0, len(asked), _CHUNK)
        ]
        if not commands:
            return {}
        answers = cast("list[list[bytes | None]]", self._connection.exchange(commands))
        values = (value for answer in answers for value in answer)
        totals = {
            content: question_total(value) for content, value in zip(asked, values, strict=True) if value
        }
        return {content: total for content, total in totals.items() if total is not None}

    def close(self) -> None:
        """Hangs up."""
        self._connection.close()
