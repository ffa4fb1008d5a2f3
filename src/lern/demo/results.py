"""What the jobs left behind, read from the tables and topics of the file and from nowhere else."""

import sqlite3
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import msgspec

from lern.demo.course import BATCH, Course, Unit
from lern.demo.learners import Learner
from lern.demo.story import Story
from lern.domain.model import Status
from lern.job import Place
from lern.jobs import (
    activity_aggregate_updater,
    assessment_aggregator,
    enrolment_reconciliation,
    merge_user_courses,
    relation_cache_updater,
)
from lern.settings.model import JobSettings


@dataclass(frozen=True, slots=True)
class Standing:
    """Where one learner stands."""

    learner: Learner
    status: Status
    progress: int
    """Required contents that are completed."""
    extra: int
    """Optional contents that are completed."""
    completed: frozenset[str]
    last_studied: datetime | None
    completed_on: datetime | None


@dataclass(frozen=True, slots=True)
class UnitStanding:
    """How far all learners together are with a unit."""

    unit: Unit
    finished: int
    """Learners who have completed all required contents."""
    share: float
    """What is completed of all that all learners could complete, from 0 to 1."""


@dataclass(frozen=True, slots=True)
class Tries:
    """Quizzes that learners have tried so many times; shares of what can be scored are from 0 to 1."""

    attempts: int
    quizzes: int
    """How many there are, each counted for each learner."""
    first: float
    """What the first attempt has scored, on average."""
    counting: float
    """What counts in the end, on average."""


@dataclass(frozen=True, slots=True)
class Topic:
    """One topic, and how many messages it has received."""

    name: str
    messages: int
    holds: str


@dataclass(frozen=True, slots=True)
class Failure:
    """A message that could not be handled."""

    topic: str
    code: str
    reason: str
    place: str
    """Where its record lies, as `lern failed show` takes it."""


@dataclass(frozen=True, slots=True)
class Results:
    """Everything the report tells of the file."""

    standings: Sequence[Standing]
    """In the order of the learners."""
    units: Sequence[UnitStanding]
    counted: int
    """Completions that count as progress."""
    tries: Sequence[Tries]
    """By the number of attempts."""
    topics: Sequence[Topic]
    """Inputs first; those of failed messages are not among them."""
    failures: Sequence[Failure]

    def with_status(self, status: Status) -> int:
        """How many learners stand there."""
        return sum(one.status is status for one in self.standings)


class _FailInfo(msgspec.Struct, rename="camel"):
    error_code: str
    error: str


class _Failed(msgspec.Struct, rename="camel"):
    fail_info: _FailInfo


_contents = msgspec.json.Decoder(dict[str, int]).decode
_failed = msgspec.json.Decoder(_Failed).decode


def read_results(file: Path, settings: Mapping[str, JobSettings], story: Story) -> Results:
    """Reads the results; the jobs have ended.

    The rows of an account that was merged are still there. What it did is counted with the account that stays.
    """
    course, learners = story.course, story.learners
    gone = story.merge.old.user if story.merge else ""
    with closing(sqlite3.connect(f"{file.resolve().as_uri()}?mode=ro", uri=True)) as connection:
        return Results(
            standings=_standings(connection, course, learners),
            units=_units(connection, course, len(learners)),
            counted=_counted(connection, gone),
            tries=_tries(connection, course, gone),
            topics=_topics(connection, settings, merges=bool(gone)),
            failures=_failures(connection, settings),
        )


def _standings(connection: sqlite3.Connection, course: Course, learners: Sequence[Learner]) -> list[Standing]:
    rows = connection.execute(
        "SELECT userid, status, progress, contentstatus, lastcontentaccesstime, completedon"
        " FROM user_enrolments WHERE courseid = ? AND batchid = ?",
        (course.identifier, BATCH),
    )
    by_user = {row[0]: row[1:] for row in rows}
    return [_standing(course, learner, *by_user[learner.user]) for learner in learners]


