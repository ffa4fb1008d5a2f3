"""A connection on which the server announces the keys whose values it has given and that changed since.

This is `CLIENT TRACKING` of Redis 6 and later, with the announcements in between the answers of the same connection
(RESP3). The client side cache of redis-py itself needs Redis 7.4.
"""

from collections.abc import Sequence
from typing import cast

import structlog
from redis.exceptions import ResponseError

from lern.adapters.redis.connection import RedisConnection, Wire, pack, wire
from lern.settings.model import RedisSettings

_log = structlog.get_logger(__name__)


class TrackingConnection(RedisConnection):
    """Answers are str. A write that was acknowledged to anyone is announced before the next answer here."""

    def __init__(self, settings: RedisSettings) -> None:
        super().__init__(settings, text=True)
        self.generation = 0
        """Grows with each new connection; nothing is announced of what was read over earlier ones."""
        self.tracked = False
        """Whether this connection's server announces changes at all."""

    def changed(self) -> Sequence[str | None]:
        """The keys announced since the last call; None stands for every key."""
        pushed, self._pushed = self._pushed, []
        keys: list[str | None] = []
        for kind, *data in pushed:
            if kind == "invalidate":
                keys += cast("list[str] | None", data[0]) or [None]
        return keys

    def _connect(self) -> Wire:
        self.generation += 1
        self._pushed.clear()
        tracked = self._track()
        self.tracked = tracked is not None
        return tracked or super()._connect()

    def _track(self) -> Wire | None:
        made = wire(self._settings, protocol=3, text=True)
        try:
            made.connect()
            made.send_packed_command([pack((b"CLIENT", b"TRACKING", b"ON"))])
            made.read_response()
        except ResponseError:  # its text is not for logs: an old server repeats the password in it
            made.disconnect()
            _log.warning(
                "relation_cache_tracking_refused",
                host=self._settings.host,
                port=self._settings.port,
                consequence="relations are kept in memory for a second only",
            )
            return None
        return made
