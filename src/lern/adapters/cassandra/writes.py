"""Writes of consumption, aggregates, enrolments and attempts."""

from collections.abc import Collection, Hashable, Iterable, Iterator, Sequence
from itertools import starmap
from operator import attrgetter
from typing import NamedTuple

import cassandra.query
from cassandra.query import BatchStatement, BatchType, BoundStatement

from lern.adapters.cassandra.accounts import put_rows
from lern.adapters.cassandra.encoding import Encoder, Statement
from lern.adapters.cassandra.questions import Questions, attempts_table
from lern.adapters.cassandra.session import CassandraSession, quoted
from lern.adapters.tables import (
    ASSESSMENT_AGGREGATOR,
    CONTENT_CONSUMPTION,
    USER_ACTIVITY_AGG,
    USER_ENROLMENTS,
    Table,
)
from lern.job import PutRow, SetAggregates, SetAttempt, SetConsumption, SetEnrolment
from lern.settings.model import Tables

RowWrite = SetConsumption | SetAggregates | SetEnrolment | SetAttempt | PutRow
"""The kinds of write that belong to Cassandra."""

_ATTEMPT = ("last_attempted_on", "updated_on", "total_score", "total_max_score", "grand_total", "question")

_PARTITIONS = 10
_BYTES = 3_072
"""Above ten partitions or 5 KiB (by its own measure, up to half more than what is sent) a server logs a warning for
every batch, and it refuses those above 50 KiB. A statement by itself has no such limits."""


_KEYS = {
    table.name: table.primary_key
    for table in (CONTENT_CONSUMPTION, USER_ENROLMENTS, USER_ACTIVITY_AGG, ASSESSMENT_AGGREGATOR)
}


class _Row(NamedTuple):
    """One statement, which writes one row."""

    partition: tuple[str, ...]
    statement: BoundStatement
    size: int


