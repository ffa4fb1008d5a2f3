"""What jobs and tools may ask: everything is read, nothing is changed."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple, Protocol

from lern.domain.model import (
    AggregateKey,
    Attempt,
    BatchId,
    Consumption,
    ContentId,
    ContentKey,
    Counts,
    CourseId,
    Enrolment,
    EnrolmentKey,
    RelationKey,
    Row,
    UserId,
)
from lern.errors import Refused


class HierarchyStore(Protocol):
    """Table `content_hierarchy`."""

    def hierarchies(self, courses: Collection[CourseId]) -> Mapping[CourseId, bytes]:
        """The hierarchy JSON of each course that has one; a blank one counts as none.

        A keyspace or table that does not exist is not configured: no course has a hierarchy.
        """
        ...

    def courses(self) -> Iterator[CourseId]:
        """Every identifier in the table, in no order, read in pages."""
        ...


class RelationCache(Protocol):
    """The sets of the relation cache."""

    def members(self, keys: Collection[RelationKey]) -> Mapping[RelationKey, frozenset[str]]:
        """The set of every key; one that is not there is empty.

        May be kept in memory, but what another process wrote more than a second ago is seen.
        """
        ...


class ProgressStore(Protocol):
    """Tables `user_enrolments` and `user_content_consumption`."""

    def enrolments(self, keys: Collection[EnrolmentKey]) -> Mapping[EnrolmentKey, Enrolment]:
        """The enrolment of every key that has a row."""
        ...

    def consumption(
        self, keys: Collection[EnrolmentKey]
    ) -> Mapping[EnrolmentKey, Mapping[ContentId, Consumption]]:
        """All stored contents of every key; a key without any may be missing."""
        ...


class Marks(Protocol):
    """De-duplication marks: what has been handled before."""

    def seen(self, marks: Collection[str]) -> Collection[str]:
        """Those of `marks` that are set and have not expired."""
        ...


class CollectionDirectory(Protocol):
    """The search service: what became of a collection."""

    def statuses(self, courses: Collection[CourseId]) -> Mapping[CourseId, str]:
        """The status (`Live`, `Unlisted`, `Retired`) of each collection that the service knows.

        Answers may be up to `activity.collection.status.cache.expiry` seconds old.
        """
        ...


class AttemptStore(Protocol):
    """Table `assessment_aggregator`."""

    def attempts(self, keys: Collection[EnrolmentKey]) -> Mapping[EnrolmentKey, Sequence[Attempt]]:
        """All attempts of every key, ordered by content and attempt; a key without any may be missing."""
        ...


class QuestionTotal(NamedTuple):
    """How many questions an assessment has; None: nobody knows."""

    total: int | None
    was_cached: bool
    """Whether the service was not asked for it."""
    refusal: Refused | None = None
    """Why the service does not say: its no to this content, which is none to the others."""


class ContentDirectory(Protocol):
    """The content cache, and the content service behind it."""

    def question_totals(self, contents: Collection[ContentId]) -> Mapping[ContentId, QuestionTotal]:
        """How many questions each content has; what the service answered is remembered for an hour.

        A total is 1 or more. Never raises Refused.
        """
        ...


class AccountStore(Protocol):
    """Whole rows of learners, with all columns that the tables have, to be read here and put there (`PutRow`).

    Values are typed where rules look at them: the keys, `user_content_consumption` but for `completionpercentage`,
    `progressdetails` and columns that only an installation has, and all of `user_activity_agg`.
    """

    def consumption_rows(self, users: Collection[UserId]) -> Mapping[UserId, Sequence[Row]]:
        """All of each learner in `user_content_consumption`; a learner without any may be missing."""
        ...

    def enrolment_rows(self, users: Collection[UserId]) -> Mapping[UserId, Sequence[Row]]:
        """All of each learner in `user_enrolments`."""
        ...

    def attempt_rows(self, keys: Collection[EnrolmentKey]) -> Mapping[EnrolmentKey, Sequence[Row]]:
        """All of each enrolment in `assessment_aggregator`; without that table, none has any."""
        ...

    def aggregate_rows(self, keys: Collection[AggregateKey]) -> Mapping[AggregateKey, Row]:
        """Rows of `user_activity_agg` with activity type `Course`; a key without a row is missing."""
        ...


class Contributions(Protocol):
    """What the view counts of merged learners are made of."""

    def contributions(
        self, users: Collection[UserId]
    ) -> Mapping[UserId, Mapping[ContentKey, Mapping[UserId, Counts]]]:
        """Of each learner and content, the counts by the account they came from, as `SetContributions` has set
        them; nothing is forgotten, and a learner without any may be missing."""
        ...


class Standing(NamedTuple):
    """What a row in `user_enrolments` says of progress; None where it says nothing."""

    progress: int | None
    status: int | None
    completed_on: datetime | None
    content_status: Mapping[ContentId, int]


class EnrolledPage(NamedTuple):
    """Some of those who are enrolled."""

    enrolments: Sequence[EnrolmentKey]
    position: str
    """Where this page ends: handed to `EnrolmentDirectory.enrolled`, the reading goes on behind it."""
    share: float
    """How much of the table has been read, from 0 to 1; an estimate."""


class EnrolmentDirectory(Protocol):
    """Who is enrolled in a course, and what the tables say of their progress: for tools, not for jobs."""

    def enrolled(
        self, course: CourseId, batch: BatchId | None, *, after: str | None = None, at_once: int = 500
    ) -> Iterator[EnrolledPage]:
        """Everybody who is enrolled in a course, or in one batch of it, about `at_once` in a page, none twice.

        Reads the whole table by its key alone, since no table leads from a course to its learners. Pages may be empty:
        they say how far the reading is. Whoever enrols meanwhile may be missed.
        """
        ...

    def enrolments_of(self, user: UserId, course: CourseId, batch: BatchId | None) -> Sequence[EnrolmentKey]:
        """A learner's enrolments in all batches of a course, or in one; asks for this learner alone."""
        ...

    def standings(self, keys: Collection[EnrolmentKey]) -> Mapping[EnrolmentKey, Standing]:
        """What stands in the row of every key that has one."""
        ...

    def completed_counts(self, keys: Collection[AggregateKey]) -> Mapping[AggregateKey, float]:
        """`completedCount` of every key whose row has one, by `aggregates` in `user_activity_agg`."""
        ...


@dataclass(frozen=True, slots=True)
class Facts:
    """Everything that a job may read."""

    hierarchies: HierarchyStore
    relations: RelationCache
    progress: ProgressStore
    marks: Marks
    collections: CollectionDirectory
    accounts: AccountStore
    contributions: Contributions
    attempts: AttemptStore
    contents: ContentDirectory
