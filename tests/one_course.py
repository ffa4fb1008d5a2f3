"""A course, one of its learners, and the progress job on them, in memory."""

import json
from collections.abc import Mapping
from datetime import UTC, datetime

from tests.events import context, records
from tests.fakes import Tables, Topic, platform, turn

from lern.domain.model import (
    BatchId,
    CourseId,
    Enrolment,
    EnrolmentKey,
    Relation,
    RelationKey,
    UserId,
)
from lern.engines.turn import AnyJob, Plan
from lern.jobs.activity_aggregate_updater import JOB
from lern.settings.model import JobSettings

COURSE = CourseId("course_1")
WHO = EnrolmentKey(UserId("user_1"), COURSE, BatchId("batch_1"))
EARLIER = datetime(2023, 5, 1, tzinfo=UTC)


def of(
    leaves: Mapping[str, set[str]],
    optional: Mapping[str, set[str]] | None = None,
    enrolled: Enrolment | None = None,
) -> Tables:
    """A course whose collections have these leaf nodes; every leaf of a unit has the unit as ancestor."""
    tables = Tables()
    for relation, nodes in ((Relation.LEAF_NODES, leaves), (Relation.OPTIONAL_NODES, optional or {})):
        for node, members in nodes.items():
            tables.sets[RelationKey(COURSE, node, relation)] = frozenset(members)
    for leaf in leaves[COURSE]:
        above = frozenset(node for node, members in leaves.items() if leaf in members)
        tables.sets[RelationKey(COURSE, leaf, Relation.ANCESTORS)] = above
    if enrolled:
        tables.enrolled[WHO] = enrolled
    return tables


def handle(
    tables: Tables, *values: bytes, using: JobSettings | None = None, job: AnyJob = JOB
) -> tuple[Plan, Topic]:
    """One turn; what was done, and what was sent."""
    topic = Topic()
    return turn(job, records(values), platform(tables, topic), context(using)), topic


def kinds(topic: Topic) -> list[str]:
    """What was told, sorted: the type of audits, the action of requests."""
    read = [json.loads(message.value)["edata"] for message in topic.sent]
    return sorted(edata.get("type") or edata["action"] for edata in read)


def counts(done: Plan) -> dict[str, int]:
    """What a turn counted, without zeros."""
    return {count.value: number for count, number in done.counts().items() if number}


def done_counts(tables: Tables, user: str = "user_1") -> dict[str, float]:
    """The completed counts of a learner by course and unit."""
    assert {context_id for _, _, context_id in tables.aggregates} <= {"cb:batch_1"}
    return {
        activity: values["completedCount"]
        for (activity, whose, _), values in tables.aggregates.items()
        if whose == user
    }
