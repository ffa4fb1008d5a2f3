"""Reads of enrolments and consumption."""

from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from itertools import groupby
from operator import itemgetter

from lern.adapters.cassandra.encoding import moment
from lern.adapters.cassandra.session import CassandraSession, Page, quoted
from lern.adapters.tables import CONTENT_CONSUMPTION, USER_ENROLMENTS, Table
from lern.domain.model import (
    BatchId,
    Consumption,
    ContentId,
    CourseId,
    Enrolment,
    EnrolmentKey,
    Status,
    UserId,
)
from lern.settings.model import Tables

_LEARNERS = 20
"""Learners of one batch in one query: their partitions cost a sixth of what single queries do. Not more, since that
is what managed clusters allow, and a slow partition holds up only so many others."""

_MIXED = 5
"""Enrolments of different batches in one query. It matches every learner with every course and every batch, twenty-five
combinations in each partition, of which nearly all are empty."""

_KEY = ("userid", "courseid", "batchid")


class CassandraProgress:
    """Implements `ports.ProgressStore`."""

    def __init__(self, session: CassandraSession, tables: Tables) -> None:
        self._session = session
        self._tables = tables

    def enrolments(self, keys: Collection[EnrolmentKey]) -> Mapping[EnrolmentKey, Enrolment]:
        """As `ports.ProgressStore.enrolments`."""
        wanted = frozenset(keys)
        found = {}
        for page in self._pages(
            self._tables.user_enrolments, USER_ENROLMENTS, ("status", "completedon"), wanted
        ):
            for *key, status, completed in page:
                found[enrolment_key(key)] = Enrolment(
                    Status.NOT_STARTED if status is None else status,
                    None if completed is None else moment(completed),
                )
        return {key: found[key] for key in wanted & found.keys()}

    def consumption(
        self, keys: Collection[EnrolmentKey]
    ) -> Mapping[EnrolmentKey, Mapping[ContentId, Consumption]]:
        """As `ports.ProgressStore.consumption`."""
        wanted = frozenset(keys)
        found: defaultdict[EnrolmentKey, dict[ContentId, Consumption]] = defaultdict(dict)
        columns = ("contentid", "status", "viewcount", "completedcount")
        table = self._tables.content_consumption
        for page in self._pages(table, CONTENT_CONSUMPTION, columns, wanted):
            for key, rows in groupby(page, itemgetter(0, 1, 2)):
                if key in wanted:
                    found[enrolment_key(key)].update(
                        (
                            content,
                            Consumption(
                                Status.IN_PROGRESS if status is None else status, views or 0, done or 0
                            ),
                        )
                        for _, _, _, content, status, views, done in rows
                    )
        return dict(found)

    def _pages(
        self, where: str, table: Table, columns: Sequence[str], keys: Collection[EnrolmentKey]
    ) -> list[Page]:
        return pages(self._session, (where, table), _KEY, columns, keys)


def pages(
    session: CassandraSession,
    place: tuple[str, Table],
    key_columns: Sequence[str],
    columns: Sequence[str],
    keys: Collection[EnrolmentKey],
) -> list[Page]:
    """Rows of a table (its `keyspace.table` and what it is): the key columns of enrolments and the given ones.

    Among them may be rows of no key that was asked for. Times are milliseconds: the driver hangs up when it meets a time
    that Python does not know, and one such row, of a writer who took microseconds for milliseconds, would hold up its
    partition for good.
    """
    if not keys:
        return []
    where, table = place
    session.require(where, table, (*key_columns, *columns))
    values = (f"tounixtimestamp({name})" if table.columns[name] == "timestamp" else name for name in columns)
    select = session.prepare(
        f"SELECT {', '.join((*key_columns, *values))} FROM {quoted(where)}"  # noqa: S608  # names that exist
        f" WHERE {' AND '.join(f'{name} IN ?' for name in key_columns)}",
        *(("list<text>",) * len(key_columns)),
    )
    return session.run(
        select.bind(*(dict.fromkeys(parts) for parts in zip(*group, strict=True))) for group in requests(keys)
    )


def requests(keys: Collection[EnrolmentKey]) -> Iterator[Sequence[EnrolmentKey]]:
    """Keys by query: many learners of one batch together; where a batch has few, a few of different ones."""
    batches: defaultdict[tuple[CourseId, BatchId], list[EnrolmentKey]] = defaultdict(list)
    for key in keys:
        batches[key.course, key.batch].append(key)
    others: list[EnrolmentKey] = []
    for batch in batches.values():
        for group in _pieces(batch, _LEARNERS):
            if len(group) < _MIXED:
                others += group
            else:
                yield group
    yield from _pieces(others, _MIXED)


def _pieces(keys: Sequence[EnrolmentKey], size: int) -> Iterator[Sequence[EnrolmentKey]]:
    return (keys[start : start + size] for start in range(0, len(keys), size))


def enrolment_key(parts: Sequence[str]) -> EnrolmentKey:
    """The key that three columns make."""
    user, course, batch = parts
    return EnrolmentKey(UserId(user), CourseId(course), BatchId(batch))
