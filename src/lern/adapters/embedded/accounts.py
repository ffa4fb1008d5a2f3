"""Whole rows of learners, and their attempts, of the embedded file."""

from collections.abc import Collection, Mapping, Sequence

from lern.adapters.embedded.database import Database, from_sqlite
from lern.adapters.tables import (
    ASSESSMENT_AGGREGATOR,
    CONTENT_CONSUMPTION,
    USER_ACTIVITY_AGG,
    USER_ENROLMENTS,
    Table,
)
from lern.domain.model import AggregateKey, Attempt, EnrolmentKey, UserId
from lern.ports import Row


class EmbeddedAccounts:
    """Implements `ports.AccountStore` and `ports.AttemptStore` on the file."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def consumption_rows(self, users: Collection[UserId]) -> Mapping[UserId, Sequence[Row]]:
        """As `ports.AccountStore.consumption_rows`."""
        return {user: self._rows(CONTENT_CONSUMPTION, "userid = ?", user) for user in users}

    def enrolment_rows(self, users: Collection[UserId]) -> Mapping[UserId, Sequence[Row]]:
        """As `ports.AccountStore.enrolment_rows`."""
        return {user: self._rows(USER_ENROLMENTS, "userid = ?", user) for user in users}

    def attempt_rows(self, keys: Collection[EnrolmentKey]) -> Mapping[EnrolmentKey, Sequence[Row]]:
        """As `ports.AccountStore.attempt_rows`."""
        where = "user_id = ? AND course_id = ? AND batch_id = ?"
        return {key: self._rows(ASSESSMENT_AGGREGATOR, where, *key) for key in keys}

    def aggregate_rows(self, keys: Collection[AggregateKey]) -> Mapping[AggregateKey, Row]:
        """As `ports.AccountStore.aggregate_rows`."""
        where = "activity_type = 'Course' AND activity_id = ? AND user_id = ? AND context_id = ?"
        found = {key: self._rows(USER_ACTIVITY_AGG, where, *key) for key in keys}
        return {key: rows[0] for key, rows in found.items() if rows}

    def attempts(self, keys: Collection[EnrolmentKey]) -> Mapping[EnrolmentKey, Sequence[Attempt]]:
        """As `ports.AttemptStore.attempts`."""
        return {
            key: [
                Attempt(
                    row["content_id"],
                    row["attempt_id"],
                    row.get("last_attempted_on"),
                    row.get("total_score", 0.0),
                    row.get("total_max_score", 0.0),
                )
                for row in sorted(rows, key=lambda row: (row["content_id"], row["attempt_id"]))
            ]
            for key, rows in self.attempt_rows(keys).items()
        }

    def _rows(self, table: Table, where: str, *key: str) -> list[Row]:
        sql = f"SELECT {', '.join(table.columns)} FROM {table.name} WHERE {where}"  # noqa: S608  # names are ours
        return [
            {
                column: from_sqlite(value, cql)
                for (column, cql), value in zip(table.columns.items(), row, strict=True)
                if value is not None
            }
            for row in self._database.rows(sql, key)
        ]
