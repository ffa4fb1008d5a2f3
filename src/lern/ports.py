"""The borders of the program: what jobs may ask (`Facts`) and what engines may do (`Platform`).

Every port is bulk and synchronous; concurrency lives inside an adapter. Every method may raise Unavailable (the
caller backs off and tries again, so all of them must be safe to repeat) and, where a single item can be wrong,
Refused. Nothing else crosses the border: adapters translate their driver's errors.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
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
from lern.job import Message, Place, Record, Write


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


class Partition(NamedTuple):
    """One partition of a topic."""

    topic: str
    number: int


class Journal(Protocol):
    """One entry for each partition: the outcome that is being applied."""

    def recall(self, partition: Partition) -> bytes | None:
        """What was last recorded and not yet forgotten."""
        ...

    def record(self, partition: Partition, entry: bytes) -> None:
        """Keeps `entry` in place of an earlier one; durable against a crash of this process when it returns."""
        ...

    def forget(self, partition: Partition) -> None:
        """Drops the entry; nothing happens when there is none."""
        ...


class Stores(Protocol):
    """Where outcomes go."""

    def apply(self, writes: Sequence[Write]) -> None:
        """Carries out all writes; on any error some of them may be in place, and repeating them is harmless.

        Raises Refused when the store will never take one of them.
        """
        ...

    def mark(self, marks: Collection[str]) -> None:
        """Sets de-duplication marks, to expire after `dedup-redis.database.expiry` seconds."""
        ...


class Consumer(Protocol):
    """One consumer group's member on one topic, and the producer that goes with it.

    `stage` and `commit` belong together: what was staged and the new position become visible at once, or neither
    does. Not thread-safe: one consumer belongs to one thread. Only `poll` changes the assignment.
    """

    def poll(self, limit: int, timeout: float) -> Sequence[Record]:
        """At most `limit` messages of the assigned partitions, in order within each.

        Waits up to `timeout` seconds for the first one. Must be called often, also when all partitions are paused:
        it keeps the membership alive.
        """
        ...

    def assigned(self) -> frozenset[Partition]:
        """The partitions this member has; one that it lost and got back starts again at its committed position.

        `generation` tells the two apart.
        """
        ...

    def generation(self, partition: Partition) -> int:
        """Grows each time the partition is assigned anew."""
        ...

    def pause(self, partition: Partition) -> None:
        """`poll` brings nothing more of this partition until `resume`; calling it twice is harmless."""
        ...

    def resume(self, partition: Partition) -> None:
        """Undoes `pause`."""
        ...

    def stage(self, messages: Sequence[Message]) -> None:
        """Sends messages and waits until the log has them all."""
        ...

    def commit(self, partition: Partition, following: int) -> None:
        """Makes what is staged visible and moves the group's position in `partition` to offset `following`."""
        ...

    def abort(self) -> None:
        """Takes back what is staged; nothing happens when nothing is."""
        ...

    def lag(self) -> Mapping[Partition, int]:
        """How many messages of each assigned partition are not yet committed, as far as known without asking."""
        ...

    def close(self) -> None:
        """Leaves the group at once, so that others take over; no error is raised."""
        ...


@dataclass(frozen=True, slots=True)
class Platform:
    """Everything that an engine may use for one job."""

    facts: Facts
    stores: Stores
    journal: Journal | None
    """None where a turn is one transaction, which makes a journal pointless."""
    consumer: Consumer
    transaction: "Transaction"


class Transaction(Protocol):
    """What surrounds a turn: a transaction of the embedded store; nothing where there is none."""

    def __call__(self) -> AbstractContextManager[None]:
        """Commits on leaving normally, rolls back on an exception."""
        ...


class Replays(Protocol):
    """Which records of one failed topic have been sent again.

    Remembered for as long as the topic holds them. A record of another, recreated topic that lies in the same place is
    told apart by its time.
    """

    def turn(self) -> AbstractContextManager[None]:
        """One process at a time: what is asked, sent and remembered inside belongs together.

        Where messages lie in the same store, they and what is remembered become visible at once, or neither does.
        Raises Unavailable when another process does not end its turn.
        """
        ...

    def seen(self, records: Sequence[Record]) -> Collection[Place]:
        """The places of those records that have been sent again."""
        ...

    def remember(self, records: Sequence[Record]) -> None:
        """These have been sent again; remembering one twice is remembering it once."""
        ...

    def forget_before(self, first: Mapping[Partition, int]) -> None:
        """Forgets what lies before these offsets: the topic does not hold it any more."""
        ...

    def close(self) -> None:
        """Lets go."""
        ...


@dataclass(frozen=True, slots=True)
class Upkeep:
    """Everything that a tool may use which does to rows what a job does, without the job's messages."""

    facts: Facts
    directory: EnrolmentDirectory
    stores: Stores
    journal: Journal | None
    """None where `transaction` makes a journal pointless."""
    log: "Log"
    transaction: Transaction


class Log(Protocol):
    """Topics as the tools see them: `lern send`, `lern tail`, `lern failed`, `lern schema`."""

    def send(self, messages: Sequence[Message]) -> None:
        """Sends messages and waits until the log has them all."""
        ...

    def read(self, topic: str, *, from_beginning: bool) -> Iterator[Record | None]:
        """Messages of all partitions as they come, without a consumer group; None whenever there is none just now."""
        ...

    def spans(self, topic: str) -> Mapping[Partition, range]:
        """The offsets that each partition of a topic holds now; there may be gaps. No topic: no partitions."""
        ...

    def stored(self, topic: str, *, since: int = 0) -> Iterator[Record]:
        """The messages that a topic holds when the first one is asked for, in order within each partition.

        `since` in milliseconds: older ones are left out.
        """
        ...

    def at(self, place: Place) -> Record | None:
        """The message that lies there, if there is one."""
        ...

    def topics(self) -> Mapping[str, int]:
        """The topics that exist, and how many partitions each has."""
        ...

    def create(self, topics: Collection[str], partitions: int) -> None:
        """Creates those that do not exist."""
        ...

    def close(self) -> None:
        """Flushes and lets go."""
        ...
