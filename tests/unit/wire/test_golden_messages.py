"""What goes out, against files written by hand from the contracts (section 3)."""

import json
from pathlib import Path
from typing import Any

import pytest
from tests.events import NOW, answer, assessment, merge, records, settings, update
from tests.fakes import Tables, Topic, platform, turn

from lern.domain.model import BatchId, CourseId, Enrolment, EnrolmentKey, Relation, RelationKey, UserId
from lern.job import Context, Message
from lern.jobs import activity_aggregate_updater, assessment_aggregator, merge_user_courses

GOLDEN = Path(__file__).parents[2] / "golden"
ID = "11111111-2222-4333-8444-555555555555"
COURSE = CourseId("course_1")


def golden(name: str) -> Any:  # JSON
    return json.loads((GOLDEN / f"{name}.json").read_text())


def sent(value: bytes) -> list[Message]:
    """What a learner's event leads to in a course of one content."""
    tables, topic = Tables(), Topic()
    tables.sets[RelationKey(COURSE, COURSE, Relation.LEAF_NODES)] = frozenset({"do_1"})
    enrolment = EnrolmentKey(UserId("user_1"), COURSE, BatchId("batch_1"))
    tables.enrolled[enrolment] = Enrolment()
    context = Context(settings(), NOW, lambda: ID)
    turn(activity_aggregate_updater.JOB, records([value], first=7), platform(tables, topic), context)
    return topic.sent


@pytest.fixture(scope="module")
def completion() -> list[Message]:
    return sent(update("do_1"))


@pytest.mark.parametrize(
    ("name", "topic", "kind"),
    [
        ("audit_content_start", "audit", "start"),
        ("audit_content_complete", "audit", "complete"),
        ("audit_enrol_complete", "audit", "enrol-complete"),
        ("issue_certificate", "certificates", None),
    ],
)
def test_a_completed_course_is_told_as_the_contracts_say(
    completion: list[Message], name: str, topic: str, kind: str | None
) -> None:
    found = [json.loads(message.value) for message in completion if message.topic == topic]

    assert [each for each in found if each["edata"].get("type") == kind] == [golden(name)]


def test_events_of_a_learner_carry_the_learner_as_key(completion: list[Message]) -> None:
    assert [message.key for message in completion] == [b"user_1"] * 4


def test_a_merge_asks_for_progress_as_the_contracts_say() -> None:
    tables, topic = Tables(), Topic()
    row = {"userid": "user_1", "courseid": COURSE, "batchid": "batch_1"}
    tables.rows["user_enrolments"] = {("user_1", COURSE, "batch_1"): row}
    context = Context(settings(), NOW, lambda: ID)

    turn(merge_user_courses.JOB, records([merge("user_2", "user_1")]), platform(tables, topic), context)

    [message] = topic.to("syncs")
    assert json.loads(message.value) == golden("enrolment_sync")
    assert message.key == b"user_1"


def test_a_scored_attempt_is_told_as_the_contracts_say() -> None:
    topic = Topic()
    context = Context(settings("assessment-aggregator"), NOW, lambda: ID)
    scored = records([assessment(answer())])
    turn(assessment_aggregator.JOB, scored, platform(Tables(), topic), context)

    [message] = topic.sent
    assert json.loads(message.value) == golden("issue_certificate_attempt")
    assert (message.topic, message.key) == ("certificates", b"user_1")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        (
            "failed_object",
            (
                b'{"eid": "BE_JOB_REQUEST", "ets": "1709287200123", "edata": {"action": "batch-enrolment-update",'
                b' "userId": "user_1", "courseId": "course_1"}}'
            ),
        ),
        ("failed_text", '{"edata": "गणित'.encode()),
        ("failed_bytes", b"\xff\x00A"),
    ],
)
def test_a_bad_message_becomes_the_record_that_the_contracts_say(name: str, value: bytes) -> None:
    [record] = sent(value)
    found, expected = json.loads(record.value), golden(name)

    assert found["failInfo"]["error"].startswith(expected["failInfo"].pop("error"))
    assert found["failInfo"].pop("error").isascii()
    assert found == expected
    assert {header: text.decode() for header, text in record.headers} == golden("failed_headers")
    assert record.topic == "failed"
