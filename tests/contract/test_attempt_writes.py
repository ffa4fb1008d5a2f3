"""What writes of attempts and of their details promise (`ports.Stores.apply`), in both layouts of their table."""

import uuid
from datetime import UTC, datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from lern.domain.model import Attempt, AttemptId, ContentId, EnrolmentKey, UserId
from lern.job import Question, SetAggregates, SetAttempt

if TYPE_CHECKING:
    from tests.contract.conftest import Installation

_NOW = datetime(2026, 11, 23, 9, 30, 0, 7000, UTC)
_BEFORE = datetime(2022, 2, 21, 5, 54, 43, 853000, UTC)
_QUESTION = Question(
    id="q1",
    assess_ts=_BEFORE,
    max_score=2.0,
    score=1.33,
    type="mcq",
    title="पाठ 1",
    resvalues=[{"1": '{"text":"A"}'}, {}],
    params=[{"answer": '{"correct":["1"]}', "": "null"}],
    description="",
    duration="4.25",
)


def written(key: EnrolmentKey, **changes: Any) -> SetAttempt:
    write = SetAttempt(
        key,
        ContentId("quiz"),
        AttemptId("a1"),
        created_on=_NOW,
        attempted_on=_BEFORE,
        updated_on=_NOW,
        score=1.33,
        max_score=2.0,
        grand_total="1.33/2.0",
        questions=[_QUESTION],
    )
    return replace(write, **changes)


def row(installation: "Installation", write: SetAttempt) -> dict[str, Any]:
    found = installation.row(
        "assessment_aggregator",
        user_id=write.enrolment.user,
        course_id=write.enrolment.course,
        batch_id=write.enrolment.batch,
        content_id=write.content,
        attempt_id=write.attempt,
    )
    assert found
    found["question"] = [question(each) for each in found["question"] or ()]
    return found


def question(stored: dict[str, Any]) -> Question:
    """A stored question, whatever the store makes of times and decimals."""
    at = stored["assess_ts"]
    return Question(
        **{
            name: value or [] if name in ("resvalues", "params") else value
            for name, value in stored.items()
            if name in Question.__struct_fields__
        }
        | {
            "assess_ts": datetime.fromisoformat(at) if isinstance(at, str) else at,
            "duration": str(Decimal(stored["duration"])),
        }
    )


def test_all_columns_of_an_attempt_are_written(assessments: "Installation", enrolment: EnrolmentKey) -> None:
    write = written(enrolment)

    assessments.apply([write])

    assert row(assessments, write) == {
        "user_id": enrolment.user,
        "course_id": enrolment.course,
        "batch_id": enrolment.batch,
        "content_id": "quiz",
        "attempt_id": "a1",
        "created_on": _NOW,
        "last_attempted_on": _BEFORE,
        "updated_on": _NOW,
        "total_score": 1.33,
        "total_max_score": 2.0,
        "grand_total": "1.33/2.0",
        "question": [_QUESTION],
    }
    assert assessments.attempts.attempts([enrolment])[enrolment] == [
        Attempt(ContentId("quiz"), AttemptId("a1"), _BEFORE, 1.33, 2.0)
    ]


def test_an_attempt_that_is_written_again_keeps_when_it_was_created(
    assessments: "Installation", enrolment: EnrolmentKey
) -> None:
    first = written(enrolment, created_on=_BEFORE, questions=[_QUESTION] * 3)
    again = written(enrolment, created_on=None, attempted_on=_NOW, score=0.5, questions=[_QUESTION])
    assessments.apply([first])

    assessments.apply([again])

    after = row(assessments, again)
    assert (after["created_on"], after["last_attempted_on"], after["total_score"]) == (_BEFORE, _NOW, 0.5)
    assert after["question"] == [_QUESTION]


def test_other_attempts_stay(assessments: "Installation", enrolment: EnrolmentKey) -> None:
    others = [
        written(enrolment, attempt=AttemptId("a2")),
        written(enrolment, content=ContentId("other")),
        written(enrolment._replace(user=UserId(f"{enrolment.user}x"))),
    ]
    assessments.apply(others)

    assessments.apply([written(enrolment, score=2.0)])

    assert [row(assessments, other)["total_score"] for other in others] == [1.33] * 3


def test_the_later_of_two_writes_to_one_attempt_wins(
    assessments: "Installation", enrolment: EnrolmentKey
) -> None:
    assessments.apply([written(enrolment, score=score, grand_total=str(score)) for score in (9.0, 1.0, 5.0)])

    after = row(assessments, written(enrolment))
    assert (after["total_score"], after["grand_total"]) == (5.0, "5.0")


