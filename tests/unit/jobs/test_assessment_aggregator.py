"""assessment-aggregator: attempts become scores (jobs, section 4)."""

import json
from datetime import UTC, datetime
from typing import Any

import pytest
from tests.events import NOW, Json, answer, assessment, context, records, settings
from tests.fakes import Tables, Topic, platform, turn

from lern.domain.model import (
    AttemptId,
    BatchId,
    ContentId,
    CourseId,
    EnrolmentKey,
    Relation,
    RelationKey,
    UserId,
)
from lern.engines.turn import Plan
from lern.errors import Refused
from lern.job import SetAttempt
from lern.jobs.assessment_aggregator import JOB
from lern.ports import QuestionTotal
from lern.settings.model import AssessmentSettings

COURSE = CourseId("course_1")
WHO = EnrolmentKey(UserId("user_1"), COURSE, BatchId("batch_1"))
ROW = (COURSE, WHO.user, WHO.context)
QUIZ, FIRST = ContentId("quiz_1"), AttemptId("attempt_1")
AT = 1709287150000
MADE = datetime(2024, 3, 1, 9, 59, 10, tzinfo=UTC)
EARLIER = datetime(2023, 5, 1, tzinfo=UTC)
STRICT = AssessmentSettings(skip_missing_records=True, content_read_api="http://content/read")


def handle(
    tables: Tables, *values: bytes, using: AssessmentSettings | None = None
) -> tuple[dict[str, int], Topic]:
    """One turn; what it counted, and what was sent."""
    done, topic = planned(tables, *values, using=using)
    return {count.value: number for count, number in done.counts().items() if number}, topic


def planned(tables: Tables, *values: bytes, using: AssessmentSettings | None = None) -> tuple[Plan, Topic]:
    topic = Topic()
    chosen = context(settings(JOB.name, assessments=using))
    return turn(JOB, records(values), platform(tables, topic), chosen), topic


def stored(
    content: str = QUIZ,
    attempt: str = FIRST,
    score: float = 1.0,
    on: datetime = EARLIER,
    maximum: float = 4.0,
) -> Tables:
    """A learner with one attempt."""
    return add(Tables(), content, attempt, score, on, maximum)


def add(
    tables: Tables, content: str, attempt: str, score: float, on: datetime, maximum: float = 4.0
) -> Tables:
    key = ContentId(content), AttemptId(attempt)
    row = SetAttempt(WHO, *key, EARLIER, on, EARLIER, score, maximum, "", [])
    tables.attempted.setdefault(WHO, {})[key] = row
    return tables


def attempt_ids(topic: Topic) -> list[str]:
    """What the certificate requests say of the attempt."""
    return [json.loads(message.value)["edata"]["attemptId"] for message in topic.to("certificates")]


def failures(topic: Topic) -> list[tuple[str, str]]:
    """Code and reason of each failed record."""
    infos: list[Any] = [json.loads(message.value)["failInfo"] for message in topic.to("failed")]
    return [(info["errorCode"], info["error"]) for info in infos]


def details(tables: Tables) -> list[Json]:
    return [json.loads(text) for text in tables.details[ROW]]


def test_an_attempt_is_stored_with_its_score_and_becomes_part_of_the_aggregates() -> None:
    tables = Tables()

    counts, topic = handle(tables, assessment(answer("q1", 1.33, 2), answer("q2", 0, 1)))

    row = tables.attempted[WHO][QUIZ, FIRST]
    assert (row.score, row.max_score, row.grand_total) == (1.33, 3.0, "1.33/3.0")
    assert (row.created_on, row.updated_on, row.attempted_on) == (NOW, NOW, MADE)
    assert [question.id for question in row.questions] == ["q1", "q2"]
    assert tables.aggregates == {
        ROW: {"score:quiz_1": 1.33, "max_score:quiz_1": 3.0, "attempts_count:quiz_1": 1.0}
    }
    assert details(tables) == [
        {
            "attempt_id": "attempt_1",
            "last_attempted_on": "Mar 01, 2024, 9:59:10 AM",
            "score": 1.33,
            "content_id": "quiz_1",
            "max_score": 3.0,
            "type": "attempt_metrics",
        }
    ]
    assert attempt_ids(topic) == ["attempt_1"]
    assert counts == {
        "total": 1,
        "success": 1,
        "db_reads": 1,
        "db_updates": 2,
        "score_reads": 1,
        "score_updates": 1,
        "recomputed": 1,
        "cache_misses": 1,
        "certificate_requests": 1,
    }


def test_the_latest_answer_to_a_question_counts() -> None:
    tables = Tables()

    handle(tables, assessment(answer("q", 2, 2, 20), answer("q", 1, 2, 30), answer("q", 0, 2, 10)))

    row = tables.attempted[WHO][QUIZ, FIRST]
    assert (row.grand_total, len(row.questions)) == ("1.0/2.0", 1)


