"""What has been sent again of a failed topic, in the embedded file."""

from collections.abc import Collection, Mapping, Sequence
from contextlib import AbstractContextManager

import msgspec

from lern.adapters.embedded.database import Database, translated
from lern.job import Place, Record
from lern.ports import Partition

_json = msgspec.json.Encoder().encode

_SEEN = """
SELECT partition, "offset" FROM json_each(?) AS wanted CROSS JOIN replayed
ON partition = json_extract(wanted.value, '$[0]') AND "offset" = json_extract(wanted.value, '$[1]')
AND timestamp = json_extract(wanted.value, '$[2]') AND topic = ?"""


class EmbeddedReplays:
    """Implements `ports.Replays` on the file: a turn is a transaction, so nothing is sent twice, or lost."""

    def __init__(self, database: Database, topic: str) -> None:
        self._database = database
        self._topic = topic

    def turn(self) -> AbstractContextManager[None]:
        """As `ports.Replays.turn`."""
        return self._database.transaction()

    def seen(self, records: Sequence[Record]) -> Collection[Place]:
        """As `ports.Replays.seen`."""
        wanted = _json([(each.partition, each.offset, each.timestamp) for each in records]).decode()
        found = self._database.rows(_SEEN, (wanted, self._topic))
        return {Place(self._topic, partition, offset) for partition, offset in found}

    def remember(self, records: Sequence[Record]) -> None:
        """As `ports.Replays.remember`."""
        rows = [(self._topic, each.partition, each.offset, each.timestamp) for each in records]
        with self._database.transaction(), translated():
            self._database.connection.executemany("INSERT OR IGNORE INTO replayed VALUES (?, ?, ?, ?)", rows)

    def forget_before(self, first: Mapping[Partition, int]) -> None:
        """As `ports.Replays.forget_before`."""
        rows = [(self._topic, partition.number, offset) for partition, offset in first.items()]
        sql = 'DELETE FROM replayed WHERE topic = ? AND partition = ? AND "offset" < ?'
        with self._database.transaction(), translated():
            self._database.connection.executemany(sql, rows)

    def close(self) -> None:
        """Nothing is held."""
