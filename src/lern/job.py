"""What a job is: a name, a way to read its events, the facts it asks for, and a pure decision.

A job performs nothing. It returns an `Outcome`, and an engine applies it; that is why a job can be run again after
a crash, tested without fakes, and dry-run by printing what it decided.
"""

from collections.abc import Callable, Collection, Hashable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Generic, NamedTuple, TypeVar

import msgspec

from lern.counts import Count
from lern.domain.model import (
    AttemptId,
    ContentId,
    ContentKey,
    Counts,
    EnrolmentKey,
    RelationKey,
    Row,
    UserId,
)
from lern.settings.model import JobSettings

if TYPE_CHECKING:
    from lern.ports import Facts

Event = TypeVar("Event")
Known = TypeVar("Known")
Key = TypeVar("Key", bound=Hashable)


class Place(NamedTuple):
    """Where a message lies."""

    topic: str
    partition: int
    offset: int

    def __str__(self) -> str:
        """As operators read and type it: `dev.activity.agg.failed/0/12`."""
        return f"{self.topic}/{self.partition}/{self.offset}"


class Record(NamedTuple):
    """One message as it lies in a topic."""

    topic: str
    partition: int
    offset: int
    key: bytes | None
    value: bytes | None
    """None is a tombstone; no job knows a use for one."""
    headers: Sequence[tuple[str, bytes | None]] = ()
    timestamp: int = 0
    """Milliseconds since 1970, UTC."""

    @property
    def place(self) -> Place:
        """Where it lies."""
        return Place(self.topic, self.partition, self.offset)


class Message(msgspec.Struct, frozen=True, gc=False):
    """One message to be sent."""

    topic: str
    key: bytes | None
    value: bytes
    headers: tuple[tuple[str, bytes], ...] = ()


# --- The kinds of write. All values are absolute: applying one twice is applying it once. -----------------------


class SetConsumption(msgspec.Struct, frozen=True, gc=False, tag=True):
    """How far a learner is with one content: `user_content_consumption`; other columns stay."""

    enrolment: EnrolmentKey
    content: ContentId
    status: int
    views: int
    completions: int


class SetAggregates(msgspec.Struct, frozen=True, gc=False, tag=True):
    """Values in the maps `aggregates` and `agg_last_updated` of one `user_activity_agg` row; other keys stay.

    `details`: what `agg_details` becomes; None leaves it as it is.
    """

    activity: str
    user: UserId
    context: str
    values: dict[str, float]
    at: datetime
    activity_type: str = "Course"
    details: list[str] | None = None


class SetEnrolment(msgspec.Struct, frozen=True, gc=False, tag=True):
    """Progress of one `user_enrolments` row; None leaves the column as it is, other columns stay."""

    enrolment: EnrolmentKey
    progress: int
    at: datetime
    content_status: dict[ContentId, int] | None = None
    status: int | None = None
    completed_on: datetime | None = None


class Question(msgspec.Struct, frozen=True, gc=False):
    """One answered question: the type `question`, field by field in its order."""

    id: str
    assess_ts: datetime
    max_score: float
    score: float
    type: str
    title: str
    resvalues: list[dict[str, str]]
    params: list[dict[str, str]]
    description: str
    duration: str
    """A decimal number."""


class SetAttempt(msgspec.Struct, frozen=True, gc=False, tag=True):
    """One row of `assessment_aggregator`; `created_on` None leaves that column as it is."""

    enrolment: EnrolmentKey
    content: ContentId
    attempt: AttemptId
    created_on: datetime | None
    attempted_on: datetime
    """Column `last_attempted_on`."""
    updated_on: datetime
    score: float
    max_score: float
    grand_total: str
    questions: list[Question]


class PutRow(msgspec.Struct, frozen=True, gc=False, tag=True):
    """Columns of one row of any table of `adapters.tables`, by the table's usual name.

    Entries are added to maps; other entries and other columns stay. Values are as the store gave them
    (`ports.AccountStore`), and a column that the table lacks is left out.
    """

    table: str
    row: Row


class SetContributions(msgspec.Struct, frozen=True, gc=False, tag=True):
    """What one content's counts are made of, by the account they came from, the learner's own among them.

    What is remembered of other accounts stays: two merges at once lose nothing of each other. In place before the rows
    of the same call to `ports.Stores.apply` are.
    """

    user: UserId
    content: ContentKey
    counts: dict[UserId, Counts]


class ForgetEnrolmentList(msgspec.Struct, frozen=True, gc=False, tag=True):
    """Drops the course service's cached list of a learner's enrolments, where that cache is configured."""

    user: UserId


class ReplaceRelation(msgspec.Struct, frozen=True, gc=False, tag=True):
    """One set of the relation cache, replaced at once: no reader sees it half written. Empty: removed."""

    key: RelationKey
    members: frozenset[str]


class SetUnit(msgspec.Struct, frozen=True, gc=False, tag=True):
    """The JSON of one unit in the collection cache."""

    unit: str
    json: bytes


Write = (
    SetConsumption
    | SetAggregates
    | SetEnrolment
    | SetAttempt
    | PutRow
    | SetContributions
    | ForgetEnrolmentList
    | ReplaceRelation
    | SetUnit
)


class Outcome(msgspec.Struct, frozen=True):
    """What a job decided for one group of events: effects as values, and what to count."""

    writes: Sequence[Write] = ()
    messages: Sequence[Message] = ()
    marks: Sequence[str] = ()
    """De-duplication marks to set once the effects are in place."""
    warnings: Sequence[str] = ()
    """Sentences for the operator, with ids but without personal data."""
    counts: Mapping[Count, int] = {}
    """Names of `lern.counts.Count` and by how much they grow."""


@dataclass(frozen=True, slots=True)
class Context:
    """What a decision may use besides events and facts, so that it stays reproducible."""

    settings: JobSettings
    now: datetime
    """Aware, UTC, whole milliseconds: what stores and events hold."""
    new_id: Callable[[], str]
    """A new random identifier, in UUID form."""


class Skipped(NamedTuple):
    """A message that is in order and none of this job's business."""

    why: str


@dataclass(frozen=True, kw_only=True)
class Job(Generic[Event, Key, Known]):
    """One job, complete: engines need nothing else.

    Engines call `decode` for each message (it raises BadEvent), gather the events by `group`, call `read` once for
    all of them, `check` for each event, and `decide` once for each group. `check` raises BadEvent or Refused to reject
    its event alone, and `decide` does not see that one; `decide` raises them to reject the whole group.
    """

    name: str
    title: str
    """One line for `lern jobs`."""
    inputs: str
    outputs: tuple[str, ...]
    """Topics as their settings keys."""
    tables: tuple[str, ...] = ()
    """The tables it reads or writes, by the names they usually have."""
    decode: Callable[[bytes], Event | Skipped]
    group: Callable[[Event], Key]
    read: Callable[[Mapping[Key, Sequence[Event]], "Facts", Context], Known]
    decide: Callable[[Key, Sequence[Event], Known, Context], Outcome]
    check: Callable[[Event, Known, Context], None] | None = None
    journalled: bool
    """Whether an outcome is written to the journal before it is applied: needed wherever deciding twice would
    decide differently (a sum, a change of state that is announced once)."""
    one_by_one: bool = False
    """Whether each message has a turn of its own: needed where it may change the facts of the next one's group."""
    guards: Callable[[Key], Collection[Hashable]] = lambda key: (key,)
    """What a group reads and writes, so that threads of this job keep apart: its key, unless it is more."""
