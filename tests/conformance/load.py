"""Some thousand events of two hundred learners, what must come of them, and what has come of them."""

import random
import threading
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cached_property
from typing import Any, Self

from tests.conformance.events import Learner, sync, update
from tests.conformance.learning import cached_course, enrolment_key, mark
from tests.conformance.servers import AGGREGATES, CONSUMPTION, ENROLMENTS, MARKS, unique
from tests.conformance.site import ACTIVITY, Site

UNITS = {f"unit{unit}": [f"c{unit}{number}" for number in range(5)] for unit in range(4)}
CONTENTS = [content for contents in UNITS.values() for content in contents]
OPTIONAL = "c34"
REQUIRED = [content for content in CONTENTS if content != OPTIONAL]
LONG_AGO = datetime(2022, 2, 21, 5, 54, 43, tzinfo=UTC)

State = tuple[int | None, int, int]
"""Status, view count, completed count."""


@dataclass
class Student:
    """One learner: what is known before, and what is sent."""

    learner: Learner
    is_enrolled: bool
    is_done: bool
    stored: dict[str, State]
    sent: list[bytes] = field(default_factory=list)
    completed: set[str] = field(default_factory=set)


@dataclass
class Outcome:
    """Everything that can be seen of a load once it is handled; ids as in every run."""

    consumption: dict[tuple[str, str], State]
    enrolments: dict[str, tuple[int, int, dict[str, int], str]]
    """Status, progress, content status, and when it was completed: never, long ago, now."""
    aggregates: dict[tuple[str, str], float]
    told: Counter[tuple[str, ...]]
    marks: int


