"""What reads of attempts promise (`ports.AttemptStore`), in both layouts of their table."""

import uuid
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lern.domain.model import Attempt, AttemptId, BatchId, ContentId, CourseId, EnrolmentKey, UserId

if TYPE_CHECKING:
    from tests.contract.conftest import Installation

_TABLE = "assessment_aggregator"
_AT = datetime(2026, 2, 28, 23, 59, 59, 123000, UTC)


def row(key: EnrolmentKey, content: str, attempt: str, **columns: object) -> dict[str, object]:
    return {
        "user_id": key.user,
        "course_id": key.course,
        "batch_id": key.batch,
        "content_id": content,
        "attempt_id": attempt,
        **columns,
    }


def scored(key: EnrolmentKey, content: str, attempt: str, score: float) -> dict[str, object]:
    return row(key, content, attempt, last_attempted_on=_AT, total_score=score, total_max_score=9.0)


def made(content: str, attempt: str, score: float, on: datetime | None = _AT, most: float = 9.0) -> Attempt:
    return Attempt(ContentId(content), AttemptId(attempt), on, score, most)


def test_asking_for_nothing_finds_nothing(assessments: "Installation") -> None:
    assert not assessments.attempts.attempts([])


def test_what_is_not_there_is_not_found(assessments: "Installation", enrolment: EnrolmentKey) -> None:
    assert not assessments.attempts.attempts([enrolment]).get(enrolment)


def test_attempts_come_by_content_and_attempt(assessments: "Installation", enrolment: EnrolmentKey) -> None:
    names = [("b", "2"), ("a", "9"), ("a", "10"), ("B", "1"), ("é", "1"), ("z", "1"), ("😀", "1")]
    rows = [scored(enrolment, content, attempt, at) for at, (content, attempt) in enumerate(names)]
    assessments.put(_TABLE, rows)

    found = assessments.attempts.attempts([enrolment])[enrolment]

    assert [(each.content, each.attempt) for each in found] == sorted(names)
    assert found[0] == made("B", "1", 3)


def test_nulls_read_as_zero_and_no_time(assessments: "Installation", enrolment: EnrolmentKey) -> None:
    assessments.put(_TABLE, [row(enrolment, "a", "1")])

    assert assessments.attempts.attempts([enrolment]) == {enrolment: [made("a", "1", 0.0, None, 0.0)]}


@pytest.mark.parametrize("milliseconds", [-1, 0, 1, 999, 1_234_567_890_123, 4_102_444_799_999])
def test_no_millisecond_is_lost(
    assessments: "Installation", enrolment: EnrolmentKey, milliseconds: int
) -> None:
    at = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=milliseconds)
    assessments.put(_TABLE, [row(enrolment, "a", "1", last_attempted_on=at)])

    [found] = assessments.attempts.attempts([enrolment])[enrolment]

    assert found.attempted_on == at


def test_attempts_of_other_learners_courses_and_batches_stay_out(
    assessments: "Installation", enrolment: EnrolmentKey
) -> None:
    others = [
        enrolment._replace(user=UserId(f"{enrolment.user}x")),
        enrolment._replace(course=CourseId(f"{enrolment.course}x")),
        enrolment._replace(batch=BatchId(f"{enrolment.batch}x")),
    ]
    assessments.put(_TABLE, [scored(key, "a", "1", 1.0) for key in others])

    assert not assessments.attempts.attempts([enrolment, enrolment]).get(enrolment)
    assert len(assessments.attempts.attempts(others)) == 3


def test_an_attempt_is_found_once_whatever_else_is_asked_for(
    assessments: "Installation", enrolment: EnrolmentKey
) -> None:
    """Learners in several batches of a course: requests for some of them bring rows of the others as well."""
    keys = [
        enrolment._replace(user=UserId(f"{enrolment.user}-{user}"), batch=BatchId(f"b{batch}"))
        for batch in range(4)
        for user in range(2)
    ]
    assessments.put(_TABLE, [scored(key, "a", "1", 1.0) for key in keys])

    assert assessments.attempts.attempts(keys) == {key: [made("a", "1", 1.0)] for key in keys}


@settings(max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(data=st.data(), learners=st.integers(1, 30), courses=st.integers(1, 4), batches=st.integers(1, 3))
def test_whatever_is_asked_together_the_same_is_found_as_alone(
    assessments: "Installation", data: st.DataObject, learners: int, courses: int, batches: int
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
        assessments.put(
            _TABLE, [scored(key, f"c-{key.course}", attempt, 2) for key in there for attempt in ("2", "1")]
        )

    found = assessments.attempts.attempts(asked)

    assert {key: attempts for key, attempts in found.items() if attempts} == {
        key: [made(f"c-{key.course}", "1", 2), made(f"c-{key.course}", "2", 2)]
        for key in set(there) & set(asked)
    }


def test_a_learner_with_more_attempts_than_a_page_has_rows(
    assessments: "Installation", enrolment: EnrolmentKey
) -> None:
    other = enrolment._replace(user=UserId(f"{enrolment.user}x"))
    names = [f"{number:05}" for number in range(12_000)]
    assessments.put(_TABLE, (scored(enrolment, "a", name, at) for at, name in enumerate(names)))
    assessments.put(_TABLE, [scored(other, "a", "1", 1)])

    found = assessments.attempts.attempts([enrolment, other])

    assert [each.attempt for each in found[enrolment]] == names
    assert found[other] == [made("a", "1", 1)]


def test_ids_may_hold_anything(assessments: "Installation", enrolment: EnrolmentKey, odd: str) -> None:
    key = EnrolmentKey(UserId(enrolment.user + odd), CourseId(odd), BatchId(odd))
    assessments.put(_TABLE, [scored(key, odd, odd, 1.5)])

    assert assessments.attempts.attempts([key]) == {key: [made(odd, odd, 1.5)]}
