"""A reason names fields and what was expected; what the event holds never appears in it."""

import json
from collections.abc import Callable

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from tests.events import COLLECTION

from lern.errors import BadEvent
from lern.wire import assessment, course_batch, publish

PRIVATE = "Asha-Devi"
NUMBER = 9876543210
TELLTALES = (PRIVATE, PRIVATE.lower(), str(NUMBER))

private = st.one_of(
    st.just(PRIVATE),
    st.just(NUMBER),
    st.just(NUMBER + 0.5),
    st.just({PRIVATE: PRIVATE}),
    st.just([PRIVATE, NUMBER]),
    st.just(f"\x00{PRIVATE}\n"),
    st.just(f"\ud800{PRIVATE}"),
    st.just(PRIVATE * 1_000),
)


def event(action: object, status: object, **fields: object) -> dict[str, object]:
    contents = [{"contentId": fields.get("contentId", "do_1"), "status": status, PRIVATE: PRIVATE}]
    edata: dict[str, object] = {
        "action": action,
        "userId": "u",
        "courseId": "c",
        "batchId": "b",
        "identifier": "c",
        "mimeType": COLLECTION,
        "contents": contents,
        "name": PRIVATE,
    }
    item = {"id": "q", "maxscore": status, "title": PRIVATE, "params": [{PRIVATE: PRIVATE}]} | fields
    answer = {"ets": status, "edata": {"score": status, "item": item, "resvalues": [{"1": PRIVATE}]} | fields}
    attempt = {"assessmentTs": status, "attemptId": "a", "contentId": "x", "events": [answer]}
    learner = {"userId": "u", "courseId": "c", "batchId": "b"}
    return {"edata": edata | fields, PRIVATE: NUMBER} | learner | attempt | fields


def rejection(decode: Callable[[bytes], object], value: bytes) -> str:
    """All that is said of a bad event; nothing of one in order."""
    try:
        decode(value)
    except BadEvent as bad:
        return f"{bad.code} {bad.reason}"
    return ""


actions = st.sampled_from(["batch-enrolment-update", "batch-enrolment-sync", "post-publish-process"])
fields = st.sampled_from(
    [
        *("userId", "courseId", "batchId", "identifier", "mimeType", "contents", "contentId"),
        *("assessmentTs", "attemptId", "events", "score", "item", "resvalues", "params", "desc"),
    ]
)


@pytest.mark.parametrize("decode", [course_batch.decode, publish.decode, assessment.decode])
@given(
    action=st.one_of(actions, actions, private),
    status=st.one_of(st.just(2), private),
    changes=st.dictionaries(fields, private, max_size=3),
    cut=st.one_of(st.none(), st.integers(0, 400)),
    broken=st.one_of(st.none(), st.tuples(st.integers(0, 400), st.binary(min_size=1, max_size=2))),
)
@settings(max_examples=150, deadline=None)
@example(action=PRIVATE, status=2, changes={}, cut=None, broken=None)
def test_no_value_of_an_event_is_in_the_reason(
    decode: Callable[[bytes], object],
    action: object,
    status: object,
    changes: dict[str, object],
    cut: int | None,
    broken: tuple[int, bytes] | None,
) -> None:
    value = json.dumps(event(action, status, **changes)).encode()[:cut]
    if broken:
        at, garbage = broken
        value = value[:at] + garbage + value[at:]
    said = rejection(decode, value)

    assert not any(telltale in said for telltale in TELLTALES)
    assert len(said) < 300


@given(st.binary(max_size=200))
@settings(max_examples=300, deadline=None)
def test_whatever_the_bytes_are_they_are_an_event_or_a_bad_one(value: bytes) -> None:
    for decode in (course_batch.decode, publish.decode, assessment.decode):
        assert rejection(decode, value).isprintable()
