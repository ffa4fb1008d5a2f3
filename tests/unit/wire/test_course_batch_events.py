"""Topic `coursebatch.job.request`: what is read, what is skipped, what is wrong and how that is said."""

import json
from collections.abc import Callable

import pytest
from tests.events import Json, request, sync, update

from lern.errors import BadEvent
from lern.job import Skipped
from lern.wire.course_batch import SyncEvent, UpdateEvent, decode


def edata(**changes: object) -> Json:
    fields: Json = {
        "action": "batch-enrolment-update",
        "userId": "user_1",
        "courseId": "course_1",
        "batchId": "batch_1",
        "contents": [{"contentId": "do_1", "status": 2}],
    }
    return fields | changes


def without(field: str) -> Json:
    return {name: value for name, value in edata().items() if name != field}


def reason(value: bytes) -> str:
    with pytest.raises(BadEvent) as bad:
        decode(value)
    assert bad.value.code == "ERR_INVALID_EVENT"
    return bad.value.reason


def read(value: bytes) -> UpdateEvent:
    event = decode(value)
    assert isinstance(event, UpdateEvent)
    return event


def is_skipped(value: bytes) -> bool:
    return isinstance(decode(value), Skipped)


def test_an_update_names_the_enrolment_and_the_completed_contents() -> None:
    event = read(
        request(edata(contents=[{"contentId": "do_1", "status": 2}, {"contentId": "do_2", "status": 1}]))
    )

    assert event.enrolment == ("user_1", "course_1", "batch_1")
    assert event.completed == ["do_1"]


def test_a_sync_names_the_enrolment() -> None:
    event = decode(sync())

    assert isinstance(event, SyncEvent)
    assert event.enrolment == ("user_1", "course_1", "batch_1")


def test_only_edata_is_needed() -> None:
    assert read(json.dumps({"edata": edata()}).encode()).completed == ["do_1"]


def test_unknown_fields_are_ignored_everywhere() -> None:
    contents = [{"contentId": "do_1", "status": 2, "lastAccessTime": "2022", "deep": {"a": [None, {}]}}]

    assert read(json.dumps({"new": [], "edata": edata(contents=contents, more=1.5)}).encode()).completed


@pytest.mark.parametrize(
    "envelope",
    [
        {"ets": "1709287200123"},
        {"ets": 1.7e12},
        {"ets": None},
        {"mid": 7},
        {"actor": "nobody"},
        {"object": []},
        {"eid": "OTHER"},
    ],
)
def test_what_the_envelope_holds_does_not_matter(envelope: Json) -> None:
    assert read(json.dumps({**envelope, "edata": edata()}).encode()).completed == ["do_1"]


@pytest.mark.parametrize("action", ["BATCH-ENROLMENT-UPDATE", "Batch-Enrolment-Update"])
def test_the_action_may_be_in_any_case(action: str) -> None:
    assert read(request(edata(action=action))).completed == ["do_1"]


@pytest.mark.parametrize(
    "action", ["", " ", "issue-certificate", "batch-enrolment-updates", "user-enrolment-sync"]
)
def test_other_actions_are_skipped_whatever_else_they_hold(action: str) -> None:
    assert isinstance(decode(request({"action": action, "userId": 5})), Skipped)


@pytest.mark.parametrize("status", [2, 2.0, "2"])
def test_numbers_may_be_floats_or_text(status: object) -> None:
    assert read(request(edata(contents=[{"contentId": "do_1", "status": status}]))).completed == ["do_1"]


@pytest.mark.parametrize("status", [0, 1, -1, 3, "1", 1.0, 10**30])
def test_an_update_without_a_completed_content_is_skipped(status: object) -> None:
    assert is_skipped(request(edata(contents=[{"contentId": "do_1", "status": status}])))


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (b"", "not JSON"),
        (b"no JSON", "not JSON"),
        (b'{"edata":', "not JSON"),
        (b'{"edata": {"action": "batch-enrolment-update",}}', "not JSON"),
        (b'{"name": "Say "Hello"", "edata": {}}', "not JSON"),
        (b"\x00", "not JSON"),
        (b"\xff\xfe\x00", "not JSON"),
        (b"\xef\xbb\xbf{}", "not JSON"),
        (update("do_1").replace(b"user_1", b"user_\xc3\x28"), "not JSON"),
        (update("do_1").replace(b"user_1", b"user_\x00"), "not JSON"),
        (update("do_1").replace(b'"userId": "user_1"', b'"userId": "\\ud800"'), "not JSON"),
        (update("do_1").replace(b'"userId": "user_1"', b'"userId": "\\udc00\\ud800"'), "not JSON"),
        (b"null", "object"),
        (b"[]", "object"),
        (b"7", "object"),
        (b"1.5", "object"),
        (b"true", "object"),
        (b'"text"', "object"),
        (b"{}", "edata: missing"),
        (b'{"edata": null}', "edata: "),
        (b'{"edata": []}', "edata: "),
        (b'{"edata": {}}', "edata.action: missing"),
        (b'{"edata": {"action": 7}}', "edata.action: "),
        (b'{"edata": {"action": null}}', "edata.action: "),
    ],
)
def test_what_is_no_event_is_said(value: bytes, said: str) -> None:
    assert said in reason(value)


