"""Failed records: the original, the reason, and all that is needed to send it again (contracts, section 3)."""

import base64
import json
from contextlib import suppress

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.events import update

from lern.errors import BadEvent, Refused
from lern.job import Message, Place, Record
from lern.wire.failed import again, failed_record, original, read_failed, without_content

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


# --- Reading them, and the way back ----------------------------------------------------------------------------------

raw_words = st.sampled_from(["raw", "encoding", "leftOutBytes", "a"])
stand_ins = st.dictionaries(raw_words, st.one_of(words, st.sampled_from(["base64", "eA==", 7])), max_size=3)


def lying(message: Message, offset: int = 5) -> Record:
    """A message as it lies in its topic."""
    return Record(message.topic, 1, offset, message.key, message.value, message.headers, 1709287200999)


@given(st.one_of(st.binary(), st.text().map(str.encode), stand_ins.map(json.dumps).map(str.encode)))
@settings(deadline=None)
def test_any_bytes_come_back_as_the_same_bytes_or_the_same_object(value: bytes) -> None:
    back = original(lying(failed(value)))

    try:
        was_object = isinstance(json.loads(value), dict)
    except ValueError:
        was_object = False
    if was_object:
        assert json.loads(back) == json.loads(value)
    else:
        assert back == value


@given(st.dictionaries(words.filter(lambda name: name not in OURS), trees))
@settings(deadline=None)
def test_any_object_comes_back_as_the_same_object_however_often_it_fails(value: dict[str, object]) -> None:
    message = failed(json.dumps(value).encode())
    for attempt in range(2, 5):
        message = failed_record(
            lying(again(lying(message), "test.in")), "the-job", Refused("NO", "why"), "test.failed", FAILED_AT
        )
        assert header(message, "lern-attempts") == str(attempt).encode()

    assert json.loads(original(lying(message))) == value


@given(
    st.binary(),
    st.lists(st.tuples(st.sampled_from(["lern-job", "lern-topic", "lern-attempts", "x"]), st.binary())),
)
@settings(deadline=None)
def test_whatever_lies_on_a_failed_topic_can_be_looked_at(
    value: bytes, headers: list[tuple[str, bytes | None]]
) -> None:
    strange = record(value, tuple(headers))

    assert read_failed(strange).attempts >= 1
    with suppress(BadEvent):
        assert isinstance(original(strange), bytes)


@given(st.dictionaries(st.sampled_from(["jobName", "failInfo", "raw", "encoding", "leftOutBytes"]), trees))
@settings(deadline=None)
def test_whatever_objects_lie_on_a_failed_topic_can_be_looked_at(value: dict[str, object]) -> None:
    strange = record(json.dumps(value).encode())

    assert isinstance(read_failed(strange).reason, str)
    with suppress(BadEvent):
        assert isinstance(original(strange), bytes)


def test_a_record_says_what_its_headers_and_its_reason_say() -> None:
    found = read_failed(lying(failed(b"{}", ("lern-attempts", b"3"))))

    assert found.place == Place("test.failed", 1, 5)
    assert (found.job, found.code, found.reason) == ("the-job", FAIL_INFO["errorCode"], FAIL_INFO["error"])
    assert (found.topic, found.partition, found.offset) == ("test.in", "3", "41")
    assert (found.attempts, found.at) == (4, 1709287200999)


def test_a_record_of_an_original_job_says_what_its_fields_say() -> None:
    value = {"edata": {"a": 1}, "jobName": "old", "failInfo": {"errorCode": "X", "error": "why\nat line 1"}}

    found = read_failed(record(json.dumps(value).encode()))

    assert (found.job, found.code, found.reason) == ("old", "X", "why\nat line 1")
    assert (found.topic, found.attempts) == ("", 1)
    assert original(record(json.dumps(value).encode())) == b'{"edata":{"a": 1}}'


@pytest.mark.parametrize("value", [b"", b"no JSON", b"[1]", b"\xff", b"[" * 100_000, b'{"a": \xff}'])
def test_what_is_no_object_on_a_failed_topic_cannot_be_sent_again(value: bytes) -> None:
    assert read_failed(record(value)).reason == ""
    with pytest.raises(BadEvent, match="no JSON object"):
        original(record(value))


@pytest.mark.parametrize(
    ("value", "why"),
    [
        ({"leftOutBytes": 7}, "left out"),
        ({"raw": 5}, "neither text nor base64"),
        ({"raw": "x", "encoding": "hex"}, "neither text nor base64"),
        ({"raw": "%%", "encoding": "base64"}, "not base64"),
        ({"raw": "é", "encoding": "base64"}, "not base64"),
    ],
)
def test_what_stands_for_no_message_cannot_be_sent_again(value: dict[str, object], why: str) -> None:
    with pytest.raises(BadEvent, match=why):
        original(record(json.dumps(value).encode()))


def test_a_message_that_looked_like_a_stand_in_and_was_too_large_is_not_taken_for_its_stand_in() -> None:
    full = failed(b'{"raw": "%s"}' % (b"x" * 1000))
    assert json.loads(original(lying(full))) == {"raw": "x" * 1000}

    with pytest.raises(BadEvent, match="left out"):
        original(lying(without_content(full)))


def test_a_message_goes_back_with_its_key_and_the_number_of_its_failures() -> None:
    back = again(lying(failed(b'{"a": 1}', ("lern-attempts", b"2"))), "elsewhere")

    assert back == Message("elsewhere", b"user_1", b'{"a":1}', (("lern-attempts", b"3"),))
