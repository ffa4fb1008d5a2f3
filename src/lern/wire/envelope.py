"""Messages of any kind, as far as tools need to understand them."""

import base64

import msgspec


class _Learner(msgspec.Struct, rename="camel"):
    user_id: str | None = None


class _Any(msgspec.Struct, rename="camel"):
    edata: _Learner | None = None
    user_id: str | None = None


_read = msgspec.json.Decoder(_Any, strict=False).decode


def learner_of(value: bytes) -> bytes | None:
    """The learner that a message names, as its key; None where it names none or cannot be read."""
    try:
        message = _read(value)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
    user = (message.edata and message.edata.user_id) or message.user_id
    return user.encode() if user else None


def readable(value: bytes) -> object:
    """A message as something that can be written as JSON: the document it is, else `{"raw": ...}`."""
    try:
        return msgspec.json.decode(value)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        pass
    try:
        return {"raw": value.decode()}
    except UnicodeDecodeError:
        return {"raw": base64.b64encode(value).decode(), "encoding": "base64"}
