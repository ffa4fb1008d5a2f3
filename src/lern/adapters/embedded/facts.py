"""What jobs read of the embedded file: tables, caches and marks."""

import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from datetime import datetime

import msgspec

from lern.adapters.embedded.database import Database
from lern.adapters.metadata import question_total
from lern.domain.model import (
    Attempt,
    Consumption,
    ContentId,
    CourseId,
    Enrolment,
    EnrolmentKey,
    RelationKey,
    Status,
)
from lern.ports import QuestionTotal

_REMEMBERED_SETS = 50_000

_json = msgspec.json.Encoder().encode
_members = msgspec.json.Decoder(frozenset[str])


class EmbeddedFacts:
    """Implements the reading ports on the file."""

    def __init__(self, database: Database, clock: Callable[[], float] = time.time) -> None:
        self._database = database
        self._clock = clock
        self._sets: dict[RelationKey, frozenset[str]] = {}
        database.rolled_back.append(self._sets.clear)

    def hierarchies(self, courses: Collection[CourseId]) -> Mapping[CourseId, bytes]:
        """As `ports.HierarchyStore.hierarchies`."""
        sql = "SELECT hierarchy FROM content_hierarchy WHERE identifier = ?"
        found = {course: self._database.rows(sql, [course]) for course in courses}
        return {
            course: rows[0][0].encode()
            for course, rows in found.items()
            if rows and (rows[0][0] or "").strip()
        }

    def courses(self) -> Iterator[CourseId]:
        """As `ports.HierarchyStore.courses`."""
        last, page = "", self._database.rows
        sql = "SELECT identifier FROM content_hierarchy WHERE identifier > ? ORDER BY identifier LIMIT 500"
        while rows := page(sql, [last]):
            yield from (CourseId(identifier) for (identifier,) in rows)
            last = rows[-1][0]

    def members(self, keys: Collection[RelationKey]) -> Mapping[RelationKey, frozenset[str]]:
        """As `ports.RelationCache.members`; kept in memory, since only this process writes sets."""
        if len(self._sets) > _REMEMBERED_SETS:
            self._sets.clear()
        sql = "SELECT members FROM relation_cache WHERE course = ? AND node = ? AND relation = ?"
        for key in keys:
            if key not in self._sets:
                rows = self._database.rows(sql, (key.course, key.node, key.relation.value))
                self._sets[key] = _members.decode(rows[0][0]) if rows else frozenset()
        return {key: self._sets[key] for key in keys}

    def forget_set(self, key: RelationKey) -> None:
        """The set has changed."""
        self._sets.pop(key, None)

    def enrolments(self, keys: Collection[EnrolmentKey]) -> Mapping[EnrolmentKey, Enrolment]:
        """As `ports.ProgressStore.enrolments`."""
        sql = "SELECT status, completedon FROM user_enrolments WHERE userid = ? AND courseid = ? AND batchid = ?"
        found = {key: self._database.rows(sql, key) for key in keys}
        return {
            key: Enrolment(
                rows[0][0] or Status.NOT_STARTED, rows[0][1] and datetime.fromisoformat(rows[0][1])
            )
            for key, rows in found.items()
            if rows
        }

    def consumption(
        self, keys: Collection[EnrolmentKey]
    ) -> Mapping[EnrolmentKey, Mapping[ContentId, Consumption]]:
        """As `ports.ProgressStore.consumption`."""
        sql = (
            "SELECT contentid, coalesce(status, 1), coalesce(viewcount, 0), coalesce(completedcount, 0)"
            " FROM user_content_consumption WHERE userid = ? AND courseid = ? AND batchid = ?"
        )
        return {key: {row[0]: Consumption(*row[1:]) for row in self._database.rows(sql, key)} for key in keys}

    def seen(self, marks: Collection[str]) -> Collection[str]:
        """As `ports.Marks.seen`."""
        sql = "SELECT mark FROM dedup_marks WHERE mark IN (SELECT value FROM json_each(?)) AND expires > ?"
        return {
            mark for (mark,) in self._database.rows(sql, (_json(list(marks)).decode(), int(self._clock())))
        }

    def statuses(self, courses: Collection[CourseId]) -> Mapping[CourseId, str]:  # noqa: ARG002  # no such service
        """Nothing is known: there is no search service beside an embedded file."""
        return {}

    def attempts(self, keys: Collection[EnrolmentKey]) -> Mapping[EnrolmentKey, Sequence[Attempt]]:
        """As `ports.AttemptStore.attempts`."""
        sql = (
            "SELECT content_id, attempt_id, last_attempted_on, coalesce(total_score, 0.0),"
            " coalesce(total_max_score, 0.0) FROM assessment_aggregator"
            " WHERE user_id = ? AND course_id = ? AND batch_id = ? ORDER BY content_id, attempt_id"
        )
        return {
            key: [
                Attempt(content, attempt, on and datetime.fromisoformat(on), score, most)
                for content, attempt, on, score, most in self._database.rows(sql, key)
            ]
            for key in keys
        }

    def question_totals(self, contents: Collection[ContentId]) -> Mapping[ContentId, QuestionTotal]:
        """As `ports.ContentDirectory.question_totals`; there is no content service beside an embedded file."""
        sql = "SELECT json FROM collection_cache WHERE identifier = ?"
        found = {content: self._database.rows(sql, [content]) for content in contents}
        totals = {
            content: question_total(rows[0][0].encode()) if rows else None for content, rows in found.items()
        }
        return {content: QuestionTotal(total, total is not None) for content, total in totals.items()}
