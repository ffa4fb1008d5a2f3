"""An installation in memory, behind the same ports as the real ones, and trouble to meet on the way there.

It knows no transactions: what is half done stays half done, as on real servers.
"""

import threading
import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field, replace
from typing import Any, Literal, cast

import msgspec

from lern.adapters.tables import TABLES
from lern.domain.model import (
    AggregateKey,
    Attempt,
    AttemptId,
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
from lern.engines.turn import AnyJob, Plan, plan, resume, settle
from lern.errors import Refused, Unavailable
from lern.job import (
    Context,
    ForgetEnrolmentList,
    Message,
    Place,
    PutRow,
    Record,
    ReplaceRelation,
    SetAggregates,
    SetAttempt,
    SetConsumption,
    SetContributions,
    SetEnrolment,
    SetUnit,
    Write,
)
from lern.ports import (
    AccountStore,
    AttemptStore,
    CollectionDirectory,
    Consumer,
    ContentDirectory,
    Contributions,
    EnrolledPage,
    Facts,
    HierarchyStore,
    Journal,
    Marks,
    Partition,
    Platform,
    ProgressStore,
    QuestionTotal,
    RelationCache,
    Standing,
    Stores,
    Upkeep,
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
    details: dict[tuple[str, str, str], list[str]] = field(default_factory=dict)
    attempted: dict[EnrolmentKey, dict[tuple[ContentId, AttemptId], SetAttempt]] = field(default_factory=dict)
    """Rows of attempts, as the writes that made them; `created_on` as it stands there."""
    totals: dict[ContentId, QuestionTotal] = field(default_factory=dict)
    handled: set[str] = field(default_factory=set)
    collection_statuses: dict[str, str] = field(default_factory=dict)
    forgotten: list[str] = field(default_factory=list)
    columns: dict[EnrolmentKey, Row] = field(default_factory=dict)
    """What else stands in the rows of enrolments."""
    tried: dict[EnrolmentKey, list[Attempt]] = field(default_factory=dict)
    """Attempts that were there before."""
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
        derived = {
            user: [self._enrolment(key) for key in self.enrolled if key.user == user] for user in users
        }
        return {user: self.whole("user_enrolments", user) + derived[user] for user in users}

    def _enrolment(self, key: EnrolmentKey) -> Row:
        its, (progress, contents) = self.enrolled[key], self.progress.get(key, (None, None))
        row = {"userid": key.user, "courseid": key.course, "batchid": key.batch, "status": its.status}
        row |= {"progress": progress, "contentstatus": contents, "completedon": its.completed_on}
        return {name: value for name, value in row.items() if value is not None} | self.columns.get(key, {})

    def attempt_rows(self, keys: Collection[EnrolmentKey]) -> Mapping[EnrolmentKey, Sequence[Row]]:
        return {key: self.whole("assessment_aggregator", *key) for key in keys}

    def aggregate_rows(self, keys: Collection[AggregateKey]) -> Mapping[AggregateKey, Row]:
        found = {key: self.whole("user_activity_agg", "Course", *key) for key in keys}
        derived = {key: {"aggregates": dict(self.aggregates[key])} for key in keys if key in self.aggregates}
        return derived | {key: rows[0] for key, rows in found.items() if rows}

    def contributions(
        self, users: Collection[UserId]
    ) -> Mapping[UserId, Mapping[ContentKey, Mapping[UserId, Counts]]]:
        return {user: dict(self.origins.get(user, {})) for user in users}

    def whole(self, table: str, *key: str) -> list[Row]:
        """The rows whose key begins like that."""
        return [row for own, row in self.rows.get(table, {}).items() if own[: len(key)] == key]

    def attempts(self, keys: Collection[EnrolmentKey]) -> Mapping[EnrolmentKey, Sequence[Attempt]]:
        return {
            key: [
                *self.tried.get(key, ()),
                *(
                    Attempt(*which, row.attempted_on, row.score, row.max_score)
                    for which, row in sorted(self.attempted.get(key, {}).items())
                ),
            ]
            for key in keys
        }

    def question_totals(self, contents: Collection[ContentId]) -> Mapping[ContentId, QuestionTotal]:
        unknown = QuestionTotal(None, was_cached=False)
        return {content: self.totals.get(content, unknown) for content in contents}

    def apply(self, writes: Sequence[Write]) -> None:
        for write in writes:
            self._apply(write)

    def _apply(self, write: Write) -> None:
        match write:
            case SetConsumption(enrolment, content, status, views, completions):
                rows = self.contents.setdefault(enrolment, {})
                rows[content] = Consumption(status, views, completions)
            case SetAggregates(activity, user, context, values, details=details):
                self.aggregates.setdefault((activity, user, context), {}).update(values)
                self.details |= {} if details is None else {(activity, user, context): details}
            case SetAttempt():
                self._attempt(write)
            case SetEnrolment(enrolment, progress, _, contents, status, completed_on):
                before = self.enrolled.get(enrolment, Enrolment())
                self.enrolled[enrolment] = Enrolment(
                    before.status if status is None else status, completed_on or before.completed_on
                )
                self.progress[enrolment] = (progress, contents)
            case ReplaceRelation(key, members):
                self.sets.pop(key, None)
                self.sets |= {key: members} if members else {}
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

    def _attempt(self, write: SetAttempt) -> None:
        rows = self.attempted.setdefault(write.enrolment, {})
        before = rows.get((write.content, write.attempt))
        if write.created_on is None and before:
            write = msgspec.structs.replace(write, created_on=before.created_on)
        rows[write.content, write.attempt] = write

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
            attempts=self,
            contents=self,
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


@dataclass
class Letters:
    """Topics as the tools see them; `refuses` tells of a message that no broker takes."""

    sent: list[Message] = field(default_factory=list)
    refuses: Callable[[Message], bool] = lambda _message: False
    topics_made: dict[str, int] = field(default_factory=dict)

    def send(self, messages: Sequence[Message]) -> None:
        for message in messages:
            if self.refuses(message):
                raise Refused("ERR_OUTPUT_REFUSED", "too large")
            self.sent.append(message)

    def read(self, topic: str, *, from_beginning: bool) -> Iterator[Record | None]:
        yield from self.stored(topic) if from_beginning else ()
        yield None

    def spans(self, topic: str) -> Mapping[Partition, range]:
        return {Partition(topic, 0): range(len(list(self.stored(topic))))}

    def stored(self, topic: str, *, since: int = 0) -> Iterator[Record]:
        mine = [message for message in self.sent if message.topic == topic]
        for offset, message in enumerate(mine):
            if 1_000 + offset < since:
                continue
            yield Record(topic, 0, offset, message.key, message.value, message.headers, 1_000 + offset)

    def at(self, place: Place) -> Record | None:
        return next((record for record in self.stored(place.topic) if record.place == place), None)

    def topics(self) -> Mapping[str, int]:
        return self.topics_made

    def create(self, topics: Collection[str], partitions: int) -> None:
        self.topics_made |= dict.fromkeys(topics, partitions)

    def close(self) -> None:
        self.sent = []


@dataclass
class Remembered:
    """What was sent again of a failed topic; `crash` ends the process when it would be remembered."""

    places: set[Place] = field(default_factory=set)
    turns: int = 0
    crash: bool = False
    in_turn: bool = False

    @contextmanager
    def turn(self) -> Iterator[None]:
        self.turns += 1
        self.in_turn = True
        try:
            yield
        finally:
            self.in_turn = False

    def seen(self, records: Sequence[Record]) -> Collection[Place]:
        return {record.place for record in records} & self.places

    def remember(self, records: Sequence[Record]) -> None:
        if self.crash:
            raise KeyboardInterrupt
        self.places |= {record.place for record in records}

    def forget_before(self, first: Mapping[Partition, int]) -> None:
        self.places = {
            place
            for place in self.places
            if place.offset >= first.get(Partition(place.topic, place.partition), 0)
        }

    def close(self) -> None:
        self.turns = 0


def platform(tables: Tables, topic: Topic, *, journal: bool = True) -> Platform:
    """The ports of one job on tables and a topic in memory."""
    return Platform(
        facts=tables.facts(),
        stores=tables,
        journal=tables if journal else None,
        consumer=topic,
        transaction=nullcontext,
    )


@dataclass
class Directory:
    """Who is enrolled, by tables in memory; positions count learners."""

    tables: Tables

    def enrolled(
        self, course: CourseId, batch: BatchId | None, *, after: str | None = None, at_once: int = 500
    ) -> Iterator[EnrolledPage]:
        keys = sorted(k for k in self.tables.enrolled if k.course == course and batch in {None, k.batch})
        for start in range(int(after or 0), len(keys), at_once):
            end = min(start + at_once, len(keys))
            yield EnrolledPage(keys[start:end], str(end), end / len(keys))

    def enrolments_of(self, user: UserId, course: CourseId, batch: BatchId | None) -> Sequence[EnrolmentKey]:
        pages = self.enrolled(course, batch)
        return [key for page in pages for key in page.enrolments if key.user == user]

    def standings(self, keys: Collection[EnrolmentKey]) -> Mapping[EnrolmentKey, Standing]:
        found = {}
        for key in keys:
            if key in self.tables.enrolled:
                its, (progress, contents) = (
                    self.tables.enrolled[key],
                    self.tables.progress.get(key, (None, None)),
                )
                found[key] = Standing(progress, its.status, its.completed_on, contents or {})
        return found

    def completed_counts(self, keys: Collection[AggregateKey]) -> Mapping[AggregateKey, float]:
        stored = self.tables.aggregates
        return {key: stored[key]["completedCount"] for key in keys if "completedCount" in stored.get(key, ())}


@dataclass
class Outbox:
    """Topics that a tool sends to."""

    tables: Tables
    sent: list[Message] = field(default_factory=list)
    premature: list[Message] = field(default_factory=list)
    """Those that were sent before the row of their learner said that the course is completed."""

    def send(self, messages: Sequence[Message]) -> None:
        self.sent += messages
        completed = {key.user.encode() for key, its in self.tables.enrolled.items() if its.status == 2}
        self.premature += [message for message in messages if message.key not in completed]


def upkeep(tables: Tables, outbox: Outbox, trouble: "Trouble | None" = None) -> Upkeep:
    """What a tool uses, on tables in memory; with trouble, its ports may fail."""
    trouble = trouble or Trouble()

    def before(port: object) -> Any:
        return _Troubled(port, trouble)

    return Upkeep(
        facts=replace(tables.facts(), progress=before(tables)),
        directory=before(Directory(tables)),
        stores=before(tables),
        journal=before(tables),
        log=before(outbox),
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
            attempts=cast("AttemptStore", before(facts.attempts)),
            contents=cast("ContentDirectory", before(facts.contents)),
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
