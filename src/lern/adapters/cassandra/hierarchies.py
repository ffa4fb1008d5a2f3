"""Reads of course hierarchies."""

from collections.abc import Collection, Iterator, Mapping

from lern.adapters.cassandra.session import CassandraSession, quoted
from lern.adapters.tables import CONTENT_HIERARCHY
from lern.domain.model import CourseId

_IN_FLIGHT = 4
"""A hierarchy can have megabytes: this many at once keep server and network busy enough."""

_PAGE = 500


class CassandraHierarchies:
    """Implements `ports.HierarchyStore` on `keyspace.table`."""

    def __init__(self, session: CassandraSession, table: str) -> None:
        self._session = session
        self._table = table

    def hierarchies(self, courses: Collection[CourseId]) -> Mapping[CourseId, bytes]:
        """As `ports.HierarchyStore.hierarchies`."""
        if not courses or not self._configured("identifier", "hierarchy"):
            return {}
        select = self._session.prepare(
            f"SELECT identifier, hierarchy FROM {quoted(self._table)} WHERE identifier = ?",  # noqa: S608  # a name that exists
            "text",
        )
        # No row has an empty key, and the server refuses to look for one.
        statements = (select.bind(course) for course in dict.fromkeys(courses) if course)
        return {
            CourseId(course): hierarchy.encode()
            for page in self._session.run(statements, _IN_FLIGHT)
            for course, hierarchy in page
            if hierarchy and not hierarchy.isspace()
        }

    def courses(self) -> Iterator[CourseId]:
        """As `ports.HierarchyStore.courses`."""
        if self._configured("identifier"):
            select = f"SELECT DISTINCT identifier FROM {quoted(self._table)}"  # noqa: S608  # a name that exists
            yield from (CourseId(course) for (course,) in self._session.scan(select, _PAGE))

    def _configured(self, *needed: str) -> bool:
        if not self._session.columns(self._table):
            return False
        self._session.require(self._table, CONTENT_HIERARCHY, needed)
        return True
