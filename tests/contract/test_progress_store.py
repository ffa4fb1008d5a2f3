"""What the reads of enrolments and consumption promise (`ports.ProgressStore`)."""

import uuid
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lern.domain.model import BatchId, Consumption, CourseId, Enrolment, EnrolmentKey, UserId

if TYPE_CHECKING:
    from tests.contract.conftest import Installation

_CONSUMPTION = "user_content_consumption"
_ENROLMENTS = "user_enrolments"


def row(key: EnrolmentKey, **columns: object) -> dict[str, object]:
    return {"userid": key.user, "courseid": key.course, "batchid": key.batch, **columns}


def test_asking_for_nothing_finds_nothing(installation: "Installation") -> None:
    assert not installation.progress.enrolments([])
    assert not installation.progress.consumption([])


def test_what_is_not_there_is_not_found(installation: "Installation", enrolment: EnrolmentKey) -> None:
    assert not installation.progress.enrolments([enrolment])
    assert not installation.progress.consumption([enrolment]).get(enrolment)


def test_an_enrolment_has_status_and_completion_to_the_millisecond(
    installation: "Installation", enrolment: EnrolmentKey
) -> None:
    completed = datetime(2026, 2, 28, 23, 59, 59, 123000, UTC)
    installation.put(_ENROLMENTS, [row(enrolment, status=2, completedon=completed)])

    found = installation.progress.enrolments([enrolment])

    assert found == {enrolment: Enrolment(2, completed)}
    assert found[enrolment].completed_on.utcoffset() == timedelta(0)  # type: ignore[union-attr]  # it is equal to a time


@pytest.mark.parametrize("milliseconds", [-1, 0, 1, 999, 1_234_567_890_123, 4_102_444_799_999])
def test_no_millisecond_of_a_completion_is_lost(
    installation: "Installation", enrolment: EnrolmentKey, milliseconds: int
) -> None:
    completed = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=milliseconds)
    installation.put(_ENROLMENTS, [row(enrolment, completedon=completed)])

    assert installation.progress.enrolments([enrolment])[enrolment].completed_on == completed


def test_an_enrolment_of_key_columns_alone_is_not_started(
    installation: "Installation", enrolment: EnrolmentKey
) -> None:
    installation.put(_ENROLMENTS, [row(enrolment)])

    assert installation.progress.enrolments([enrolment]) == {enrolment: Enrolment(0, None)}


def test_nulls_in_consumption_read_as_in_progress_and_zero(
    installation: "Installation", enrolment: EnrolmentKey
) -> None:
    installation.put(_CONSUMPTION, [row(enrolment, contentid="do_bare")])
    installation.put(_CONSUMPTION, [row(enrolment, contentid="do_views", viewcount=3)])
    installation.put(
        _CONSUMPTION, [row(enrolment, contentid="do_full", status=0, viewcount=5, completedcount=4)]
    )

    assert installation.progress.consumption([enrolment]) == {
        enrolment: {
            "do_bare": Consumption(1, 0, 0),
            "do_views": Consumption(1, 3, 0),
            "do_full": Consumption(0, 5, 4),
        }
    }


def test_a_key_that_is_asked_for_twice_is_found_once(
    installation: "Installation", enrolment: EnrolmentKey
) -> None:
    installation.put(_ENROLMENTS, [row(enrolment, status=1)])
    installation.put(_CONSUMPTION, [row(enrolment, contentid="do_1", status=2)])

    assert installation.progress.enrolments([enrolment, enrolment]) == {enrolment: Enrolment(1)}
    assert installation.progress.consumption([enrolment, enrolment]) == {enrolment: {"do_1": Consumption(2)}}


def test_rows_of_other_learners_courses_and_batches_stay_out(
    installation: "Installation", enrolment: EnrolmentKey
) -> None:
    others = [
        enrolment._replace(user=UserId(f"{enrolment.user}x")),
        enrolment._replace(course=CourseId(f"{enrolment.course}x")),
        enrolment._replace(batch=BatchId(f"{enrolment.batch}x")),
    ]
    installation.put(_ENROLMENTS, [row(key, status=2) for key in others])
    installation.put(_CONSUMPTION, [row(key, contentid="do_1", status=2) for key in others])

    assert not installation.progress.enrolments([enrolment])
    assert not installation.progress.consumption([enrolment]).get(enrolment)


@settings(max_examples=20, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(data=st.data(), learners=st.integers(1, 30), courses=st.integers(1, 4), batches=st.integers(1, 3))
def test_whatever_is_asked_together_the_same_is_found_as_alone(
    installation: "Installation", data: st.DataObject, learners: int, courses: int, batches: int
) -> None:
    some = uuid.uuid4().hex
    keys = [
        EnrolmentKey(UserId(f"{some}-{user}"), CourseId(f"do_{course}"), BatchId(f"b_{batch}"))
        for user in range(learners)
        for course in range(courses)
        for batch in range(batches)
    ]
    chosen = st.lists(st.sampled_from(keys), unique=True, max_size=80)
    there, asked = data.draw(chosen), data.draw(chosen)
    if there:
        installation.put(_ENROLMENTS, [row(key, status=1) for key in there])
        installation.put(_CONSUMPTION, [row(key, contentid=f"c-{key.course}", status=2) for key in there])

    both = set(there) & set(asked)
    assert installation.progress.enrolments(asked) == {key: Enrolment(1) for key in both}
    consumption = installation.progress.consumption(asked)
    assert {key: contents for key, contents in consumption.items() if contents} == {
        key: {f"c-{key.course}": Consumption(2)} for key in both
    }


def test_thousands_of_learners_at_once(installation: "Installation", enrolment: EnrolmentKey) -> None:
    keys = [enrolment._replace(user=UserId(f"{enrolment.user}-{number}")) for number in range(3_000)]
    installation.put(_ENROLMENTS, [row(key, status=number % 3) for number, key in enumerate(keys)])

    found = installation.progress.enrolments(keys)

    assert found == {key: Enrolment(number % 3) for number, key in enumerate(keys)}


def test_a_learner_with_twenty_thousand_contents(
    installation: "Installation", enrolment: EnrolmentKey
) -> None:
    other = enrolment._replace(user=UserId(f"{enrolment.user}x"))
    contents = [f"do_{number:05}" for number in range(20_000)]
    installation.put(
        _CONSUMPTION,
        (row(enrolment, contentid=content, viewcount=number) for number, content in enumerate(contents)),
    )
    installation.put(_CONSUMPTION, [row(other, contentid="do_1")])

    assert installation.progress.consumption([enrolment, other]) == {
        enrolment: {content: Consumption(1, number) for number, content in enumerate(contents)},
        other: {"do_1": Consumption()},
    }


def test_ids_may_hold_anything(installation: "Installation", enrolment: EnrolmentKey, odd: str) -> None:
    key = EnrolmentKey(UserId(enrolment.user + odd), CourseId(odd), BatchId(odd))
    installation.put(_ENROLMENTS, [row(key, status=1)])
    installation.put(_CONSUMPTION, [row(key, contentid=odd, status=2)])

    assert installation.progress.enrolments([key]) == {key: Enrolment(1)}
    assert installation.progress.consumption([key]) == {key: {odd: Consumption(2)}}
