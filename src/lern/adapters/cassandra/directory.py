"""Who is enrolled in a course: `user_enrolments`, read from one end to the other by its key."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from itertools import groupby
from operator import itemgetter

from lern.adapters.cassandra.encoding import moment
from lern.adapters.cassandra.progress import requests
from lern.adapters.cassandra.session import CassandraSession, quoted
from lern.adapters.tables import USER_ACTIVITY_AGG, USER_ENROLMENTS
from lern.domain.model import AggregateKey, BatchId, ContentId, CourseId, EnrolmentKey, UserId
from lern.ports import EnrolledPage, Standing
from lern.settings.model import Tables

_PAGE = 5_000
"""Keys in one answer: half a megabyte."""

_SCANNED = 50_000
"""After so many keys a page ends although it is not full, so that the caller hears how far the reading is."""

_LEARNERS = 20
_FIRST_TOKEN, _TOKENS = -(2**63), 2**64
"""Of the partitioner that clusters have by default; with another one only the estimate is wrong."""

_KEY = ("userid", "courseid", "batchid")


class CassandraDirectory:
    """Implements `ports.EnrolmentDirectory`.

    Positions are tokens of learners, whose order is that of the table: reading goes on behind one whatever has become of
    the connection, the node or this process.
    """

    def __init__(self, session: CassandraSession, tables: Tables) -> None:
        self._session = session
        self._tables = tables

    def enrolled(
        self, course: CourseId, batch: BatchId | None, *, after: str | None = None, at_once: int = 500
    ) -> Iterator[EnrolledPage]:
        """As `ports.EnrolmentDirectory.enrolled`."""
        where = self._tables.user_enrolments
        self._session.require(where, USER_ENROLMENTS, _KEY)
        behind = "" if after is None else f" WHERE token(userid) > {int(after)}"
        select = f"SELECT token(userid), userid, courseid, batchid FROM {quoted(where)}{behind}"  # noqa: S608  # a name that exists, a number
        found: list[EnrolmentKey] = []
        scanned, token = 0, None
        for token, rows in groupby(self._session.scan(select, _PAGE), itemgetter(0)):
            for _, user, its_course, its_batch in rows:
                scanned += 1
                if its_course == course and batch in {None, its_batch}:
                    found.append(EnrolmentKey(UserId(user), course, BatchId(its_batch)))
            if len(found) >= at_once or scanned >= _SCANNED:
                yield EnrolledPage(found, str(token), _share(token))
                found, scanned = [], 0
        if token is not None:
            yield EnrolledPage(found, str(token), 1.0)

    def enrolments_of(self, user: UserId, course: CourseId, batch: BatchId | None) -> Sequence[EnrolmentKey]:
        """As `ports.EnrolmentDirectory.enrolments_of`."""
        where = self._tables.user_enrolments
        self._session.require(where, USER_ENROLMENTS, _KEY)
        select = self._session.prepare(
            f"SELECT batchid FROM {quoted(where)} WHERE userid = ? AND courseid = ?",  # noqa: S608  # a name that exists
            "text",
            "text",
        )
        batches = [its for page in self._session.run([select.bind(user, course)]) for (its,) in page]
        return [EnrolmentKey(user, course, BatchId(its)) for its in batches if batch in {None, its}]

    def standings(self, keys: Collection[EnrolmentKey]) -> Mapping[EnrolmentKey, Standing]:
        """As `ports.EnrolmentDirectory.standings`."""
        if not keys:
            return {}
        wanted, where = frozenset(keys), self._tables.user_enrolments
        self._session.require(
            where, USER_ENROLMENTS, (*_KEY, "progress", "status", "completedon", "contentstatus")
        )
        select = self._session.prepare(
            "SELECT userid, courseid, batchid, progress, status, tounixtimestamp(completedon), contentstatus"  # noqa: S608  # a name that exists
            f" FROM {quoted(where)} WHERE userid IN ? AND courseid IN ? AND batchid IN ?",
            *(("list<text>",) * 3),
        )
        found: dict[EnrolmentKey, Standing] = {}
        for page in self._session.run(
            select.bind(*(dict.fromkeys(parts) for parts in zip(*group, strict=True)))
            for group in requests(wanted)
        ):
            for user, course, batch, progress, status, completed, contents in page:
                key = EnrolmentKey(UserId(user), CourseId(course), BatchId(batch))
                completed_on = None if completed is None else moment(completed)
                statuses = {ContentId(content): its for content, its in (contents or {}).items()}
                found[key] = Standing(progress, status, completed_on, statuses)
        return {key: found[key] for key in wanted & found.keys()}

    def completed_counts(self, keys: Collection[AggregateKey]) -> Mapping[AggregateKey, float]:
        """As `ports.EnrolmentDirectory.completed_counts`; many learners of one course or unit in one query."""
        if not keys:
            return {}
        wanted, where = frozenset(keys), self._tables.user_activity_agg
        self._session.require(where, USER_ACTIVITY_AGG, (*USER_ACTIVITY_AGG.primary_key, "aggregates"))
        select = self._session.prepare(
            f"SELECT activity_id, user_id, context_id, aggregates FROM {quoted(where)}"  # noqa: S608  # a name that exists
            " WHERE activity_type = 'Course' AND activity_id = ? AND user_id IN ? AND context_id = ?",
            "text",
            "list<text>",
            "text",
        )
        place = itemgetter(0, 2)
        statements = (
            select.bind(activity, [key.user for key in group[start : start + _LEARNERS]], context)
            for (activity, context), same in groupby(sorted(wanted, key=place), place)
            for group in [list(same)]
            for start in range(0, len(group), _LEARNERS)
        )
        return {
            AggregateKey(activity, UserId(user), context): aggregates["completedCount"]
            for page in self._session.run(statements)
            for activity, user, context, aggregates in page
            if aggregates and "completedCount" in aggregates
        }


def _share(token: int) -> float:
    return min(max((token - _FIRST_TOKEN) / _TOKENS, 0.0), 1.0)