@pytest.mark.parametrize("field", ["userId", "courseId", "batchId", "contents"])
def test_a_missing_field_is_named(field: str) -> None:
    assert reason(request(without(field))) == f"edata.{field}: missing"


@pytest.mark.parametrize("field", ["userId", "courseId", "batchId"])
def test_a_sync_names_its_missing_fields_too(field: str) -> None:
    fields = without(field) | {"action": "batch-enrolment-sync"}

    assert reason(request(fields)) == f"edata.{field}: missing"


@pytest.mark.parametrize("field", ["userId", "courseId", "batchId"])
@pytest.mark.parametrize("value", [None, 7, 1.5, True, [], {}, ["user_1"]])
def test_a_field_of_the_wrong_type_is_named(field: str, value: object) -> None:
    assert reason(request(edata(**{field: value}))).startswith(f"edata.{field}: ")


@pytest.mark.parametrize("field", ["userId", "courseId", "batchId"])
@pytest.mark.parametrize(
    "value",
    ["", " ", "\t", "\u00a0\u2003", "a\x00b", "a\nb", "a\x7fb", "a" * 513, "a" * 1_000_000, " " * 1_000_000],
    ids=["empty", "blank", "tab", "wide blank", "NUL", "line", "DEL", "long", "1 MB", "1 MB blank"],
)
def test_what_is_no_identifier_is_named_and_not_repeated(field: str, value: str) -> None:
    said = reason(request(edata(**{field: value})))

    assert said.startswith(f"edata.{field}: ")
    assert len(said) < 200


@pytest.mark.parametrize("value", ["a", "a" * 512, "do_21", "उपयोगकर्ता", "a b", "a|b:c", "😀"])
def test_identifiers_may_be_of_any_script(value: str) -> None:
    assert read(request(edata(userId=value))).enrolment.user == value


@pytest.mark.parametrize("value", [None, {}, "do_1", 7])
def test_contents_that_are_no_list_are_named(value: object) -> None:
    assert reason(request(edata(contents=value))).startswith("edata.contents: ")


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (None, r"edata.contents[1]: "),
        ("do_1", r"edata.contents[1]: "),
        ({}, "edata.contents[1].contentId: missing"),
        ({"contentId": "do_1"}, "edata.contents[1].status: missing"),
        ({"contentId": 7, "status": 2}, "edata.contents[1].contentId: "),
        ({"contentId": " ", "status": 2}, "edata.contents[1].contentId: "),
        ({"contentId": "do_1", "status": None}, "edata.contents[1].status: "),
        ({"contentId": "do_1", "status": 2.5}, "edata.contents[1].status: "),
        ({"contentId": "do_1", "status": "done"}, "edata.contents[1].status: "),
        ({"contentId": "do_1", "status": ""}, "edata.contents[1].status: "),
        ({"contentId": "do_1", "status": True}, "edata.contents[1].status: "),
        ({"contentId": "do_1", "status": [2]}, "edata.contents[1].status: "),
    ],
)
def test_what_is_wrong_with_a_content_is_said_with_its_place(content: object, said: str) -> None:
    assert reason(request(edata(contents=[{"contentId": "do_1", "status": 2}, content]))).startswith(said)


@pytest.mark.parametrize("number", [b"1" * 5_000, b"1e400", b"-1e400", b"9" * 400 + b".5", b"2.5", b"1e300"])
def test_numbers_beyond_all_bounds_are_named(number: bytes) -> None:
    value = request(edata()).replace(b'"status": 2', b'"status": ' + number)

    assert reason(value).startswith("edata.contents[0].status: ")


@pytest.mark.parametrize("number", [b"9" * 4_000, b"-0", b"0.0"])
def test_large_numbers_are_numbers(number: bytes) -> None:
    value = request(edata()).replace(b'"status": 2', b'"status": ' + number)

    assert is_skipped(value)


def nested_list(depth: int) -> bytes:
    return b"[" * depth + b"]" * depth


def nested_object(depth: int) -> bytes:
    return b'{"a":' * depth + b"1" + b"}" * depth


@pytest.mark.parametrize("nested", [nested_list, nested_object])
@pytest.mark.parametrize("place", [b"%s", b'{"new": %s}', b'{"edata": %s}', b'{"edata": {"userId": %s}}'])
def test_nesting_without_end_is_a_bad_event(nested: Callable[[int], bytes], place: bytes) -> None:
    reason(place % nested(10_000))


def test_an_update_of_a_megabyte_is_read() -> None:
    contents = [{"contentId": f"do_{number}", "status": 2, "name": "x" * 100} for number in range(8_000)]

    assert len(read(request(edata(contents=contents))).completed) == 8_000
