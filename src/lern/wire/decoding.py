"""From bytes to typed events: one way for all topics, and one wording for everything that can be wrong with them."""

import re
from collections.abc import Callable, Mapping
from typing import Annotated, TypeVar

import msgspec

from lern.domain.model import BatchId, ContentId, CourseId, UserId
from lern.errors import BadEvent
from lern.job import Skipped

T = TypeVar("T")

ID = r"\A(?=.*\S)[^\x00-\x1f\x7f]{1,512}\Z"
"""What identifiers look like, as a pattern."""

User = Annotated[UserId, msgspec.Meta(pattern=ID)]
Course = Annotated[CourseId, msgspec.Meta(pattern=ID)]
Batch = Annotated[BatchId, msgspec.Meta(pattern=ID)]
Content = Annotated[ContentId, msgspec.Meta(pattern=ID)]

_NOT_AN_ID = "expected an identifier: not blank, no control characters, at most 512 characters"
_is_id = re.compile(ID).match

Id = TypeVar("Id", bound=str)


def checked_id(text: Id, path: str) -> Id:
    """`text`, if it can be an identifier; raises BadEvent that names the path."""
    if not _is_id(text):
        raise BadEvent(f"{path}: {_NOT_AN_ID}")
    return text


Decode = Callable[[bytes], T]


class Incoming(msgspec.Struct, rename="camel", gc=False):
    """The base of what comes in: camelCase outside, unknown fields ignored."""


class _Action(Incoming):
    action: str


class _Head(Incoming):
    edata: _Action


def decoder(kind: type[T]) -> Decode[T]:
    """A function that reads one JSON message as `kind`.

    Numbers may come as 1, 1.0 or "1", booleans as true or "true". Raises BadEvent whose reason names the field.
    """
    decode = msgspec.json.Decoder(kind, strict=False).decode

    def read(value: bytes) -> T:
        try:
            return decode(value)
        except msgspec.ValidationError as error:
            raise BadEvent(_field_and_fault(str(error))) from error
        except msgspec.DecodeError as error:
            raise BadEvent(f"not JSON: {str(error).removeprefix('JSON is malformed: ')}") from error
        except UnicodeDecodeError as error:
            raise BadEvent(f"not JSON: invalid UTF-8 ({error.reason})") from error
        except RecursionError as error:
            raise BadEvent("not readable: nested too deeply") from error

    return read


_head = decoder(_Head)


def action_decoder(kinds: Mapping[str, Decode[T]]) -> Decode[T | Skipped]:
    """A function that looks at `edata.action` (any case) and reads the message by it; another action is skipped."""

    def read(value: bytes) -> T | Skipped:
        action = _head(value).edata.action
        decode = kinds.get(action.lower())
        return Skipped("action") if decode is None else decode(value)

    return read


_MISSING = re.compile(r"Object missing required field `(?P<field>[^`]+)`(?: - at `(?P<at>[^`]+)`)?")
_AT = re.compile(r" - at `(?P<at>[^`]+)`$")


def _field_and_fault(message: str) -> str:
    """msgspec's message as `edata.userId: expected text, got number`, without any value of the event."""
    if missing := _MISSING.fullmatch(message):
        return f"{_path(missing['at'] or '$', missing['field'])}: missing"
    at = _AT.search(message)
    fault = message[: at.start()] if at else message
    if "matching regex" in fault:
        fault = _NOT_AN_ID
    fault = _TYPE.sub(_json_name, fault)
    path = _path(at["at"] if at else "$")
    return f"{path}: {fault[0].lower()}{fault[1:]}" if path else f"the message: {fault[0].lower()}{fault[1:]}"


_TYPE = re.compile(r"`(\w+(?: \| \w+)*)`")
_JSON_NAMES = {
    "str": "text",
    "int": "a whole number",
    "float": "a number",
    "bool": "a boolean",
    "array": "a list",
    "object": "an object",
}


def _json_name(kinds: re.Match[str]) -> str:
    """`int | float | null` as `a number or null`."""
    names = kinds[1].split(" | ")
    if "float" in names and "int" in names:
        names.remove("int")
    return " or ".join(_JSON_NAMES.get(name, name) for name in names)


def _path(at: str, *more: str) -> str:
    return ".".join(part for part in (at.removeprefix("$").removeprefix("."), *more) if part)