class CassandraWriter:
    """The part of `ports.Stores.apply` that belongs to Cassandra.

    At most `write_size` rows of a table go together in an unlogged batch: it saves the client four fifths of its work.
    The rows of one partition, which a server takes as one write, lie beside each other. Rows of other partitions may
    take a hop more through the cluster; ten of them do not make a node a bottleneck.
    """

    def __init__(self, session: CassandraSession, tables: Tables, write_size: int) -> None:
        self._session = session
        self._tables = tables
        self._places = (
            (CONTENT_CONSUMPTION, tables.content_consumption),
            (USER_ENROLMENTS, tables.user_enrolments),
            (USER_ACTIVITY_AGG, tables.user_activity_agg),
            (ASSESSMENT_AGGREGATOR, tables.assessment_aggregator),
        )
        self._write_size = write_size
        self._questions = Questions(session, tables.question)
        self._attempts_table = attempts_table(tables.question)

    def apply(self, writes: Sequence[RowWrite]) -> None:
        """As `ports.Stores.apply`; of two writes to one row the later one wins."""
        for distinct in _without_repetition(writes):
            self._session.run(self._requests(distinct))

    def _requests(self, writes: Sequence[RowWrite]) -> Iterator[cassandra.query.Statement]:
        tables = (
            self._consumption([write for write in writes if isinstance(write, SetConsumption)]),
            self._aggregates([write for write in writes if isinstance(write, SetAggregates)]),
            self._enrolments([write for write in writes if isinstance(write, SetEnrolment)]),
            self._attempts([write for write in writes if isinstance(write, SetAttempt)]),
            *self._whole_rows([write for write in writes if isinstance(write, PutRow)]),
        )
        for rows in tables:
            yield from _batches(sorted(rows, key=attrgetter("partition")), self._write_size)

    def _consumption(self, writes: Sequence[SetConsumption]) -> Iterator[_Row]:
        if not writes:
            return
        where = self._tables.content_consumption
        columns = ("status", "viewcount", "completedcount")
        self._session.require(where, CONTENT_CONSUMPTION, (*CONTENT_CONSUMPTION.primary_key, *columns))
        update = self._update(where, CONTENT_CONSUMPTION, columns)
        for write in writes:
            key = (*write.enrolment, write.content)
            yield _row(key[:1], update.bind(write.status, write.views, write.completions, *key))

    def _aggregates(self, writes: Sequence[SetAggregates]) -> Iterator[_Row]:
        if not writes:
            return
        where = self._tables.user_activity_agg
        needed = (*USER_ACTIVITY_AGG.primary_key, "aggregates")
        present = self._session.require(where, USER_ACTIVITY_AGG, needed)
        timed = "agg_last_updated" in present
        columns = ("aggregates", "agg_last_updated") if timed else ("aggregates",)
        update = self._update(where, USER_ACTIVITY_AGG, columns)
        detailed = None
        if "agg_details" in present and any(write.details is not None for write in writes):
            detailed = self._update(where, USER_ACTIVITY_AGG, (*columns, "agg_details"))
        for write in writes:
            key = (write.activity_type, write.activity, write.user, write.context)
            times = (dict.fromkeys(write.values, write.at),) if timed else ()
            if detailed is None or write.details is None:
                statement = update.bind(write.values, *times, *key)
            else:
                statement = detailed.bind(write.values, *times, write.details, *key)
            yield _row(key[:3], statement)

    def _enrolments(self, writes: Sequence[SetEnrolment]) -> Iterator[_Row]:
        if not writes:
            return
        where = self._tables.user_enrolments
        needed = (*USER_ENROLMENTS.primary_key, "progress", "contentstatus", "status", "completedon")
        present = self._session.require(where, USER_ENROLMENTS, needed)
        updates: dict[tuple[str, ...], Statement] = {}
        for write in writes:
            values = {
                "progress": write.progress,
                "datetime": write.at if "datetime" in present else None,
                "contentstatus": write.content_status,
                "status": write.status,
                "completedon": write.completed_on,
            }
            # A null would delete what is there.
            values = {column: value for column, value in values.items() if value is not None}
            columns = tuple(values)
            if columns not in updates:
                updates[columns] = self._update(where, USER_ENROLMENTS, columns)
            yield _row(write.enrolment[:1], updates[columns].bind(*values.values(), *write.enrolment))

    def _whole_rows(self, writes: Sequence[PutRow]) -> Iterator[Iterator[_Row]]:
        for table, where in self._places:
            own = [write for write in writes if write.table == table.name]
            if own:
                yield starmap(_row, put_rows(self._session, where, table, own))

    def _attempts(self, writes: Sequence[SetAttempt]) -> Iterator[_Row]:
        if not writes:
            return
        where, table = self._tables.assessment_aggregator, self._attempts_table
        self._session.require(where, table, table.columns)
        questions = self._questions.encoder()
        again = self._update(where, table, _ATTEMPT, questions)
        first = self._update(where, table, (*_ATTEMPT, "created_on"), questions)
        for write in writes:
            key = (*write.enrolment, write.content, write.attempt)
            values = (
                write.attempted_on,
                write.updated_on,
                write.score,
                write.max_score,
                write.grand_total,
                write.questions,
            )
            if write.created_on is None:
                statement = again.bind(*values, *key)
            else:
                statement = first.bind(*values, write.created_on, *key)
            yield _row(key[:2], statement)

    def _update(
        self, where: str, table: Table, columns: Collection[str], questions: Encoder | None = None
    ) -> Statement:
        """Sets columns; to maps of aggregates it adds, so that other keys stay."""
        adds = {"aggregates", "agg_last_updated"}.intersection(columns)
        changes = ", ".join(
            f"{column} = {column} + ?" if column in adds else f"{column} = ?" for column in columns
        )
        key = " AND ".join(f"{column} = ?" for column in table.primary_key)
        return self._session.prepare(
            f"UPDATE {quoted(where)} SET {changes} WHERE {key}",  # noqa: S608  # names that exist
            *(
                questions if questions and column == "question" else table.columns[column]
                for column in (*columns, *table.primary_key)
            ),
        )


def _row(partition: tuple[str, ...], statement: BoundStatement) -> _Row:
    return _Row(partition, statement, sum(map(len, statement.values)))


def _batches(rows: Iterable[_Row], write_size: int) -> Iterator[cassandra.query.Statement]:
    batch: list[_Row] = []
    partitions: set[tuple[str, ...]] = set()
    size = 0
    for row in rows:
        partitions.add(row.partition)
        size += row.size
        if batch and (len(batch) == write_size or len(partitions) > _PARTITIONS or size > _BYTES):
            yield _request(batch)
            batch, partitions, size = [], {row.partition}, row.size
        batch.append(row)
    if batch:
        yield _request(batch)


def _request(rows: Sequence[_Row]) -> cassandra.query.Statement:
    if len(rows) == 1:
        return rows[0].statement
    batch = BatchStatement(BatchType.UNLOGGED)
    for row in rows:
        batch.add(row.statement)
    return batch


def _without_repetition(writes: Iterable[RowWrite]) -> Iterator[Sequence[RowWrite]]:
    """Runs of writes in which no row occurs twice: what is under way together has no order."""
    run: dict[Hashable, RowWrite] = {}
    for write in writes:
        row = _identity(write)
        if row in run:
            yield list(run.values())
            run = {}
        run[row] = write
    if run:
        yield list(run.values())


def _identity(write: RowWrite) -> Hashable:
    match write:
        case SetConsumption():
            return SetConsumption, write.enrolment, write.content
        case SetAggregates():
            return SetAggregates, write.activity_type, write.activity, write.user, write.context
        case SetEnrolment():
            return SetEnrolment, write.enrolment
        case PutRow():
            return PutRow, write.table, *(write.row[column] for column in _KEYS[write.table])
        case SetAttempt():
            return SetAttempt, write.enrolment, write.content, write.attempt
