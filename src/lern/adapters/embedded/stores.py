"""Tables, caches and marks of the embedded file."""

import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any

import msgspec

from lern.adapters.embedded.accounts import put_row, set_contributions
from lern.adapters.embedded.database import Database, timestamp, translated
from lern.domain.model import Consumption, ContentId, CourseId, Enrolment, EnrolmentKey, RelationKey, Status
from lern.job import (
    ForgetEnrolmentList,
    PutRow,
    ReplaceRelation,
    SetAggregates,
    SetConsumption,
    SetContributions,
    SetEnrolment,
    SetUnit,
    Write,
)

_REMEMBERED_SETS = 50_000

_json = msgspec.json.Encoder().encode
_members = msgspec.json.Decoder(frozenset[str])

Row = tuple[object, ...]


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


class EmbeddedStores:
    """Implements `ports.Stores` on the file."""

    def __init__(
        self,
        database: Database,
        facts: EmbeddedFacts,
        mark_expiry: int,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._database = database
        self._facts = facts
        self._mark_expiry = mark_expiry
        self._clock = clock

    def apply(self, writes: Sequence[Write]) -> None:
        """As `ports.Stores.apply`: one statement for each kind of write, with all its rows."""
        rows: dict[str, list[Row]] = {}
        for write in writes:
            match write:
                case ReplaceRelation():
                    self._facts.forget_set(write.key)
                case ForgetEnrolmentList():
                    continue  # there is no course service beside an embedded file
                case _:
                    pass
            sql, row = _STATEMENTS[type(write)](write)
            rows.setdefault(sql, []).append(row)
        with self._database.transaction(), translated():
            for sql, values in rows.items():
                self._database.connection.executemany(sql, values)

    def mark(self, marks: Collection[str]) -> None:
        """As `ports.Stores.mark`."""
        expires = int(self._clock()) + self._mark_expiry
        with self._database.transaction(), translated():
            self._database.connection.executemany(
                "INSERT OR REPLACE INTO dedup_marks VALUES (?, ?)", [(mark, expires) for mark in marks]
            )


def _consumption(write: SetConsumption) -> tuple[str, Row]:
    return _SET_CONSUMPTION, (*write.enrolment, write.content, write.status, write.views, write.completions)


def _aggregates(write: SetAggregates) -> tuple[str, Row]:
    values = _json(write.values).decode()
    times = _json(dict.fromkeys(write.values, timestamp(write.at))).decode()
    return _SET_AGGREGATES, (write.activity_type, write.activity, write.user, write.context, values, times)


def _enrolment(write: SetEnrolment) -> tuple[str, Row]:
    contents = None if write.content_status is None else _json(write.content_status).decode()
    completed = write.completed_on and timestamp(write.completed_on)
    return _SET_ENROLMENT, (
        *write.enrolment,
        write.progress,
        timestamp(write.at),
        contents,
        write.status,
        completed,
    )


def _relation(write: ReplaceRelation) -> tuple[str, Row]:
    key = (write.key.course, write.key.node, write.key.relation.value)
    if not write.members:
        return _DROP_RELATION, key
    return _SET_RELATION, (*key, _json(sorted(write.members)).decode())


def _unit(write: SetUnit) -> tuple[str, Row]:
    return _SET_UNIT, (write.unit, write.json.decode())


_STATEMENTS: dict[type[Any], Callable[[Any], tuple[str, Row]]] = {
    SetConsumption: _consumption,
    SetAggregates: _aggregates,
    SetEnrolment: _enrolment,
    ReplaceRelation: _relation,
    SetUnit: _unit,
    PutRow: put_row,
    SetContributions: set_contributions,
}

_SET_CONSUMPTION = """
INSERT INTO user_content_consumption (userid, courseid, batchid, contentid, status, viewcount, completedcount)
VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO UPDATE
SET status = excluded.status, viewcount = excluded.viewcount, completedcount = excluded.completedcount"""

_SET_AGGREGATES = """
INSERT INTO user_activity_agg (activity_type, activity_id, user_id, context_id, aggregates, agg_last_updated)
VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT DO UPDATE
SET aggregates = json_patch(coalesce(aggregates, '{}'), excluded.aggregates),
agg_last_updated = json_patch(coalesce(agg_last_updated, '{}'), excluded.agg_last_updated)"""

_SET_ENROLMENT = """
INSERT INTO user_enrolments (userid, courseid, batchid, progress, datetime, contentstatus, status, completedon)
VALUES (?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO UPDATE
SET progress = excluded.progress, datetime = excluded.datetime,
contentstatus = coalesce(excluded.contentstatus, contentstatus),
status = coalesce(excluded.status, status), completedon = coalesce(excluded.completedon, completedon)"""

_DROP_RELATION = "DELETE FROM relation_cache WHERE course = ? AND node = ? AND relation = ?"
_SET_RELATION = "INSERT OR REPLACE INTO relation_cache VALUES (?, ?, ?, ?)"
_SET_UNIT = "INSERT OR REPLACE INTO collection_cache VALUES (?, ?)"