def _standing(
    course: Course,
    learner: Learner,
    status: int,
    progress: int,
    contents: str | None,
    studied: str | None,
    completed_on: str | None,
) -> Standing:
    statuses = _contents(contents or "{}")
    completed = frozenset(content for content, at in statuses.items() if at == Status.COMPLETED)
    return Standing(
        learner=learner,
        status=Status(status),
        progress=progress,
        extra=len(completed & course.optional),
        completed=completed,
        last_studied=datetime.fromisoformat(studied) if studied else None,
        completed_on=datetime.fromisoformat(completed_on) if completed_on else None,
    )


def _units(connection: sqlite3.Connection, course: Course, learners: int) -> list[UnitStanding]:
    found = []
    for unit in course.units:
        finished, done = connection.execute(
            "SELECT coalesce(sum(done >= ?), 0), coalesce(sum(done), 0) FROM"
            " (SELECT json_extract(aggregates, '$.completedCount') AS done FROM user_activity_agg"
            " WHERE activity_type = 'Course' AND activity_id = ? AND context_id = ?)",
            (unit.required, unit.identifier, f"cb:{BATCH}"),
        ).fetchone()
        found.append(UnitStanding(unit, finished, done / (unit.required * learners)))
    return found


def _counted(connection: sqlite3.Connection, gone: str) -> int:
    [(counted,)] = connection.execute(
        "SELECT coalesce(sum(completedcount), 0) FROM user_content_consumption WHERE userid <> ?", (gone,)
    )
    return int(counted)


def _tries(connection: sqlite3.Connection, course: Course, gone: str) -> list[Tries]:
    # With one min() in it, SQLite takes the other columns from the row that has the least.
    rows = connection.execute(
        "SELECT attempts, count(*), avg(score / max_score),"
        " avg(json_extract(aggregates, '$.\"score:' || content_id || '\"') / max_score)"
        " FROM (SELECT user_id, content_id, count(*) AS attempts, min(last_attempted_on),"
        " total_score AS score, total_max_score AS max_score FROM assessment_aggregator"
        " WHERE course_id = ? AND batch_id = ? AND user_id <> ? GROUP BY user_id, content_id) AS tried"
        " JOIN user_activity_agg AS stored ON stored.user_id = tried.user_id AND activity_type = 'Course'"
        " AND activity_id = ? AND context_id = ? GROUP BY attempts ORDER BY attempts",
        (course.identifier, BATCH, gone, course.identifier, f"cb:{BATCH}"),
    )
    return [Tries(*row) for row in rows]


def _topics(
    connection: sqlite3.Connection, settings: Mapping[str, JobSettings], *, merges: bool
) -> list[Topic]:
    counts = dict(connection.execute("SELECT topic, sum(following) FROM ends GROUP BY topic").fetchall())
    studied = settings[activity_aggregate_updater.JOB.name].topics

    def into(job: str) -> str:
        return settings[job].topics.input

    held = {
        into(relation_cache_updater.JOB.name): "in: published contents, a course",
        studied.input: "in: reports, and one by the merge" if merges else "in: reports of the apps",
        into(assessment_aggregator.JOB.name): "in: attempts at quizzes",
        into(enrolment_reconciliation.JOB.name): "in: requests for a repair",
        into(merge_user_courses.JOB.name): "in: accounts to be merged",
        studied.audit: "out: what was begun and completed",
        studied.certificate_requests: "out: for completions and attempts",
    }
    return [Topic(name, counts.get(name, 0), holds) for name, holds in held.items()]


def _failures(connection: sqlite3.Connection, settings: Mapping[str, JobSettings]) -> list[Failure]:
    found = []
    for one in settings.values():
        rows = connection.execute(
            'SELECT partition, "offset", value FROM messages WHERE topic = ? ORDER BY partition, "offset"',
            [one.topics.failed],
        )
        for partition, offset, value in rows:
            info, place = _failed(value).fail_info, Place(one.topics.failed, partition, offset)
            found.append(Failure(one.topics.failed, info.error_code, info.error, str(place)))
    return found
