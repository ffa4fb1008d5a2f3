"""Topic `telemetry.assess`: what is read, what is wrong and how that is said (contracts, section 2)."""

import json
from collections.abc import Callable
from datetime import UTC, datetime

import pytest
from tests.events import Json, answer, assessment

from lern.errors import BadEvent
from lern.job import Question
from lern.wire.assessment import decode

MADE = datetime(2024, 3, 1, 9, 59, 10, tzinfo=UTC)
"""1709287150000."""


def reason(value: bytes) -> str:
    with pytest.raises(BadEvent) as bad:
        decode(value)
    assert bad.value.code == "ERR_INVALID_EVENT"
    return bad.value.reason


def changed(**fields: object) -> bytes:
    """An attempt whose only answer has other fields of `edata`."""
    event = answer()
    edata = event["edata"]
    assert isinstance(edata, dict)
    return assessment(event | {"edata": edata | fields})


def item(**fields: object) -> bytes:
    """An attempt whose only answer has other fields of `edata.item`."""
    edata = answer()["edata"]
    assert isinstance(edata, dict)
    return changed(item=edata["item"] | fields)


def without(event: Json, *path: str) -> Json:
    """A copy without a field."""
    copy: Json = json.loads(json.dumps(event))
    inner = copy
    for name in path[:-1]:
        inner = inner[name]  # type: ignore[assignment]  # the tests' own objects
    del inner[path[-1]]
    return copy


def test_an_attempt_names_everything_that_is_stored_of_it() -> None:
    event = decode(assessment(answer("q1", 1.5, 2, 1709287100123)))

    assert event.enrolment == ("user_1", "course_1", "batch_1")
    assert (event.content, event.attempt, event.attempted_on) == ("quiz_1", "attempt_1", MADE)
    assert event.answers == [
        Question(
            id="q1",
            assess_ts=datetime(2024, 3, 1, 9, 58, 20, 123000, tzinfo=UTC),
            max_score=2.0,
            score=1.5,
            type="mcq",
            title="Title of q1",
            resvalues=[{"1": '{"text":"A"}'}],
            params=[{"1": '{"text":"A"}'}, {"answer": '{"correct":["1"]}'}],
            description="",
            duration="4",
        )
    ]


@pytest.mark.parametrize("at", [1709287150000, 1709287150000.0, "1709287150000", "1709287150000.0"])
def test_times_may_be_numbers_floats_or_text(at: object) -> None:
    event = decode(assessment(answer(ets=at), at=at))

    assert event.attempted_on == event.answers[0].assess_ts == MADE


@pytest.mark.parametrize("number", [2, 2.0, "2", "2.0"])
def test_scores_may_be_numbers_floats_or_text(number: object) -> None:
    [question] = decode(assessment(answer(score=number, maximum=number))).answers

    assert (question.score, question.max_score) == (2.0, 2.0)


@pytest.mark.parametrize(
    ("duration", "stored"), [(5, "5"), (5.25, "5.25"), ("7", "7"), (None, "0"), (0, "0")]
)
def test_a_duration_may_be_any_number_or_none(duration: object, stored: str) -> None:
    assert decode(changed(duration=duration)).answers[0].duration == stored


@pytest.mark.parametrize("events", [None, []])
def test_an_attempt_without_answers_has_none(events: object) -> None:
    assert decode(assessment(events=events)).answers == []
    assert decode(json.dumps(without(json.loads(assessment()), "events")).encode()).answers == []


def test_a_value_that_is_no_text_is_its_json_text() -> None:
    values: Json = {
        "text": "A",
        "int": 1,
        "float": 1.50,
        "null": None,
        "bool": True,
        "list": [1, "b"],
        "map": {"c": {}},
    }
    value = changed(resvalues=[values, {}]).replace(b'"int": 1,', b'"int": 10000000000000000000000000,')

    assert decode(value).answers[0].resvalues == [
        {
            "text": "A",
            "int": "10000000000000000000000000",
            "float": "1.5",
            "null": "null",
            "bool": "true",
            "list": '[1, "b"]',
            "map": '{"c": {}}',
        },
        {},
    ]


def test_texts_in_maps_are_as_their_writer_meant_them() -> None:
    values = {"पाठ": 'a "quote", a \\ and a \n', "": "\u00e9😀"}

    assert decode(item(params=[values])).answers[0].params == [values]


@pytest.mark.parametrize("field", ["type", "title", "desc", "params"])
def test_what_only_describes_a_question_may_be_missing(field: str) -> None:
    bare = without(answer(), "edata", "item", field)

    assert decode(assessment(bare)).answers[0].id == "q1"
    assert decode(item(**{field: None})).answers[0].id == "q1"


