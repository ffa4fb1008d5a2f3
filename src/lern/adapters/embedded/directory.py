"""Who is enrolled in a course, by the embedded file."""

from collections.abc import Collection, Iterator, Mapping, Sequence

import msgspec

from lern.adapters.embedded.database import Database, from_sqlite
from lern.adapters.tables import USER_ENROLMENTS
from lern.domain.model import AggregateKey, BatchId, CourseId, EnrolmentKey, UserId
from lern.ports import EnrolledPage, Standing

_MATCHING = "FROM user_enrolments WHERE courseid = ? AND coalesce(batchid = ?, TRUE)"

_position = msgspec.json.Decoder(tuple[str, str]).decode


class EmbeddedDirectory:
    """Implements `ports.EnrolmentDirectory` on the file; positions are learner and batch."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def enrolled(
        self, course: CourseId, batch: BatchId | None, *, after: str | None = None, at_once: int = 500
    ) -> Iterator[EnrolledPage]:
        """As `ports.EnrolmentDirectory.enrolled`."""
        last = _position(after) if after else ("", "")
        sql = f"SELECT userid, batchid {_MATCHING} AND (userid, batchid) > (?, ?) ORDER BY 1, 2 LIMIT ?"
        count = f"SELECT count(*), count((userid, batchid) <= (?, ?) OR NULL) {_MATCHING}"  # ours
        [(total, read)] = self._database.rows(count, (*last, course, batch))
        while rows := self._database.rows(sql, (course, batch, *last, at_once)):
            last, read = rows[-1], read + len(rows)
            keys = [EnrolmentKey(UserId(user), course, BatchId(its)) for user, its in rows]
            position = msgspec.json.encode(last).decode()
            yield EnrolledPage(keys, position, min(read / max(total, 1), 1.0))

    def enrolments_of(self, user: UserId, course: CourseId, batch: BatchId | None) -> Sequence[EnrolmentKey]:
        """As `ports.EnrolmentDirectory.enrolments_of`."""
        sql = f"SELECT batchid {_MATCHING} AND userid = ? ORDER BY 1"  # ours
        rows = self._database.rows(sql, (course, batch, user))
        return [EnrolmentKey(user, course, BatchId(its)) for (its,) in rows]

    def standings(self, keys: Collection[EnrolmentKey]) -> Mapping[EnrolmentKey, Standing]:
        """As `ports.EnrolmentDirectory.standings`."""
        columns = ("progress", "status", "completedon", "contentstatus")
        types = [USER_ENROLMENTS.columns[column] for column in columns]
        sql = f"SELECT {', '.join(columns)} FROM user_enrolments WHERE userid = ? AND courseid = ? AND batchid = ?"  # noqa: S608  # ours
        found = {}
        for key in keys:
            for row in self._database.rows(sql, key):
                progress, status, completed_on, contents = map(from_sqlite, row, types)
                found[key] = Standing(progress, status, completed_on, contents or {})
        return found

    def completed_counts(self, keys: Collection[AggregateKey]) -> Mapping[AggregateKey, float]:
        """As `ports.EnrolmentDirectory.completed_counts`."""
        sql = (
            "SELECT json_extract(aggregates, '$.completedCount') FROM user_activity_agg"
            " WHERE activity_type = 'Course' AND activity_id = ? AND user_id = ? AND context_id = ?"
        )
        found = {key: self._database.rows(sql, key) for key in keys}
        return {key: float(rows[0][0]) for key, rows in found.items() if rows and rows[0][0] is not None}
