"""Failed records: the original, the reason, and all that is needed to send it again (contracts, section 3)."""

import base64
import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.events import update

from lern.errors import BadEvent, Refused
from lern.job import Message, Record
from lern.wire.failed import failed_record, without_content

FAILED_AT = 1709287200123
FAIL_INFO = {"errorCode": "ERR_INVALID_EVENT", "error": "edata.userId: missing"}
OURS = ("jobName", "failInfo")

words = st.sampled_from(["", "a", "user id", 'a"b', "a\\b", "गणित", "😀", "\n\x00", "\u2028", *OURS])
values = st.one_of(st.none(), st.booleans(), st.integers(), words)
trees = st.one_of(values, st.lists(values, max_size=2), st.dictionaries(words, values, max_size=2))


def record(value: bytes | None, headers: tuple[tuple[str, bytes | None], ...] = ()) -> Record:
    return Record("test.in", 3, 41, b"user_1", value, headers, 1700000000000)


def failed(value: bytes | None, *headers: tuple[str, bytes | None]) -> Message:
    error = BadEvent("edata.userId: missing")
    return failed_record(record(value, headers), "the-job", error, "test.failed", FAILED_AT)


def content(message: Message) -> dict[str, object]:
    read = json.loads(message.value)
    assert isinstance(read, dict)
    return read


def header(message: Message, name: str) -> bytes:
    return dict(message.headers)[name]


def test_an_object_keeps_all_its_fields_and_gets_the_reason() -> None:
    original = {"eid": "X", "edata": {"a": [1, None]}, "ets": 1.5}

    message = failed(json.dumps(original).encode())

    assert content(message) == {**original, "jobName": "the-job", "failInfo": FAIL_INFO}
    assert message.topic == "test.failed"
    assert message.key == b"user_1"


@pytest.mark.parametrize(
    "text",
    [
        '{"a": 1.50}',
        '{"a": 1e2}',
        '{"a": 12345678901234567890123456789}',
        '{"a":   [1 ,2]}',
        '{"a": "\\u0917\\u0923 \\/"}',
        '{"a": {"x": 1, "x": 2}}',
        '{"a": "गणित"}',
        '{"a": 0.1000000000000000055511151231257827}',
        '{"a": 1e999}',
    ],
)
def test_the_values_of_an_object_are_kept_to_the_byte(text: str) -> None:
    values = text[len('{"a":') : -1].strip().encode()

    assert values in failed(text.encode()).value


def test_fields_of_the_message_that_are_called_like_ours_give_way() -> None:
    """A replayed record that fails again has one reason, the new one."""
    message = failed(b'{"jobName": {"x": 1}, "failInfo": "old", "a": 1}')

    assert content(message) == {"a": 1, "jobName": "the-job", "failInfo": FAIL_INFO}
    assert message.value.count(b"jobName") == message.value.count(b"failInfo") == 1


@pytest.mark.parametrize(
    "text",
    ["", "no JSON", "null", "[1]", "7", '"text"', '{"a": ', '{"a": NaN}', "[" * 10_000, "\x00\x01\u2028"],
)
def test_what_is_no_object_is_kept_as_text(text: str) -> None:
    assert content(failed(text.encode())) == {"raw": text, "jobName": "the-job", "failInfo": FAIL_INFO}


@pytest.mark.parametrize("value", [b"\xff", b'{"a": "\xc3\x28"}', b"\x80" * 1_000, b'{"a": "\xed\xa0\x80"}'])
def test_what_is_no_text_is_kept_in_base64(value: bytes) -> None:
    kept = content(failed(value))

    assert kept["encoding"] == "base64"
    assert base64.b64decode(str(kept["raw"])) == value


def test_an_empty_message_has_a_record_too() -> None:
    assert content(failed(None))["raw"] == ""


def test_deep_objects_are_kept() -> None:
    value = b'{"a": ' + b"[" * 10_000 + b"]" * 10_000 + b"}"

    assert value.decode() in (content(failed(value)).get("raw"), failed(value).value.decode())


@given(st.one_of(st.binary(), st.text().map(str.encode)))
@settings(deadline=None)
def test_any_message_makes_a_record_from_which_it_can_be_had_again(value: bytes) -> None:
    kept = content(failed(value))

    assert kept["failInfo"] == FAIL_INFO
    if kept.get("encoding") == "base64":
        assert base64.b64decode(str(kept["raw"])) == value
    elif "raw" in kept:
        assert str(kept["raw"]).encode() == value


@given(st.dictionaries(words.filter(lambda name: name not in OURS), trees))
@settings(deadline=None)
def test_any_object_is_the_record_without_our_two_fields(original: dict[str, object]) -> None:
    kept = content(failed(json.dumps(original).encode()))

    assert {name: value for name, value in kept.items() if name not in OURS} == original


def test_headers_say_where_the_message_lies_and_why_it_failed() -> None:
    assert dict(failed(b"{}").headers) == {
        "lern-job": b"the-job",
        "lern-topic": b"test.in",
        "lern-partition": b"3",
        "lern-offset": b"41",
        "lern-error-code": b"ERR_INVALID_EVENT",
        "lern-attempts": b"1",
        "lern-failed-at": b"1709287200123",
    }


def test_attempts_grow_with_every_replay() -> None:
    message = failed(update("do_1"))
    for attempt in range(2, 12):
        again = Record("test.in", 0, attempt, message.key, message.value, message.headers)
        message = failed_record(again, "the-job", Refused("NO", "why"), "test.failed", FAILED_AT)
        assert header(message, "lern-attempts") == str(attempt).encode()
        assert content(message)["failInfo"] == {"errorCode": "NO", "error": "why"}


@pytest.mark.parametrize(
    "garbage",
    [None, b"", b"x", b"-1", b"1.5", b"\xff", b"9" * 5_000, "٣".encode()],
    ids=["none", "empty", "letter", "negative", "float", "no text", "5,000 digits", "other digits"],
)
def test_attempts_that_are_no_number_count_from_one(garbage: bytes | None) -> None:
    assert header(failed(b"{}", ("lern-attempts", garbage)), "lern-attempts") == b"1"


def test_without_its_content_a_record_still_says_why_and_where() -> None:
    full = failed(b'{"a": "%s"}' % (b"x" * 1_000_000))

    short = without_content(full)

    assert content(short) == {"leftOutBytes": len(full.value), "jobName": "the-job", "failInfo": FAIL_INFO}
    assert (short.topic, short.key, short.headers) == (full.topic, full.key, full.headers)
    assert len(short.value) < 300
