"""The nouns of the field, as they are used by rules, jobs, ports and adapters alike."""

from datetime import datetime
from enum import IntEnum, StrEnum
from typing import Any, NamedTuple, NewType

import msgspec

UserId = NewType("UserId", str)
CourseId = NewType("CourseId", str)
BatchId = NewType("BatchId", str)
ContentId = NewType("ContentId", str)
AttemptId = NewType("AttemptId", str)
CollectionId = NewType("CollectionId", str)
"""A course, or a unit inside of one; a course's own id is both a CourseId and a CollectionId."""


class Status(IntEnum):
    """How far a learner is with a content or a course, as stored in `status` columns."""

    NOT_STARTED = 0
    IN_PROGRESS = 1
    COMPLETED = 2


class EnrolmentKey(NamedTuple):
    """One learner in one batch of one course: what progress belongs to."""

    user: UserId
    course: CourseId
    batch: BatchId

    @property
    def context(self) -> str:
        """The `context_id` of this batch's aggregates in `user_activity_agg`."""
        return f"cb:{self.batch}"


class Enrolment(msgspec.Struct, frozen=True, gc=False):
    """What the progress rules need of a row in `user_enrolments`."""

    status: int = Status.NOT_STARTED
    completed_on: datetime | None = None


class Consumption(msgspec.Struct, frozen=True, gc=False):
    """What the progress rules need of a row in `user_content_consumption`; nulls read as 1 (status) and 0."""

    status: int = Status.IN_PROGRESS
    views: int = 0
    completions: int = 0


class Attempt(msgspec.Struct, frozen=True, gc=False):
    """What the score rules need of a row in `assessment_aggregator`: one try of a learner at one assessment."""

    content: ContentId
    attempt: AttemptId
    attempted_on: datetime | None
    """When it was last attempted; None where the row does not say."""
    score: float
    max_score: float


Row = dict[str, Any]
"""A row as it stands in a table, by column; no nulls. Text, int, float, aware datetime, list or dict in the columns that
rules look at; all others as the store keeps them (bytes, mostly), to be put back as they are."""


class ContentKey(NamedTuple):
    """One content of a batch of a course: what a learner's consumption is stored under, without the learner."""

    course: CourseId
    batch: BatchId
    content: ContentId


class Counts(NamedTuple):
    """Views and completions of one content."""

    views: int
    completions: int


class AggregateKey(NamedTuple):
    """One row of `user_activity_agg` with activity type `Course`: a learner in a course or a unit of it."""

    activity: str
    user: UserId
    context: str


class Relation(StrEnum):
    """The kinds of sets in the relation cache; the value is the last part of the Redis key."""

    LEAF_NODES = "leafnodes"
    OPTIONAL_NODES = "optionalnodes"
    ANCESTORS = "ancestors"


class RelationKey(NamedTuple):
    """Names one set of the relation cache: the leaf nodes, optional nodes or ancestors of a node in a course."""

    course: CourseId
    node: str
    relation: Relation

    @property
    def redis_key(self) -> str:
        """The key as other services read it: `<course>:<node>:leafnodes`."""
        return f"{self.course}:{self.node}:{self.relation.value}"
