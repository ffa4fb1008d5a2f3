"""An installation in memory, behind the same ports as the real ones, and trouble to meet on the way there.

It knows no transactions: what is half done stays half done, as on real servers.
"""

import threading
import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field, replace
from typing import Literal, cast

from lern.adapters.tables import TABLES
from lern.domain.model import (
    AggregateKey,
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
from lern.engines.turn import AnyJob, Plan, plan, resume, settle
from lern.errors import Unavailable
from lern.job import (
    Context,
    ForgetEnrolmentList,
    Message,
    PutRow,
    Record,
    ReplaceRelation,
    SetAggregates,
    SetConsumption,
    SetContributions,
    SetEnrolment,
    SetUnit,
    Write,
)
from lern.ports import (
    AccountStore,
    CollectionDirectory,
    Consumer,
    Contributions,
    Facts,
    HierarchyStore,
    Journal,
    Marks,
    Partition,
    Platform,
    ProgressStore,
    RelationCache,
    Stores,
)

KEYS = {table.name: table.primary_key for table in TABLES}
"""The primary keys of the tables, by their names."""


@dataclass
class Tables:
    """What is stored, and all reading and writing ports on it."""

    trees: dict[str, bytes] = field(default_factory=dict)
    sets: dict[RelationKey, frozenset[str]] = field(default_factory=dict)
    units: dict[str, bytes] = field(default_factory=dict)
    contents: dict[EnrolmentKey, dict[ContentId, Consumption]] = field(default_factory=dict)
    enrolled: dict[EnrolmentKey, Enrolment] = field(default_factory=dict)
    progress: dict[EnrolmentKey, tuple[int, dict[ContentId, int] | None]] = field(default_factory=dict)
    aggregates: dict[tuple[str, str, str], dict[str, float]] = field(default_factory=dict)
    handled: set[str] = field(default_factory=set)
    collection_statuses: dict[str, str] = field(default_factory=dict)
    forgotten: list[str] = field(default_factory=list)
    journal: dict[Partition, bytes] = field(default_factory=dict)
    rows: dict[str, dict[tuple[str, ...], Row]] = field(default_factory=dict)
    """Whole rows by table and key; they have nothing to do with what is above."""
    origins: dict[UserId, dict[ContentKey, dict[UserId, Counts]]] = field(default_factory=dict)

    def hierarchies(self, courses: Collection[CourseId]) -> Mapping[CourseId, bytes]:
        return {course: self.trees[course] for course in courses if course in self.trees}

    def courses(self) -> Iterator[CourseId]:
        return map(CourseId, list(self.trees))

    def members(self, keys: Collection[RelationKey]) -> Mapping[RelationKey, frozenset[str]]:
        return {key: self.sets.get(key, frozenset()) for key in keys}

    def enrolments(self, keys: Collection[EnrolmentKey]) -> Mapping[EnrolmentKey, Enrolment]:
        return {key: self.enrolled[key] for key in keys if key in self.enrolled}

    def consumption(
        self, keys: Collection[EnrolmentKey]
    ) -> Mapping[EnrolmentKey, Mapping[ContentId, Consumption]]:
        return {key: dict(self.contents[key]) for key in keys if key in self.contents}

    def seen(self, marks: Collection[str]) -> Collection[str]:
        return self.handled & set(marks)

    def statuses(self, courses: Collection[CourseId]) -> Mapping[CourseId, str]:
        return {
            course: self.collection_statuses[course]
            for course in courses
            if course in self.collection_statuses
        }

    def consumption_rows(self, users: Collection[UserId]) -> Mapping[UserId, Sequence[Row]]:
        return {user: self.whole("user_content_consumption", user) for user in users}

    def enrolment_rows(self, users: Collection[UserId]) -> Mapping[UserId, Sequence[Row]]:
        return {user: self.whole("user_enrolments", user) for user in users}

    def attempt_rows(self, keys: Collection[EnrolmentKey]) -> Mapping[EnrolmentKey, Sequence[Row]]:
        return {key: self.whole("assessment_aggregator", *key) for key in keys}

    def aggregate_rows(self, keys: Collection[AggregateKey]) -> Mapping[AggregateKey, Row]:
        found = {key: self.whole("user_activity_agg", "Course", *key) for key in keys}
        return {key: rows[0] for key, rows in found.items() if rows}

    def contributions(
        self, users: Collection[UserId]
    ) -> Mapping[UserId, Mapping[ContentKey, Mapping[UserId, Counts]]]:
        return {user: dict(self.origins.get(user, {})) for user in users}

    def whole(self, table: str, *key: str) -> list[Row]:
        """The rows whose key begins like that."""
        return [row for own, row in self.rows.get(table, {}).items() if own[: len(key)] == key]

    def apply(self, writes: Sequence[Write]) -> None:
        for write in writes:
            self._apply(write)

    def _apply(self, write: Write) -> None:
        match write:
            case SetConsumption(enrolment, content, status, views, completions):
                rows = self.contents.setdefault(enrolment, {})
                rows[content] = Consumption(status, views, completions)
            case SetAggregates(activity, user, context, values):
                self.aggregates.setdefault((activity, user, context), {}).update(values)
            case SetEnrolment(enrolment, progress, _, contents, status, completed_on):
                before = self.enrolled.get(enrolment, Enrolment())
                self.enrolled[enrolment] = Enrolment(
                    before.status if status is None else status, completed_on or before.completed_on
                )
                self.progress[enrolment] = (progress, contents)
            case ReplaceRelation(key, members) if members:
                self.sets[key] = members
            case ReplaceRelation(key):
                self.sets.pop(key, None)
            case SetUnit(unit, json):
                self.units[unit] = json
            case ForgetEnrolmentList(user):
                self.forgotten.append(user)
            case PutRow(table, row):
                self._put(table, row)
            case SetContributions(user, content, counts):
                self.origins.setdefault(user, {}).setdefault(content, {}).update(counts)

    def _put(self, table: str, row: Row) -> None:
        key = tuple(row[column] for column in KEYS[table])
        before = self.rows.setdefault(table, {}).get(key, {})
        maps = {name: before[name] | row[name] for name in before.keys() & row if isinstance(row[name], dict)}
        self.rows[table][key] = before | row | maps

    def mark(self, marks: Collection[str]) -> None:
        self.handled.update(marks)

    def recall(self, partition: Partition) -> bytes | None:
        return self.journal.get(partition)

    def record(self, partition: Partition, entry: bytes) -> None:
        self.journal[partition] = entry

    def forget(self, partition: Partition) -> None:
        self.journal.pop(partition, None)

    def facts(self) -> Facts:
        """All reading ports."""
        return Facts(
            hierarchies=self,
            relations=self,
            progress=self,
            marks=self,
            collections=self,
            accounts=self,
            contributions=self,
        )


@dataclass
class Topic:
    """One input topic with one member, and what is sent from it; `lose` takes a partition away."""

    waiting: dict[Partition, list[Record]] = field(default_factory=dict)
    sent: list[Message] = field(default_factory=list)
    positions: dict[Partition, int] = field(default_factory=dict)
    paused: set[Partition] = field(default_factory=set)
    polls: list[frozenset[Partition]] = field(default_factory=list)
    """What was paused at each poll."""
    closed: bool = False
    staged: list[Message] = field(default_factory=list)
    """Sent and not yet to be seen."""
    _fetched: dict[Partition, int] = field(default_factory=dict)
    _generations: dict[Partition, int] = field(default_factory=dict)
    _lost: set[Partition] = field(default_factory=set)
    _lock: threading.RLock = field(default_factory=threading.RLock)

    def put(self, *values: bytes, partition: int = 0) -> None:
        """Appends messages."""
        place = Partition("in", partition)
        with self._lock:
            log = self.waiting.setdefault(place, [])
            log += [Record("in", partition, len(log) + at, b"key", value) for at, value in enumerate(values)]

    def lose(self, partition: int) -> None:
        """Another member has the partition now."""
        with self._lock:
            self._lost.add(Partition("in", partition))

    def regain(self, partition: int) -> None:
        """The partition is assigned anew, also when it was never lost to the eye of `assigned`."""
        place = Partition("in", partition)
        with self._lock:
            self._lost.discard(place)
            self._generations[place] = self.generation(place) + 1
            self._fetched[place] = self.positions.get(place, 0)

    def poll(self, limit: int, timeout: float) -> Sequence[Record]:
        self.polls.append(frozenset(self.paused))
        deadline = time.monotonic() + timeout
        while not (found := self._fetch(limit)) and time.monotonic() < deadline:
            time.sleep(0.005)
        return found

    def _fetch(self, limit: int) -> list[Record]:
        found: list[Record] = []
        with self._lock:
            for place in sorted(self.assigned() - self.paused):
                at = self._fetched.get(place, 0)
                more = self.waiting[place][at : at + limit - len(found)]
                self._fetched[place] = at + len(more)
                found += more
        return found

    def assigned(self) -> frozenset[Partition]:
        return frozenset(self.waiting.keys() - self._lost)

    def generation(self, partition: Partition) -> int:
        return self._generations.get(partition, 1)

    def pause(self, partition: Partition) -> None:
        self.paused.add(partition)

    def resume(self, partition: Partition) -> None:
        self.paused.discard(partition)

    def stage(self, messages: Sequence[Message]) -> None:
        self.staged += messages

    def commit(self, partition: Partition, following: int) -> None:
        self.sent += self.staged
        self.staged = []
        self.positions[partition] = following

    def abort(self) -> None:
        self.staged = []

    def lag(self) -> Mapping[Partition, int]:
        return {place: len(log) - self.positions.get(place, 0) for place, log in self.waiting.items()}

    def close(self) -> None:
        self.closed = True

    def to(self, topic: str) -> list[Message]:
        """What was sent to a topic."""
        return [message for message in self.sent if message.topic == topic]


def platform(tables: Tables, topic: Topic, *, journal: bool = True) -> Platform:
    """The ports of one job on tables and a topic in memory."""
    return Platform(
        facts=tables.facts(),
        stores=tables,
        journal=tables if journal else None,
        consumer=topic,
        transaction=nullcontext,
    )


How = Literal["before", "half", "after"]


@dataclass
class Trouble:
    """Lets one call to a port fail: before it did anything, half way (writes), or after it did everything."""

    at: int | None = None
    """Which call, from 0; None: none."""
    how: How = "before"
    error: Exception = field(default_factory=lambda: Unavailable("test", "down"))
    calls: list[str] = field(default_factory=list)

    def meet(self, name: str, function: Callable[..., object], arguments: tuple[object, ...]) -> object:
        """Carries out a call, or not."""
        strikes = len(self.calls) == self.at
        self.calls.append(name)
        if not strikes:
            return function(*arguments)
        if self.how == "after":
            function(*arguments)
        elif self.how == "half" and name == "apply":
            writes = cast("Sequence[Write]", arguments[0])
            function(writes[: len(writes) // 2])
        raise self.error


class _Troubled:
    """Stands before a port."""

    def __init__(self, port: object, trouble: Trouble) -> None:
        self._port, self._trouble = port, trouble

    def __getattr__(self, name: str) -> Callable[..., object]:
        function = getattr(self._port, name)
        return lambda *arguments: self._trouble.meet(name, function, arguments)


def troubled(inner: Platform, trouble: Trouble) -> Platform:
    """A platform whose ports may fail."""

    def before(port: object) -> _Troubled:
        return _Troubled(port, trouble)

    facts = inner.facts
    return replace(
        inner,
        facts=Facts(
            hierarchies=cast("HierarchyStore", before(facts.hierarchies)),
            relations=cast("RelationCache", before(facts.relations)),
            progress=cast("ProgressStore", before(facts.progress)),
            marks=cast("Marks", before(facts.marks)),
            collections=cast("CollectionDirectory", before(facts.collections)),
            accounts=cast("AccountStore", before(facts.accounts)),
            contributions=cast("Contributions", before(facts.contributions)),
        ),
        stores=cast("Stores", before(inner.stores)),
        journal=cast("Journal", before(inner.journal)) if inner.journal else None,
        consumer=cast("Consumer", before(inner.consumer)),
    )


def turn(job: AnyJob, batch: Sequence[Record], on: Platform, context: Context) -> Plan:
    """One turn, as an engine makes it with a partition that it has just got."""
    with on.transaction():
        earlier = resume(job, batch, on)
        return settle(job, earlier or plan(job, batch, on.facts, context), batch, on, context)
