"""Whole rows of learners in the embedded file, and what the counts of merged learners are made of."""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import Any

import msgspec

from lern.adapters.embedded.database import Database, from_sqlite, timestamp
from lern.adapters.tables import (
    ASSESSMENT_AGGREGATOR,
    CONTENT_CONSUMPTION,
    TABLES,
    USER_ACTIVITY_AGG,
    USER_ENROLMENTS,
    Table,
)
from lern.domain.model import AggregateKey, ContentKey, Counts, EnrolmentKey, Row, UserId
from lern.job import PutRow, SetContributions

_json = msgspec.json.Encoder().encode
_counts = msgspec.json.Decoder(dict[UserId, Counts]).decode

_BY_NAME = {table.name: table for table in TABLES}


class EmbeddedAccounts:
    """Implements `ports.AccountStore` and `ports.Contributions` on the file."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def consumption_rows(self, users: Collection[UserId]) -> Mapping[UserId, Sequence[Row]]:
        """As `ports.AccountStore.consumption_rows`."""
        return {user: self._rows(CONTENT_CONSUMPTION, userid=user) for user in users}

    def enrolment_rows(self, users: Collection[UserId]) -> Mapping[UserId, Sequence[Row]]:
        """As `ports.AccountStore.enrolment_rows`."""
        return {user: self._rows(USER_ENROLMENTS, userid=user) for user in users}

    def attempt_rows(self, keys: Collection[EnrolmentKey]) -> Mapping[EnrolmentKey, Sequence[Row]]:
        """As `ports.AccountStore.attempt_rows`."""
        return {
            key: self._rows(ASSESSMENT_AGGREGATOR, user_id=key.user, course_id=key.course, batch_id=key.batch)
            for key in keys
        }

    def aggregate_rows(self, keys: Collection[AggregateKey]) -> Mapping[AggregateKey, Row]:
        """As `ports.AccountStore.aggregate_rows`."""
        found = {
            key: self._rows(
                USER_ACTIVITY_AGG,
                activity_type="Course",
                activity_id=key.activity,
                user_id=key.user,
                context_id=key.context,
            )
            for key in keys
        }
        return {key: rows[0] for key, rows in found.items() if rows}

    def contributions(
        self, users: Collection[UserId]
    ) -> Mapping[UserId, Mapping[ContentKey, Mapping[UserId, Counts]]]:
        """As `ports.Contributions.contributions`."""
        sql = "SELECT course, batch, content, counts FROM contributions WHERE user = ?"
        return {
            user: {ContentKey(*key): _counts(counts) for *key, counts in self._database.rows(sql, [user])}
            for user in users
        }

    def _rows(self, table: Table, **key: str) -> list[Row]:
        where = " AND ".join(f"{column} = ?" for column in key)
        sql = f"SELECT {', '.join(table.columns)} FROM {table.name} WHERE {where}"  # noqa: S608  # names are ours
        types = list(table.columns.items())
        return [
            {
                column: from_sqlite(value, cql)
                for (column, cql), value in zip(types, values, strict=True)
                if value is not None
            }
            for values in self._database.rows(sql, list(key.values()))
        ]


def put_row(write: PutRow) -> tuple[str, tuple[object, ...]]:
    """The statement that carries out a `PutRow`, and its values."""
    table = _BY_NAME[write.table]
    row = {column: value for column, value in write.row.items() if column in table.columns}
    changes = [
        f"{column} = json_patch(coalesce({column}, '{{}}'), excluded.{column})"
        if table.columns[column].startswith("map")
        else f"{column} = excluded.{column}"
        for column in row
        if column not in table.primary_key
    ]
    sql = (
        f"INSERT INTO {table.name} ({', '.join(row)}) VALUES ({', '.join('?' * len(row))})"  # noqa: S608  # names are ours
        f" ON CONFLICT DO {'UPDATE SET ' + ', '.join(changes) if changes else 'NOTHING'}"
    )
    return sql, tuple(map(_to_sqlite, row.values()))


def set_contributions(write: SetContributions) -> tuple[str, tuple[object, ...]]:
    """The statement that carries out a `SetContributions`, and its values."""
    sql = (
        "INSERT INTO contributions VALUES (?, ?, ?, ?, ?)"
        " ON CONFLICT DO UPDATE SET counts = json_patch(counts, excluded.counts)"
    )
    return sql, (write.user, *write.content, _json(write.counts).decode())


def _to_sqlite(value: Any) -> object:  # any column of any type
    match value:
        case datetime():
            return timestamp(value)
        case dict():
            return _json(
                {key: timestamp(each) if isinstance(each, datetime) else each for key, each in value.items()}
            ).decode()
        case list():
            return _json(value).decode()
        case _:
            return value