@pytest.mark.parametrize(
    "duration", ["0", "5", "-1", "0.001", "1e-07", "1e+15", "123456789.123456", "127", "128", "-128"]
)
def test_durations_are_kept_to_the_last_digit(
    assessments: "Installation", enrolment: EnrolmentKey, duration: str
) -> None:
    write = written(enrolment, questions=[replace(_QUESTION, duration=duration)])

    assessments.apply([write])

    assert Decimal(row(assessments, write)["question"][0].duration) == Decimal(duration)


_text = st.text(max_size=8)
_maps = st.lists(st.dictionaries(_text, _text, max_size=3), max_size=3)
_questions = st.lists(
    st.builds(
        replace,
        st.just(_QUESTION),
        id=_text,
        title=_text,
        score=st.floats(-1e6, 1e6),
        resvalues=_maps,
        params=_maps,
    ),
    max_size=5,
)


@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(questions=_questions)
def test_questions_are_kept_whatever_they_hold(
    assessments: "Installation", questions: list[Question]
) -> None:
    key = EnrolmentKey(UserId(uuid.uuid4().hex), *("c", "b"))  # type: ignore[arg-type]  # ids of the test
    write = written(key, questions=questions)

    for _ in range(2):
        assessments.apply([write])
        assert row(assessments, write)["question"] == questions


def test_hundreds_of_attempts_with_many_questions_at_once(
    assessments: "Installation", enrolment: EnrolmentKey
) -> None:
    large = [replace(_QUESTION, id=f"q{number}", title="x" * 300) for number in range(40)]
    keys = [enrolment._replace(user=UserId(f"{enrolment.user}-{number}")) for number in range(300)]
    writes = [
        written(key, questions=large[: 1 + number % 40], created_on=_NOW if number % 2 else None)
        for number, key in enumerate(keys)
    ]

    assessments.apply(writes)

    assert len(assessments.attempts.attempts(keys)) == 300
    assert all(row(assessments, write)["question"] == write.questions for write in writes[::50])


def test_an_attempt_of_a_thousand_questions_is_kept(
    assessments: "Installation", enrolment: EnrolmentKey
) -> None:
    write = written(enrolment, questions=[replace(_QUESTION, id=f"q{number}") for number in range(1_000)])

    assessments.apply([write])

    assert len(row(assessments, write)["question"]) == 1_000


def test_ids_may_hold_anything(assessments: "Installation", enrolment: EnrolmentKey, odd: str) -> None:
    write = written(enrolment, content=ContentId(odd), attempt=AttemptId(odd))

    assessments.apply([write])

    assert row(assessments, write)["total_score"] == 1.33


def aggregate_row(installation: "Installation", key: EnrolmentKey) -> dict[str, Any]:
    found = installation.row(
        "user_activity_agg",
        activity_type="Course",
        activity_id=key.course,
        user_id=key.user,
        context_id=key.context,
    )
    assert found
    return found


def test_details_are_replaced_and_values_are_added(
    assessments: "Installation", enrolment: EnrolmentKey
) -> None:
    at = (enrolment.course, enrolment.user, enrolment.context)
    assessments.apply([SetAggregates(*at, {"score:a": 1.0}, _BEFORE, details=["1", "2", "3"])])

    assessments.apply([SetAggregates(*at, {"score:b": 2.0}, _NOW, details=["4", "5"])])

    after = aggregate_row(assessments, enrolment)
    assert after["agg_details"] == ["4", "5"]
    assert after["aggregates"] == {"score:a": 1.0, "score:b": 2.0}
    assert after["agg_last_updated"] == {"score:a": _BEFORE, "score:b": _NOW}


def test_without_details_they_stay_also_beside_a_write_that_has_them(
    assessments: "Installation", enrolment: EnrolmentKey
) -> None:
    at = (enrolment.course, enrolment.user, enrolment.context)
    assessments.apply([SetAggregates(*at, {"a": 1.0}, _NOW, details=["1"])])

    assessments.apply(
        [
            SetAggregates(*at, {"completedCount": 2.0}, _NOW),
            SetAggregates("unit", *at[1:], {"score:b": 2.0}, _NOW, details=["9"]),
        ]
    )

    after = aggregate_row(assessments, enrolment)
    assert after["agg_details"] == ["1"]
    assert after["aggregates"] == {"a": 1.0, "completedCount": 2.0}
