"""Values as CQL has them on the wire, for prepared statements.

The driver can do this as well, but it looks up each value's type by name and takes five times as long. The types here
are those of the columns that jobs write (`adapters.tables`); `CassandraSession.require` has compared them with the
server's before a statement is prepared.
"""

import struct
from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from functools import lru_cache, partial
from typing import Any

from cassandra.query import BoundStatement, PreparedStatement

from lern.errors import Refused

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND = timedelta(milliseconds=1)

_NULL = struct.pack(">i", -1)

Encoder = Callable[[Any], bytes]

_int = struct.Struct(">i").pack
_long = struct.Struct(">q").pack
_double = struct.Struct(">d").pack
_sized_int = struct.Struct(">ii").pack
_sized_double = struct.Struct(">id").pack
_sized_long = struct.Struct(">iq").pack


def _milliseconds(time: datetime) -> int:
    return (time - _EPOCH) // _MILLISECOND


def _timestamp(time: datetime) -> bytes:
    return _long(_milliseconds(time))


def _texts(values: Collection[str]) -> bytes:
    parts = [_int(len(values))]
    for value in values:
        encoded = value.encode()
        parts += _int(len(encoded)), encoded
    return b"".join(parts)


def _map(sized: Callable[[Any], bytes], values: Mapping[str, Any]) -> bytes:
    parts = [_int(len(values))]
    for key, value in values.items():
        name = key.encode()
        parts += _int(len(name)), name, sized(value)
    return b"".join(parts)


def _maps_of_texts(values: Collection[Mapping[str, str]]) -> bytes:
    """Twenty answered questions have a hundred maps: no call is made for each of their texts."""
    parts = [_int(len(values))]
    for value in values:
        place, size = len(parts), 4
        parts += b"", _int(len(value))
        for name, text in value.items():
            key, encoded = name.encode(), text.encode()
            parts += _int(len(key)), key, _int(len(encoded)), encoded
            size += 8 + len(key) + len(encoded)
        parts[place] = _int(size)
    return b"".join(parts)


@lru_cache(maxsize=4096)
def _decimal(text: str) -> bytes:
    """The text of a number as scale and digits. Answers take seconds: the same few numbers come again and again."""
    sign, digits, exponent = Decimal(text).as_tuple()
    if not isinstance(exponent, int):
        raise struct.error(f"{text} is no decimal number")
    unscaled = int("".join(map(str, digits))) * (-1 if sign else 1)
    return _int(-exponent) + unscaled.to_bytes(unscaled.bit_length() // 8 + 1, signed=True)


def fields_encoder(fields: Mapping[str, str]) -> Encoder:
    """Encodes a list of objects whose attributes are the fields of a type, by name and CQL type in its order.

    A field of a type that has no encoder is null.
    """
    known = [(name, ENCODERS.get(cql)) for name, cql in fields.items()]

    def encode(values: Sequence[object]) -> bytes:
        parts = [_int(len(values))]
        for value in values:
            inner: list[bytes] = []
            for name, encoder in known:
                if encoder is None:
                    inner.append(_NULL)
                else:
                    field = encoder(getattr(value, name))
                    inner += _int(len(field)), field
            encoded = b"".join(inner)
            parts += _int(len(encoded)), encoded
        return b"".join(parts)

    return encode


def _sized_timestamp(time: datetime) -> bytes:
    return _sized_long(8, _milliseconds(time))


def moment(milliseconds: int) -> datetime:
    """The time so long after 1970 began; one beyond what Python knows is the last (or first) that it does."""
    try:
        return _EPOCH + milliseconds * _MILLISECOND
    except OverflowError:
        return datetime.max.replace(tzinfo=UTC) if milliseconds > 0 else datetime.min.replace(tzinfo=UTC)


def _boolean(value: bool) -> bytes:
    return b"\1" if value else b"\0"


ENCODERS: Mapping[str, Encoder] = {
    "text": str.encode,
    "blob": bytes,
    "boolean": _boolean,
    "int": _int,
    "double": _double,
    "decimal": _decimal,
    "timestamp": _timestamp,
    "list<text>": _texts,
    "list<frozen<map<text, text>>>": _maps_of_texts,
    "map<text, int>": partial(_map, partial(_sized_int, 4)),
    "map<text, double>": partial(_map, partial(_sized_double, 8)),
    "map<text, timestamp>": partial(_map, _sized_timestamp),
}
"""By CQL type; no value is None."""


class Statement:
    """A prepared statement and how the values of its markers are encoded, given the types of these or encoders."""

    def __init__(self, prepared: PreparedStatement, types: Sequence[str | Encoder]) -> None:
        self._prepared = prepared
        self._encoders = [ENCODERS[cql] if isinstance(cql, str) else cql for cql in types]

    def bind(self, *values: Any) -> BoundStatement:  # each of the type of its marker
        """The statement with values, none of them null. Raises Refused for a value that has no encoding."""
        bound = BoundStatement(self._prepared)
        bound.raw_values = ()  # what the driver shows of a statement in its logs
        try:
            bound.values = [encode(value) for encode, value in zip(self._encoders, values, strict=True)]
        except (UnicodeEncodeError, struct.error) as error:
            raise Refused("ERR_STORE_REFUSED", f"a value cannot be stored: {error}") from error
        return bound