def test_the_best_attempt_is_told_and_all_are_counted() -> None:
    tables = stored(score=3.0, maximum=5.0)
    add(tables, "quiz_2", "a", 1.0, EARLIER)

    _, topic = handle(tables, assessment(answer(score=2), attempt="attempt_2"))

    assert tables.aggregates[ROW] == {
        "score:quiz_1": 3.0,
        "max_score:quiz_1": 5.0,
        "attempts_count:quiz_1": 2.0,
        "score:quiz_2": 1.0,
        "max_score:quiz_2": 4.0,
        "attempts_count:quiz_2": 1.0,
    }
    assert [(each["content_id"], each["attempt_id"]) for each in details(tables)] == [
        ("quiz_1", "attempt_1"),
        ("quiz_1", "attempt_2"),
        ("quiz_2", "a"),
    ]
    assert attempt_ids(topic) == [""]


def test_the_request_names_the_attempt_made_last_not_the_one_that_came_last() -> None:
    tables = stored(attempt="later", on=datetime(2024, 3, 2, tzinfo=UTC))

    _, topic = handle(tables, assessment(answer()))

    assert attempt_ids(topic) == ["later"]


@pytest.mark.parametrize(("at", "known"), [(AT, MADE), (AT - 1, MADE), (0, EARLIER)])
def test_an_attempt_that_is_known_and_not_later_is_skipped(at: int, known: datetime) -> None:
    tables = stored(on=known)
    before = dict(tables.attempted[WHO])

    counts, topic = handle(tables, assessment(answer(score=2), at=at))

    assert tables.attempted[WHO] == before
    assert not tables.aggregates
    assert not topic.sent
    assert counts == {"total": 1, "skipped": 1, "db_reads": 1, "score_reads": 1, "cache_misses": 1}


def test_a_later_event_of_a_known_attempt_replaces_it_and_leaves_when_it_was_created() -> None:
    tables = stored(score=4.0)

    counts, topic = handle(tables, assessment(answer(score=0.5)))

    row = tables.attempted[WHO][QUIZ, FIRST]
    assert (row.created_on, row.attempted_on, row.score) == (EARLIER, MADE, 0.5)
    assert tables.aggregates[ROW]["score:quiz_1"] == 0.5
    assert attempt_ids(topic) == ["attempt_1"]
    assert counts["success"] == 1


def test_a_known_attempt_without_a_time_is_replaced() -> None:
    tables = stored()
    key = QUIZ, FIRST
    row = tables.attempted[WHO][key]
    tables.attempted[WHO][key] = SetAttempt(
        *(WHO, *key, EARLIER, None, EARLIER, row.score, row.max_score, "", [])  # type: ignore[arg-type]  # a null
    )

    handle(tables, assessment(answer(score=2)))

    assert tables.attempted[WHO][key].score == 2.0


def test_events_of_one_batch_are_decided_one_after_the_other() -> None:
    tables = Tables()

    counts, topic = handle(
        tables,
        assessment(answer(score=1), at=AT),
        assessment(answer(score=2), at=AT),
        assessment(answer(score=0), at=AT + 1),
        assessment(answer(score=2), at=AT - 1),
        assessment(answer(score=1.5), at=AT + 5, attempt="attempt_2"),
        assessment(answer(score=1), at=AT + 3, content="quiz_2"),
    )

    row = tables.attempted[WHO][QUIZ, FIRST]
    assert (row.score, row.created_on) == (0.0, NOW)
    assert tables.aggregates[ROW]["score:quiz_1"] == 1.5
    assert tables.aggregates[ROW]["attempts_count:quiz_1"] == 2.0
    assert attempt_ids(topic) == ["attempt_1", "attempt_1", "attempt_2", ""]
    assert (counts["success"], counts["skipped"]) == (4, 2)
    assert (counts["score_updates"], counts["db_updates"], counts["certificate_requests"]) == (3, 4, 4)


def test_each_row_is_written_once() -> None:
    done, _ = planned(Tables(), *(assessment(answer(), at=AT + number) for number in range(5)))

    [step] = done.steps
    assert len(step.outcome.writes) == 2
    assert len(step.outcome.messages) == 5


def test_an_event_without_answers_computes_the_scores_again() -> None:
    tables = stored(score=3.0)

    counts, topic = handle(tables, assessment(attempt="unknown"))

    assert list(tables.attempted[WHO]) == [(QUIZ, FIRST)]
    assert tables.aggregates[ROW]["score:quiz_1"] == 3.0
    assert len(tables.details[ROW]) == 1
    assert attempt_ids(topic) == ["attempt_1"]
    assert (counts["success"], counts["recomputed"]) == (1, 1)
    assert "score_updates" not in counts


def test_an_event_without_answers_of_a_learner_without_attempts_writes_nothing() -> None:
    tables = Tables()

    counts, topic = handle(tables, assessment())

    assert not tables.aggregates
    assert not tables.attempted
    assert attempt_ids(topic) == [""]
    assert counts["success"] == 1


def with_leaves(*leaves: str) -> Tables:
    tables = Tables()
    tables.sets[RelationKey(COURSE, COURSE, Relation.LEAF_NODES)] = frozenset(leaves)
    return tables