class Load:
    """The same events in every run, for a course and learners of its own."""

    def __init__(self, site: Site, learners: int = 200, seed: int = 20240301) -> None:
        self.site = site
        self.course = unique("do")
        self._random = random.Random(seed)
        self.students = [self._student(number) for number in range(learners)]
        self.events = list(self._interleaved())

    def _student(self, number: int) -> Student:
        draw = self._random
        learner = Learner(f"{self.course}-u{number:03}", self.course, f"{self.course}-b{number % 4}")
        states: list[State] = [(1, 0, 0), (2, 1, 1), (1, 2, 0)]
        student = Student(
            learner,
            is_enrolled=number % 10 != 0,
            is_done=number % 10 == 1,
            stored=dict(zip(draw.sample(REQUIRED, 3), states, strict=True)),
        )
        chosen = REQUIRED if number % 3 == 0 else draw.sample(REQUIRED, draw.randint(4, 13))
        left = draw.sample(chosen, len(chosen))
        # What is not required comes first: behind the last required one it would depend on where batches end.
        student.sent.append(update(learner, {OPTIONAL: 2, "elsewhere": 2, left[0]: 1}))
        student.completed = {OPTIONAL, "elsewhere", *chosen}
        while left:
            now = [left.pop() for _ in range(min(len(left), draw.choice((1, 1, 2))))]
            student.sent.append(update(learner, dict.fromkeys(now, 2)))
            match draw.randrange(10):
                case 0:
                    student.sent.append(draw.choice(student.sent))
                case 1:
                    student.sent.append(sync(learner))
                case _:
                    pass
        return student

    def _interleaved(self) -> Iterator[tuple[str, bytes]]:
        waiting = [(student.learner.user, iter(student.sent)) for student in self.students]
        while waiting:
            user, events = self._random.choice(waiting)
            event = next(events, None)
            if event is None:
                waiting.remove((user, events))
            else:
                yield user, event

    def prepare(self) -> None:
        """Publishes the course, enrols the learners, stores what they have done before."""
        cached_course(self.site, UNITS, [OPTIONAL], self.course)
        rows: list[dict[str, object]] = []
        enrolments: list[dict[str, object]] = []
        for student in self.students:
            key = enrolment_key(student.learner)
            if student.is_enrolled:
                status, completed_on = (2, LONG_AGO) if student.is_done else (0, None)
                enrolments.append(key | {"active": True, "status": status, "completedon": completed_on})
            for content, (status_of, views, completions) in student.stored.items():
                counts = {"viewcount": views or None, "completedcount": completions or None}
                rows.append(key | {"contentid": content, "status": status_of} | counts)
        self.site.put(ENROLMENTS, *enrolments)
        self.site.put(CONSUMPTION, *rows)

    def send(self, events: list[tuple[str, bytes]]) -> None:
        """Produces some of the events, keyed by learner as the course service does it."""
        producer = self.site.servers.producer
        for user, event in events:
            producer.produce(self.site.input(ACTIVITY), event, user)
        assert producer.flush(120) == 0

    # --- What must come of it -----------------------------------------------------------------------------------

    @cached_property
    def expected(self) -> Outcome:
        """By the specification: events count once, whatever happens on the way."""
        outcome = Outcome({}, {}, {}, Counter(), 0)
        for student in self.students:
            self._expect(student, outcome)
        return outcome

    def _expect(self, student: Student, outcome: Outcome) -> None:
        user = self._plain(student.learner.user)
        after = dict(student.stored)
        for content in student.completed:
            _, views, completions = student.stored.get(content, (0, 0, 0))
            after[content] = (2, views + 1, completions + 1)
            outcome.told.update([("start", user, content)] * (not views))
            outcome.told.update([("complete", user, content)] * (not completions))
        outcome.marks += len(student.completed)
        outcome.consumption |= {(user, content): state for content, state in after.items()}
        done = {content for content, state in after.items() if state[0] == 2} & {*REQUIRED}
        outcome.aggregates["course", user] = len(done)
        for unit, contents in UNITS.items():
            if not after.keys().isdisjoint(contents):
                outcome.aggregates[unit, user] = len(done.intersection(contents))
        statuses = {content: state[0] or 1 for content, state in after.items()}
        if student.is_done:
            outcome.enrolments[user] = (2, 0, {}, "long ago")
        elif student.is_enrolled:
            is_complete = len(done) == len(REQUIRED)
            when = "now" if is_complete else "never"
            outcome.enrolments[user] = (1 + is_complete, len(done), statuses, when)
            outcome.told.update([("enrol-complete", user, user), ("certificate", user)] * is_complete)

    # --- What has come of it ------------------------------------------------------------------------------------

    def seen(self) -> Outcome:
        """What is stored and what was sent; asserts that keys of messages are right and nothing has failed."""
        assert self.site.failed() == []
        redis = self.site.servers.redis(MARKS)
        marks = [mark(s.learner, content) for s in self.students for content in s.completed]
        return Outcome(
            consumption={
                (self._plain(row["userid"]), row["contentid"]): (
                    row["status"],
                    row["viewcount"] or 0,
                    row["completedcount"] or 0,
                )
                for row in self._rows(CONSUMPTION, "userid")
            },
            enrolments={
                self._plain(row["userid"]): (
                    row["status"],
                    row["progress"] or 0,
                    dict(row["contentstatus"] or {}),
                    _when(row["completedon"]),
                )
                for row in self._rows(ENROLMENTS, "userid")
            },
            aggregates={
                (self._plain(row["activity_id"]), self._plain(row["user_id"])): row["aggregates"][
                    "completedCount"
                ]
                for row in self._rows(AGGREGATES, "user_id")
            },
            told=Counter(self._told()),
            marks=int(str(redis.exists(*marks))),
        )

    def _told(self) -> Iterator[tuple[str, ...]]:
        for message in self.site.servers.read(self.site.audit_topic):
            audit = message.value
            user = audit["actor"]["id"]
            assert message.key == user
            yield audit["edata"]["type"], self._plain(user), self._plain(audit["object"]["id"])
        for message in self.site.servers.read(self.site.certificate_topic):
            [user] = message.value["edata"]["userIds"]
            assert message.key == user
            yield "certificate", self._plain(user)

    def _rows(self, table: str, user_column: str) -> list[dict[str, Any]]:
        query = f"SELECT * FROM {self.site.table(table)}"  # noqa: S608  # names of the tests
        rows = self.site.servers.cql.execute(query)
        return [row for row in rows if row[user_column].startswith(self.course)]

    def _plain(self, identifier: str) -> str:
        return "course" if identifier == self.course else identifier.removeprefix(f"{self.course}-")


def _when(moment: datetime | None) -> str:
    if moment is None:
        return "never"
    return "long ago" if moment.replace(tzinfo=UTC) == LONG_AGO else "now"


class Feed:
    """Sends the events of a load at a steady pace, from a thread of its own."""

    def __init__(self, load: Load, per_second: float) -> None:
        self._load = load
        self._pause = 10 / per_second
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run)

    def _run(self) -> None:
        producer, topic = self._load.site.servers.producer, self._load.site.input(ACTIVITY)
        started = time.monotonic()
        for number, (user, event) in enumerate(self._load.events):
            producer.produce(topic, event, user)
            if number % 10 == 9:
                producer.poll(0)
                if self._stop.wait(max(0.0, started + number / 10 * self._pause - time.monotonic())):
                    return

    def wait(self) -> None:
        """Returns when everything is in the topic."""
        self._thread.join(120)
        assert not self._thread.is_alive()
        assert self._load.site.servers.producer.flush(120) == 0

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()
