"""Failed records: a message that could not be handled, with the reason, ready to be sent again (contracts, section 3)."""

import base64

import msgspec

from lern.errors import Rejection
from lern.job import Message, Record

_encode = msgspec.json.Encoder().encode
_fields = msgspec.json.Decoder(dict[str, msgspec.Raw])


class FailInfo(msgspec.Struct, rename="camel", frozen=True):
    """Why a message failed, as the consumers of the failed topics read it."""

    error_code: str
    error: str


def failed_record(record: Record, job: str, error: Rejection, topic: str, failed_at: int) -> Message:
    """The record of `record` on the failed topic; `failed_at` in milliseconds."""
    marks = {
        "jobName": msgspec.Raw(_encode(job)),
        "failInfo": msgspec.Raw(_encode(FailInfo(error.code, error.reason))),
    }
    attempts = 1 + _earlier_attempts(record)
    headers = {
        "lern-job": job,
        "lern-topic": record.topic,
        "lern-partition": str(record.partition),
        "lern-offset": str(record.offset),
        "lern-error-code": error.code,
        "lern-attempts": str(attempts),
        "lern-failed-at": str(failed_at),
    }
    return Message(
        topic,
        record.key,
        _encode(_content(record.value or b"") | marks),
        tuple((name, value.encode()) for name, value in headers.items()),
    )


def without_content(message: Message) -> Message:
    """A failed record that a log finds too large, reduced to the reason; the headers say where the original lies."""
    fields = _fields.decode(message.value)
    kept = {name: fields[name] for name in ("jobName", "failInfo")}
    size = msgspec.Raw(_encode(len(message.value)))
    return msgspec.structs.replace(message, value=_encode({"leftOutBytes": size} | kept))


def _content(value: bytes) -> dict[str, msgspec.Raw]:
    """The fields of the message where it is a JSON object; otherwise the message as text, or base64, under `raw`."""
    try:
        text = value.decode()
    except UnicodeDecodeError:
        encoded = base64.b64encode(value).decode()
        return {"raw": msgspec.Raw(_encode(encoded)), "encoding": msgspec.Raw(b'"base64"')}
    try:
        return _fields.decode(value)
    except (msgspec.DecodeError, RecursionError):
        return {"raw": msgspec.Raw(_encode(text))}


def _earlier_attempts(record: Record) -> int:
    """How often a message that was replayed had failed before."""
    text = dict(record.headers).get("lern-attempts") or b"0"
    return int(text) if text.isdigit() and len(text) < 10 else 0
