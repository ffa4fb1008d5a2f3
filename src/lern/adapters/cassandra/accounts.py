"""Whole rows of learners, with all columns that a table has."""

from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from operator import itemgetter
from typing import TypeVar

from cassandra.query import BoundStatement

from lern.adapters.cassandra.decoding import DECODERS, Decoder
from lern.adapters.cassandra.session import CassandraSession, quoted
from lern.adapters.tables import (
    ASSESSMENT_AGGREGATOR,
    CONTENT_CONSUMPTION,
    USER_ACTIVITY_AGG,
    USER_ENROLMENTS,
    Table,
)
from lern.domain.model import AggregateKey, BatchId, CourseId, EnrolmentKey, Row, UserId
from lern.job import PutRow
from lern.settings.model import Tables

Key = TypeVar("Key")

_TYPED = {
    CONTENT_CONSUMPTION.name: frozenset(
        {*CONTENT_CONSUMPTION.columns} - {"completionpercentage", "progressdetails"}
    ),
    USER_ENROLMENTS.name: frozenset(
        {*USER_ENROLMENTS.primary_key, "active", "completedon", "contentstatus"}
        | {"issued_certificates", "progress", "status"}
    ),
    ASSESSMENT_AGGREGATOR.name: frozenset(ASSESSMENT_AGGREGATOR.primary_key),
    USER_ACTIVITY_AGG.name: frozenset(USER_ACTIVITY_AGG.columns),
}
"""The columns that rules and tools look at. All others are bytes, as the server has them: whatever types an installation has given
them, they are put back unread and unchanged."""


class CassandraAccounts:
    """Implements `ports.AccountStore`."""

    def __init__(self, session: CassandraSession, tables: Tables) -> None:
        self._session = session
        self._tables = tables

    def consumption_rows(self, users: Collection[UserId]) -> Mapping[UserId, Sequence[Row]]:
        """As `ports.AccountStore.consumption_rows`."""
        where = self._tables.content_consumption
        rows = self._rows(where, CONTENT_CONSUMPTION, ("userid",), [(user,) for user in users])
        return _by(_user, rows)

    def enrolment_rows(self, users: Collection[UserId]) -> Mapping[UserId, Sequence[Row]]:
        """As `ports.AccountStore.enrolment_rows`."""
        where = self._tables.user_enrolments
        rows = self._rows(where, USER_ENROLMENTS, ("userid",), [(user,) for user in users])
        return _by(_user, rows)

    def attempt_rows(self, keys: Collection[EnrolmentKey]) -> Mapping[EnrolmentKey, Sequence[Row]]:
        """As `ports.AccountStore.attempt_rows`; the same query serves both layouts of the table."""
        where = self._tables.assessment_aggregator
        if not (keys and self._session.columns(where)):
            return {}
        select = ("user_id", "course_id", "batch_id")
        return _by(_attempted, self._rows(where, ASSESSMENT_AGGREGATOR, select, keys))

    def aggregate_rows(self, keys: Collection[AggregateKey]) -> Mapping[AggregateKey, Row]:
        """As `ports.AccountStore.aggregate_rows`."""
        rows = self._rows(
            self._tables.user_activity_agg,
            USER_ACTIVITY_AGG,
            USER_ACTIVITY_AGG.primary_key,
            [("Course", *key) for key in keys],
        )
        return {
            AggregateKey(row["activity_id"], UserId(row["user_id"]), row["context_id"]): row for row in rows
        }

    def _rows(
        self, where: str, table: Table, select: Sequence[str], keys: Collection[Sequence[str]]
    ) -> Iterator[Row]:
        """The rows whose columns `select` are as in one of the keys. What a table has is asked each time: an
        installation may have added a column."""
        if not keys:
            return
        present = self._session.require(where, table, table.primary_key, anew=True)
        typed = _TYPED[table.name].intersection(present)
        self._session.require(where, table, typed)
        names = sorted(present)
        decoders = [DECODERS[table.columns[name]] if name in typed else None for name in names]
        condition = " AND ".join(f"{column} = ?" for column in select)
        statement = self._session.prepare(
            f"SELECT {', '.join(map(_name, names))} FROM {quoted(where)} WHERE {condition}",  # noqa: S608  # names that exist
            *(("text",) * len(select)),
            unread=True,
        )
        for page in self._session.run(statement.bind(*key) for key in keys):
            for values in page:
                yield dict(_values(names, decoders, values))


def put_rows(
    session: CassandraSession, where: str, table: Table, writes: Iterable[PutRow]
) -> Iterator[tuple[tuple[str, ...], BoundStatement]]:
    """Partition and statement of each write to one table. Entries of maps are added, which also leaves no tombstones."""
    present = session.require(where, table, table.primary_key)
    for write in writes:
        key = tuple(write.row[column] for column in table.primary_key)
        row = {name: write.row[name] for name in write.row.keys() & present if name not in table.primary_key}
        # Sorted, so that rows with the same columns share a statement.
        columns = sorted(row)
        types = ["blob" if isinstance(row[name], bytes) else table.columns[name] for name in columns]
        statement = session.prepare(_put(where, table, columns), *types, *(("text",) * len(key)))
        yield key[: len(table.partition_key)], statement.bind(*(row[name] for name in columns), *key)


def _put(where: str, table: Table, columns: Sequence[str]) -> str:
    if not columns:
        names = ", ".join(table.primary_key)
        marks = ", ".join("?" * len(table.primary_key))
        return f"INSERT INTO {quoted(where)} ({names}) VALUES ({marks})"  # noqa: S608  # names that exist
    maps = {name for name, cql in table.columns.items() if cql.startswith("map")}
    changes = ", ".join(
        f"{_name(name)} = {_name(name)} + ?" if name in maps else f"{_name(name)} = ?" for name in columns
    )
    key = " AND ".join(f"{column} = ?" for column in table.primary_key)
    return f"UPDATE {quoted(where)} SET {changes} WHERE {key}"  # noqa: S608  # names that exist


def _name(column: str) -> str:
    """A column as CQL: an installation's own may be called anything."""
    return '"' + column.replace('"', '""') + '"'


def _values(
    names: Sequence[str], decoders: Sequence[Decoder | None], values: Sequence[bytes | None]
) -> Iterator[tuple[str, object]]:
    for name, decode, value in zip(names, decoders, values, strict=True):
        if value is None:
            continue
        if decode is None:
            yield name, value
        elif value or decode is bytes.decode:  # an empty number, which old protocols allowed, is none
            yield name, decode(value)


def _by(key_of: Callable[[Row], Key], rows: Iterable[Row]) -> Mapping[Key, Sequence[Row]]:
    found: defaultdict[Key, list[Row]] = defaultdict(list)
    for row in rows:
        found[key_of(row)].append(row)
    return found


_user: Callable[[Row], UserId] = itemgetter("userid")


def _attempted(row: Row) -> EnrolmentKey:
    return EnrolmentKey(UserId(row["user_id"]), CourseId(row["course_id"]), BatchId(row["batch_id"]))
