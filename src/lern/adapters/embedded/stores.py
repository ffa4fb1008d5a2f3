"""What jobs write to the embedded file: tables, caches and marks."""

import time
from collections.abc import Callable, Collection, Sequence
from typing import Any

import msgspec

from lern.adapters.embedded.accounts import put_row, set_contributions
from lern.adapters.embedded.database import Database, timestamp, translated
from lern.adapters.embedded.facts import EmbeddedFacts
from lern.job import (
    ForgetEnrolmentList,
    PutRow,
    ReplaceRelation,
    SetAggregates,
    SetAttempt,
    SetConsumption,
    SetContributions,
    SetEnrolment,
    SetUnit,
    Write,
)

_json = msgspec.json.Encoder().encode

Row = tuple[object, ...]


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
    details = None if write.details is None else _json(write.details).decode()
    key = (write.activity_type, write.activity, write.user, write.context)
    return _SET_AGGREGATES, (*key, values, times, details)


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


def _attempt(write: SetAttempt) -> tuple[str, Row]:
    questions = [
        {**msgspec.structs.asdict(each), "assess_ts": timestamp(each.assess_ts)} for each in write.questions
    ]
    return _SET_ATTEMPT, (
        *write.enrolment,
        write.content,
        write.attempt,
        write.created_on and timestamp(write.created_on),
        timestamp(write.attempted_on),
        timestamp(write.updated_on),
        write.score,
        write.max_score,
        write.grand_total,
        _json(questions).decode(),
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
    SetAttempt: _attempt,
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
INSERT INTO user_activity_agg
(activity_type, activity_id, user_id, context_id, aggregates, agg_last_updated, agg_details)
VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO UPDATE
SET aggregates = json_patch(coalesce(aggregates, '{}'), excluded.aggregates),
agg_last_updated = json_patch(coalesce(agg_last_updated, '{}'), excluded.agg_last_updated),
agg_details = coalesce(excluded.agg_details, agg_details)"""

_SET_ENROLMENT = """
INSERT INTO user_enrolments (userid, courseid, batchid, progress, datetime, contentstatus, status, completedon)
VALUES (?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO UPDATE
SET progress = excluded.progress, datetime = excluded.datetime,
contentstatus = coalesce(excluded.contentstatus, contentstatus),
status = coalesce(excluded.status, status), completedon = coalesce(excluded.completedon, completedon)"""

_SET_ATTEMPT = """
INSERT INTO assessment_aggregator (user_id, course_id, batch_id, content_id, attempt_id, created_on,
last_attempted_on, updated_on, total_score, total_max_score, grand_total, question)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO UPDATE
SET created_on = coalesce(excluded.created_on, created_on), last_attempted_on = excluded.last_attempted_on,
updated_on = excluded.updated_on, total_score = excluded.total_score,
total_max_score = excluded.total_max_score, grand_total = excluded.grand_total, question = excluded.question"""

_DROP_RELATION = "DELETE FROM relation_cache WHERE course = ? AND node = ? AND relation = ?"
_SET_RELATION = "INSERT OR REPLACE INTO relation_cache VALUES (?, ?, ?, ?)"
_SET_UNIT = "INSERT OR REPLACE INTO collection_cache VALUES (?, ?)"