def test_what_a_learner_has_answered_and_how_long_it_took_may_be_missing() -> None:
    bare = without(without(answer(), "edata", "resvalues"), "edata", "duration")

    [question] = decode(assessment(bare)).answers
    assert (question.resvalues, question.duration) == ([], "0")


def test_unknown_fields_are_ignored() -> None:
    assert decode(assessment(answer() | {"new": [{}]}, more={"deep": [None]})).answers


@pytest.mark.parametrize("field", ["assessmentTs", "batchId", "courseId", "userId", "attemptId", "contentId"])
def test_a_missing_field_is_named(field: str) -> None:
    assert reason(json.dumps(without(json.loads(assessment()), field)).encode()) == f"{field}: missing"


@pytest.mark.parametrize(
    "path",
    [
        ("ets",),
        ("edata",),
        ("edata", "score"),
        ("edata", "item"),
        ("edata", "item", "id"),
        ("edata", "item", "maxscore"),
    ],
)
def test_a_missing_field_of_an_answer_is_named_with_its_place(path: tuple[str, ...]) -> None:
    value = assessment(answer("q0"), without(answer(), *path))

    assert reason(value) == f"events[1].{'.'.join(path)}: missing"


@pytest.mark.parametrize("field", ["batchId", "courseId", "userId", "attemptId", "contentId"])
@pytest.mark.parametrize("value", [None, 7, [], {}, "", " ", "a\x00b", "x" * 513])
def test_what_is_no_identifier_is_named(field: str, value: object) -> None:
    event = json.loads(assessment(answer())) | {field: value}

    assert reason(json.dumps(event).encode()).startswith(f"{field}: ")


@pytest.mark.parametrize("at", [None, True, "soon", "", [], -1, 253402300800000, "1e400", "nan", "inf"])
def test_what_is_no_time_is_named(at: object) -> None:
    assert reason(assessment(answer(), at=at)).startswith("assessmentTs: ")
    assert reason(assessment(answer(ets=at))).startswith("events[0].ets: ")


@pytest.mark.parametrize("score", [None, True, "good", "", [], {}, "nan", "inf", 1e16, "1e400"])
def test_what_is_no_score_is_named(score: object) -> None:
    assert reason(assessment(answer(score=score))).startswith("events[0].edata.score: ")
    assert reason(assessment(answer(maximum=score))).startswith("events[0].edata.item.maxscore: ")


@pytest.mark.parametrize("wrong", ["text", 7, {}, [7], ["text"], [None], [[]]])
def test_what_is_no_list_of_maps_is_named(wrong: object) -> None:
    assert reason(changed(resvalues=wrong)).startswith("events[0].edata.resvalues")
    assert reason(item(params=wrong)).startswith("events[0].edata.item.params")


def test_a_reason_says_what_was_expected() -> None:
    assert reason(assessment(answer(score=[]))) == "events[0].edata.score: expected a number, got a list"
    assert reason(changed(duration="long")) == "events[0].edata.duration: expected a number or null, got text"


@pytest.mark.parametrize("events", ["text", 7, {}, [None], ["text"], [[]]])
def test_what_is_no_list_of_events_is_named(events: object) -> None:
    assert reason(assessment(events=events)).startswith("events")


@pytest.mark.parametrize("duration", [True, "long", {}, 1e16, "nan"])
def test_what_is_no_duration_is_named(duration: object) -> None:
    assert reason(changed(duration=duration)).startswith("events[0].edata.duration: ")


@pytest.mark.parametrize(
    "garbage", [b'"\xff"', b'["\xff"]', b'{"a": "\xc3\x28"}', b'"\\ud800"', b'"\\u12"', b"tru", b"'a'"]
)
def test_a_value_in_a_map_that_is_no_json_makes_the_message_none(garbage: bytes) -> None:
    value = changed(resvalues=[{"1": 4711}]).replace(b"4711", garbage)

    assert "not JSON" in reason(value)


@pytest.mark.parametrize("value", [b"", b"[]", b"null", b"no JSON", b"\xff", b'"text"', b"{", b"7"])
def test_what_is_no_object_is_said(value: bytes) -> None:
    assert reason(value)


def nested_list(depth: int) -> bytes:
    return b"[" * depth + b"]" * depth


def nested_object(depth: int) -> bytes:
    return b'{"a":' * depth + b"1" + b"}" * depth


@pytest.mark.parametrize("nested", [nested_list, nested_object])
def test_nesting_without_end_is_a_bad_event(nested: Callable[[int], bytes]) -> None:
    reason(changed(resvalues=[{"1": 4711}]).replace(b"4711", nested(10_000)))


def test_a_thousand_answers_are_read() -> None:
    assert len(decode(assessment(*(answer(f"q{number}") for number in range(1_000)))).answers) == 1_000
