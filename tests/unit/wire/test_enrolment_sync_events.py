"""Topic `batch.enrolment.sync.request`: one action is handled, all else is skipped, what is wrong is said."""

import pytest
from tests.events import Json, request, sync, user_sync

from lern.domain.model import BatchId, CourseId, EnrolmentKey, UserId
from lern.errors import BadEvent
from lern.job import Skipped
from lern.wire.course_batch import SyncEvent
from lern.wire.enrolment_sync import decode

_EDATA: Json = {"action": "user-enrolment-sync", "userId": "u", "courseId": "c", "batchId": "b"}


def test_a_request_names_an_enrolment() -> None:
    assert decode(user_sync("u", "c", "b")) == SyncEvent(
        EnrolmentKey(UserId("u"), CourseId("c"), BatchId("b"))
    )


@pytest.mark.parametrize("action", ["USER-ENROLMENT-SYNC", "User-Enrolment-Sync"])
def test_the_action_may_be_in_any_case(action: str) -> None:
    assert isinstance(decode(request(_EDATA | {"action": action})), SyncEvent)


@pytest.mark.parametrize(
    "action", ["batch-enrolment-sync", "batch-enrolment-update", "user-enrolment-sync ", ""]
)
def test_another_action_is_skipped_whatever_else_it_holds(action: str) -> None:
    assert isinstance(decode(request({"action": action})), Skipped)
    assert isinstance(decode(sync()), Skipped)


@pytest.mark.parametrize("field", ["userId", "courseId", "batchId"])
@pytest.mark.parametrize(
    ("value", "fault"),
    [
        (None, "expected text, got null"),
        (7, "expected text, got a whole number"),
        (" ", "expected an identifier: not blank, no control characters, at most 512 characters"),
        ("a\x00b", "expected an identifier: not blank, no control characters, at most 512 characters"),
    ],
)
def test_a_wrong_field_is_named(field: str, value: object, fault: str) -> None:
    with pytest.raises(BadEvent) as raised:
        decode(request(_EDATA | {field: value}))
    assert raised.value.reason == f"edata.{field}: {fault}"


@pytest.mark.parametrize("field", ["userId", "courseId", "batchId"])
def test_a_missing_field_is_named(field: str) -> None:
    with pytest.raises(BadEvent, match=rf"^edata\.{field}: missing$"):
        decode(request({name: value for name, value in _EDATA.items() if name != field}))
