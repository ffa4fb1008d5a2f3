"""Failed records: a message that could not be handled, with the reason, ready to be sent again (contracts, section 3).

`failed_record` writes one, `read_failed` reads whatever lies on a failed topic, and `original` gives the message back.
"""

import base64
import binascii
from typing import TypeVar

import msgspec

from lern.errors import BadEvent, Rejection
from lern.job import Message, Place, Record

T = TypeVar("T")

_encode = msgspec.json.Encoder().encode
_fields = msgspec.json.Decoder(dict[str, msgspec.Raw])

_ADDED = ("jobName", "failInfo")
_STAND_INS = ({"raw"}, {"raw", "encoding"}, {"leftOutBytes"})
"""Fields that stand for a message that was no JSON object, or was too large."""

_IS_OBJECT = ("lern-original", b"object")
"""The header of a record whose message was an object with just the fields of a stand-in."""


class FailInfo(msgspec.Struct, rename="camel", frozen=True):
    """Why a message failed, as the consumers of the failed topics read it."""

    error_code: str
    error: str


class Failed(msgspec.Struct, frozen=True):
    """What a record on a failed topic says of itself; empty where it does not."""

    place: Place
    at: int
    """When it came to the failed topic, in milliseconds."""
    job: str
    """As the record spells it."""
    code: str
    reason: str
    attempts: int
    """How often the message has failed."""
    topic: str
    """Where the original message lay, with `partition` and `offset`."""
    partition: str
    offset: str


def failed_record(record: Record, job: str, error: Rejection, topic: str, failed_at: int) -> Message:
    """The record of `record` on the failed topic; `failed_at` in milliseconds."""
    marks = {
        "jobName": msgspec.Raw(_encode(job)),
        "failInfo": msgspec.Raw(_encode(FailInfo(error.code, error.reason))),
    }
    content, is_object = _content(record.value or b"")
    headers = {
        "lern-job": job,
        "lern-topic": record.topic,
        "lern-partition": str(record.partition),
        "lern-offset": str(record.offset),
        "lern-error-code": error.code,
        "lern-attempts": str(1 + _attempts(_headers(record))),
        "lern-failed-at": str(failed_at),
    }
    ambiguous = is_object and _looks_like_a_stand_in(content)
    return Message(
        topic,
        record.key,
        _encode(content | marks),
        tuple((name, value.encode()) for name, value in headers.items())
        + ((_IS_OBJECT,) if ambiguous else ()),
    )


def without_content(message: Message) -> Message:
    """A failed record that a log finds too large, reduced to the reason; the headers say where the original lies."""
    fields = _fields.decode(message.value)
    kept = {name: fields[name] for name in _ADDED}
    size = msgspec.Raw(_encode(len(message.value)))
    headers = tuple(header for header in message.headers if header != _IS_OBJECT)
    return msgspec.structs.replace(message, value=_encode({"leftOutBytes": size} | kept), headers=headers)


def read_failed(record: Record) -> Failed:
    """Reads a record of a failed topic, be it of one of our jobs, of an original's, or of nobody known.

    Never fails: what cannot be read is empty, or 1 attempt.
    """
    headers = _headers(record)
    fields = _object(record.value or b"") or {}
    info = _as(dict[str, msgspec.Raw], fields.get("failInfo")) or {}
    return Failed(
        place=record.place,
        at=record.timestamp,
        job=headers.get("lern-job") or _as(str, fields.get("jobName")) or "",
        code=headers.get("lern-error-code") or _as(str, info.get("errorCode")) or "",
        reason=_as(str, info.get("error")) or "",
        attempts=max(1, _attempts(headers)),
        topic=headers.get("lern-topic", ""),
        partition=headers.get("lern-partition", ""),
        offset=headers.get("lern-offset", ""),
    )


def original(record: Record) -> bytes:
    """The message that failed: the same bytes, or where it was a JSON object, the same object.

    Raises BadEvent when the record does not hold it.
    """
    fields = _object(record.value or b"")
    if fields is None:
        raise BadEvent("not a failed record: it is no JSON object")
    kept = {name: value for name, value in fields.items() if name not in _ADDED}
    if not _looks_like_a_stand_in(kept) or _IS_OBJECT in record.headers:
        return _encode(kept)
    if "leftOutBytes" in kept:
        raise BadEvent("its content was too large for the failed topic, and was left out")
    text, encoding = _as(str, kept["raw"]), kept.get("encoding")
    if text is not None and encoding is None:
        return text.encode()
    try:
        if text is None or _as(str, encoding) != "base64":
            raise BadEvent("raw: neither text nor base64")
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as error:
        raise BadEvent("raw: not base64") from error


def again(record: Record, topic: str) -> Message:
    """The message that failed, to be sent to `topic` once more; a header says how often it has failed.

    Raises BadEvent when the record does not hold the message.
    """
    attempts = str(max(1, _attempts(_headers(record)))).encode()
    return Message(topic, record.key, original(record), (("lern-attempts", attempts),))


def _content(value: bytes) -> tuple[dict[str, msgspec.Raw], bool]:
    """The message's fields where it is a JSON object; otherwise the message as text, or base64, under `raw`."""
    try:
        text = value.decode()
    except UnicodeDecodeError:
        encoded = base64.b64encode(value).decode()
        return {"raw": msgspec.Raw(_encode(encoded)), "encoding": msgspec.Raw(b'"base64"')}, False
    fields = _object(value)
    return ({"raw": msgspec.Raw(_encode(text))}, False) if fields is None else (fields, True)


def _looks_like_a_stand_in(fields: dict[str, msgspec.Raw]) -> bool:
    return fields.keys() - _ADDED in _STAND_INS


def _object(value: bytes) -> dict[str, msgspec.Raw] | None:
    """The fields of a JSON object; None where it is none."""
    try:
        value.decode()
        return _fields.decode(value)
    except (UnicodeDecodeError, msgspec.DecodeError, RecursionError):
        return None


def _as(kind: type[T], value: msgspec.Raw | None) -> T | None:
    """A field as this type; None where it is missing or something else."""
    if value is None:
        return None
    try:
        return msgspec.json.decode(value, type=kind)
    except (msgspec.DecodeError, RecursionError):
        return None


def _headers(record: Record) -> dict[str, str]:
    """The headers as text; those that are none are left out."""
    headers = {}
    for name, value in record.headers:
        try:
            headers[name] = (value or b"").decode()
        except UnicodeDecodeError:
            continue
    return headers


def _attempts(headers: dict[str, str]) -> int:
    """How often a message that was sent again had failed before."""
    text = headers.get("lern-attempts", "")
    return int(text) if text.isascii() and text.isdigit() and len(text) < 10 else 0
