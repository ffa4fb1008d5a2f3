"""Answers as the server sent them, and the values in them: the reverse of `encoding`, for whole rows.

The driver's own reading hangs up when it meets a time that Python does not know, also one inside of a map or a type,
and would need every type of every column that an installation may have added.
"""

import struct
from collections.abc import Callable, Mapping
from functools import partial
from types import MappingProxyType
from typing import Any

from cassandra.cqltypes import BytesType
from cassandra.protocol import ProtocolHandler, ResultMessage
from cassandra.query import PreparedStatement

from lern.adapters.cassandra.encoding import moment

_int = struct.Struct(">i").unpack_from
_long = struct.Struct(">q").unpack_from
_double = struct.Struct(">d").unpack_from

Decoder = Callable[[bytes], Any]


class _UnreadColumns(list[Any]):
    """Columns of an answer whose values are left as they are."""


class Unread(PreparedStatement):  # type: ignore[misc]  # the driver has no types
    """A prepared statement whose answers are bytes, whatever the types of their columns are."""

    def __init__(self, prepared: PreparedStatement) -> None:
        super().__init__(
            prepared.column_metadata,
            prepared.query_id,
            prepared.routing_key_indexes,
            prepared.query_string,
            prepared.keyspace,
            prepared.protocol_version,
            prepared.result_metadata,
            prepared.result_metadata_id,
        )
        self._prepared = prepared  # as long as it is held, the driver prepares it on nodes that come back

    @property
    def result_metadata(self) -> list[Any]:
        """The columns of the answers; the driver sets them anew when it prepares the statement again."""
        return self._columns

    @result_metadata.setter
    def result_metadata(self, columns: list[Any]) -> None:
        self._columns = _UnreadColumns(columns)


class _Answer(ProtocolHandler.message_types_by_opcode[ResultMessage.opcode]):  # type: ignore[misc]  # the driver has no types
    """An answer of the server; those to unread statements are read as if all columns were blobs."""

    column_metadata: list[Any] | None
    _is_unread = False

    def recv_results_rows(
        self, body: Any, version: int, user_types: Any, result_metadata: Any, policy: Any
    ) -> None:
        """As the driver's."""
        self._is_unread = isinstance(result_metadata, _UnreadColumns)
        super().recv_results_rows(body, version, user_types, result_metadata, policy)

    def recv_results_metadata(self, body: Any, user_types: Any) -> None:
        """As the driver's."""
        super().recv_results_metadata(body, user_types)
        if self._is_unread and self.column_metadata:
            self.column_metadata = [(*column[:3], BytesType) for column in self.column_metadata]


class Answers(ProtocolHandler):  # type: ignore[misc]  # the driver has no types
    """The driver's way to read messages, and `Unread`."""

    message_types_by_opcode: Mapping[int, type[Any]] = MappingProxyType(
        {**ProtocolHandler.message_types_by_opcode, ResultMessage.opcode: _Answer}
    )


def _texts(value: bytes) -> list[str]:
    return [part.decode() for part in _parts(value, _int(value)[0])]


def _map(decode: Decoder, value: bytes) -> dict[str, Any]:
    parts = _parts(value, 2 * _int(value)[0])
    return {key.decode(): decode(each) for key, each in zip(parts[::2], parts[1::2], strict=True)}


def _parts(value: bytes, count: int) -> list[bytes]:
    parts, at = [], 4
    for _ in range(count):
        size = _int(value, at)[0]
        parts.append(value[at + 4 : at + 4 + size])
        at += 4 + size
    return parts


def _maps(value: bytes) -> list[dict[str, str]]:
    return [_map(bytes.decode, part) for part in _parts(value, _int(value)[0])]


def _truth(value: bytes) -> bool:
    return value != b"\0"


def _whole(value: bytes) -> int:
    return int(_int(value)[0])


def _fraction(value: bytes) -> float:
    return float(_double(value)[0])


def _time(value: bytes) -> Any:  # an aware datetime
    return moment(_long(value)[0])


DECODERS: Mapping[str, Decoder] = {
    "text": bytes.decode,
    "boolean": _truth,
    "int": _whole,
    "timestamp": _time,
    "list<text>": _texts,
    "list<frozen<map<text, text>>>": _maps,
    "map<text, int>": partial(_map, _whole),
    "map<text, double>": partial(_map, _fraction),
    "map<text, timestamp>": partial(_map, _time),
}
"""By CQL type; no value is null."""