def test_a_content_that_is_no_leaf_node_fails_alone() -> None:
    tables = with_leaves("quiz_1", "quiz_2")

    counts, topic = handle(
        tables, assessment(answer()), assessment(answer(), content="elsewhere"), assessment(content="gone")
    )

    assert list(tables.attempted[WHO]) == [(QUIZ, FIRST)]
    assert failures(topic) == [
        ("ERR_NOT_A_LEAF_NODE", "content elsewhere is no leaf node of course course_1"),
        ("ERR_NOT_A_LEAF_NODE", "content gone is no leaf node of course course_1"),
    ]
    assert attempt_ids(topic) == ["attempt_1"]
    assert (counts["success"], counts["failed"], counts["cache_hits"]) == (1, 2, 1)


def test_more_answers_than_questions_fail_alone_and_are_counted() -> None:
    tables = Tables(totals={QUIZ: QuestionTotal(2, was_cached=True)})
    many = [answer(f"q{number}") for number in range(3)]

    counts, topic = handle(
        tables,
        assessment(*many, attempt="many"),
        assessment(*many[:2], answer("q1", ets=5), attempt="all"),
        assessment(*many[:1], attempt="few"),
        using=STRICT,
    )

    assert {attempt for _, attempt in tables.attempted[WHO]} == {"all", "few"}
    assert failures(topic) == [("ERR_TOO_MANY_QUESTIONS", "3 questions are answered, content quiz_1 has 2")]
    assert (counts["failed"], counts["ignored"], counts["success"]) == (1, 1, 2)


def test_the_number_of_questions_matters_only_where_the_settings_say_so() -> None:
    tables = Tables(totals={QUIZ: QuestionTotal(1, was_cached=True)})

    counts, _ = handle(tables, assessment(answer("q1"), answer("q2")))

    assert counts["success"] == 1


def test_an_unknown_number_of_questions_lets_every_attempt_pass() -> None:
    counts, _ = handle(Tables(), assessment(answer("q1"), answer("q2")), using=STRICT)

    assert counts["success"] == 1
    assert (counts["cache_misses"], counts["api_failures"]) == (2, 1)


@pytest.mark.parametrize(
    ("total", "expected"),
    [
        (QuestionTotal(5, was_cached=True), {"cache_hits": 1, "cache_misses": 1}),
        (QuestionTotal(5, was_cached=False), {"cache_misses": 2, "api_hits": 1}),
        (QuestionTotal(None, was_cached=False), {"cache_misses": 2, "api_failures": 1}),
        (QuestionTotal(None, was_cached=True), {"cache_hits": 1, "cache_misses": 1}),
    ],
)
def test_where_the_number_was_found_is_counted(total: QuestionTotal, expected: dict[str, int]) -> None:
    counts, _ = handle(Tables(totals={QUIZ: total}), assessment(answer()), using=STRICT)

    names = ("cache_hits", "cache_misses", "api_hits", "api_failures")
    assert {name: counts[name] for name in names if name in counts} == expected


def test_without_a_content_service_none_fails() -> None:
    counts, _ = handle(Tables(), assessment(answer()), using=AssessmentSettings(skip_missing_records=True))

    assert "api_failures" not in counts


def test_a_content_that_the_service_refuses_fails_alone() -> None:
    no = Refused("ERR_CONTENT_REFUSED", "content refused: HTTP 400")
    tables = Tables(totals={QUIZ: QuestionTotal(None, was_cached=False, refusal=no)})

    _, topic = handle(
        tables, assessment(answer()), assessment(answer(), content="quiz_2"), assessment(), using=STRICT
    )

    assert failures(topic) == [("ERR_CONTENT_REFUSED", "content refused: HTTP 400")]
    assert len(attempt_ids(topic)) == 2


def test_learners_batches_and_courses_are_kept_apart() -> None:
    tables = Tables()

    _, topic = handle(
        tables,
        assessment(answer()),
        assessment(answer(), user="user_2"),
        assessment(answer(), batch="batch_2"),
        assessment(answer(), course="course_2"),
    )

    assert len(tables.attempted) == len(tables.aggregates) == 4
    assert all(values["attempts_count:quiz_1"] == 1.0 for values in tables.aggregates.values())
    assert [message.key for message in topic.sent] == [b"user_1", b"user_2", b"user_1", b"user_1"]


def test_other_aggregates_stay() -> None:
    tables = Tables()
    tables.aggregates[ROW] = {"completedCount": 3.0, "score:gone": 1.0}

    handle(tables, assessment(answer()))

    assert tables.aggregates[ROW].keys() == {
        *("completedCount", "score:gone"),
        *("score:quiz_1", "max_score:quiz_1", "attempts_count:quiz_1"),
    }


def test_the_details_carry_the_type_of_the_settings() -> None:
    tables = Tables()

    handle(tables, assessment(answer()), using=AssessmentSettings(detail_type="of_ours"))

    assert [each["type"] for each in details(tables)] == ["of_ours"]
