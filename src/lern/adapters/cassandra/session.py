"""One connection to a Cassandra cluster, shared by all jobs of a process."""

import contextlib
import threading
import time
from collections import deque
from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import Any, NamedTuple

import cassandra.query
import structlog
from cassandra.cluster import NoHostAvailable, ResponseFuture, Session

from lern.adapters.cassandra.connection import connect
from lern.adapters.cassandra.decoding import Unread
from lern.adapters.cassandra.encoding import Encoder, Statement
from lern.adapters.cassandra.failures import DRIVER_ERRORS, NAME, translated
from lern.adapters.tables import Table
from lern.errors import LernError, Refused, Unavailable
from lern.settings.model import CassandraSettings

_log = structlog.get_logger(__name__)

Page = list[tuple[Any, ...]]

_TROUBLE_SECONDS = 60.0
"""For how long `available` tells of a failure that nothing has contradicted since."""

_DEFINITION_SECONDS = 60.0

_COLUMNS = (
    "SELECT column_name, type, kind, position FROM system_schema.columns"
    " WHERE keyspace_name = ? AND table_name = ?"
)

_KEYSPACE = "SELECT keyspace_name FROM system_schema.keyspaces WHERE keyspace_name = ?"


class Column(NamedTuple):
    """A column as the server describes it, types in the spelling of `adapters.tables`."""

    type: str
    kind: str
    """`partition_key`, `clustering`, `regular` or `static`."""
    position: int
    """The place in the partition key or among the clustering columns; -1 for others."""


class CassandraSession:
    """Statements, their answers and their errors. Threads may share it; nothing is opened on construction.

    Every method raises Unavailable while the cluster cannot be reached, and may be repeated. The driver reconnects by
    itself when nodes come back; when none has answered for `renew_after` seconds, the next call starts over with the
    host names of the settings, since all addresses may have changed.
    """

    def __init__(
        self,
        settings: CassandraSettings,
        *,
        in_flight: int = 64,
        request_timeout: float = 10.0,
        renew_after: float = 10.0,
    ) -> None:
        self._settings = settings
        self._in_flight = in_flight
        self._request_timeout = request_timeout
        self._renew_after = renew_after
        self._lock = threading.Lock()
        self._open: _Open | None = None
        self._closed = False
        self._lost_since: float | None = None
        self._trouble: tuple[float, str] | None = None

    def connect(self) -> None:
        """Connects unless that is done; all other methods do so by themselves.

        Raises SettingsError for a wrong password, datacenter or PEM file.
        """
        self._connected()

    def available(self) -> str | None:
        """None, or what is wrong in one line. Connects if need be; otherwise it tells what is known, at no cost."""
        try:
            opened = self._connected()
        except LernError as error:
            return str(error)
        trouble = self._trouble
        if trouble and time.monotonic() - trouble[0] < _TROUBLE_SECONDS:
            return trouble[1]
        if not any(host.is_up for host in opened.session.cluster.metadata.all_hosts()):
            return f"{NAME}: no node is up"
        return None

    def close(self) -> None:
        """Hangs up for good."""
        with self._lock:
            self._closed = True
            self._drop()

    def run(
        self, statements: Iterable[cassandra.query.Statement], in_flight: int | None = None
    ) -> list[Page]:
        """The answers of all statements, in any order, of which so many are under way at once.

        An answer of several pages is several answers. At the first error no more statements are sent, and those under
        way are waited for. Raises Unavailable, and Refused when the server will never take one of the statements.
        """
        opened = self._connected()
        try:
            pages = list(_answers(opened.session, statements, in_flight or self._in_flight))
        except DRIVER_ERRORS as error:
            raise self._failed(opened, error) from error
        self._works()
        return pages

    def scan(self, cql: str, page_size: int) -> Iterator[tuple[Any, ...]]:
        """The rows of one query as they come, so many at a time."""
        opened = self._connected()
        statement = cassandra.query.SimpleStatement(cql, fetch_size=page_size)
        try:
            yield from opened.session.execute(statement)
        except DRIVER_ERRORS as error:
            raise self._failed(opened, error) from error

    def define(self, cql: str) -> None:
        """Carries out one statement that defines something, and waits until all nodes know of it."""
        opened = self._connected()
        try:
            opened.session.execute(cql, timeout=_DEFINITION_SECONDS)
        except DRIVER_ERRORS as error:
            raise translated(error) from error

    def prepare(self, cql: str, *types: str | Encoder, unread: bool = False) -> Statement:
        """A statement, and the CQL types (or the encoders) of its markers. It is prepared once for each connection.

        `unread`: its answers are bytes (`decoding`).
        """
        opened = self._connected()
        name = (cql, types, unread)
        statement = opened.statements.get(name)
        if statement is None:
            try:
                prepared = opened.session.prepare(cql)
            except DRIVER_ERRORS as error:
                raise self._failed(opened, error) from error
            statement = Statement(Unread(prepared) if unread else prepared, types)
            opened.statements[name] = statement
        return statement

    def columns(self, where: str) -> Mapping[str, Column]:
        """The columns of `keyspace.table`; none when there is no such keyspace or table."""
        keyspace, _, table = where.lower().partition(".")
        if not keyspace:
            return {}  # a name that cannot be, and the server refuses to look for it
        query = self.prepare(_COLUMNS, "text", "text").bind(keyspace, table)
        return {
            name: Column(cql.replace("varchar", "text"), kind, position)
            for page in self.run([query])
            for name, cql, kind, position in page
        }

    def has_keyspace(self, name: str) -> bool:
        """Whether there is a keyspace of this name."""
        query = self.prepare(_KEYSPACE, "text").bind(name.lower())
        return bool(self.run([query]))

    def require(
        self, where: str, table: Table, needed: Collection[str], *, anew: bool = False
    ) -> Collection[str]:
        """The names of the columns that `where` has, asked once for each connection, or `anew`.

        Raises Unavailable when one of those that are needed is missing or has another type than in `table`: tables may
        be on their way, and without them no event can be handled, but none is at fault either.
        """
        opened = self._connected()
        columns = None if anew else opened.columns.get(where)
        if columns is None:
            columns = self.columns(where)
        reason = _lacking(where, columns, table, needed)
        if reason:
            raise self.unavailable(reason)
        opened.columns[where] = columns
        return columns.keys()

    def unavailable(self, reason: str) -> Unavailable:
        """The error for definitions that are not as they have to be, which `available` tells as well."""
        failure = Unavailable(NAME, reason)
        self._trouble = time.monotonic(), str(failure)
        return failure

    def _connected(self) -> "_Open":
        opened = self._open
        if opened is not None:
            return opened
        with self._lock:
            if self._closed:
                raise Unavailable(NAME, "the connection is closed")
            if self._open is None:
                self._open = _Open(connect(self._settings, self._request_timeout))
                self._works()
            return self._open

    def _works(self) -> None:
        if self._lost_since is not None:
            _log.info("cassandra_is_back")
        self._lost_since = self._trouble = None

    def _failed(self, opened: "_Open", error: Exception) -> LernError:
        failure = translated(error)
        if isinstance(failure, Refused):
            return self._refused(opened, failure)
        self._trouble = time.monotonic(), str(failure)
        if isinstance(error, NoHostAvailable):
            self._lost(opened, str(failure))
        return failure

    def _refused(self, opened: "_Open", refusal: Refused) -> LernError:
        """The refusal, unless a table has changed: then each and every event would be refused."""
        for where, known in list(opened.columns.items()):
            if self.columns(where) != known:
                opened.columns.clear()
                opened.statements.clear()
                return self.unavailable(f"{where} has changed")
        return refusal

    def _lost(self, opened: "_Open", reason: str) -> None:
        with self._lock:
            now = time.monotonic()
            if self._lost_since is None:
                self._lost_since = now
                _log.warning("cassandra_is_down", reason=reason)
            elif now - self._lost_since >= self._renew_after and self._open is opened:
                self._drop()

    def _drop(self) -> None:
        if self._open is not None:
            self._open.session.cluster.shutdown()
            self._open = None


class _Open:
    """A connection, and what was learnt over it."""

    def __init__(self, session: Session) -> None:
        self.session = session
        self.statements: dict[tuple[str, tuple[str | Encoder, ...], bool], Statement] = {}
        self.columns: dict[str, Mapping[str, Column]] = {}


def quoted(where: str) -> str:
    """`keyspace.table` as CQL, when `columns` or `require` has found it: it cannot be anything but a name then."""
    keyspace, _, table = where.lower().partition(".")
    return f'"{keyspace}"."{table}"'


def _answers(
    session: Session, statements: Iterable[cassandra.query.Statement], in_flight: int
) -> Iterator[Page]:
    """Waits for the oldest request whenever enough are under way.

    That costs no more than callbacks do, whose work on the driver's own thread would compete with this one's.
    """
    waiting: deque[ResponseFuture] = deque()
    try:
        for statement in statements:
            if len(waiting) >= in_flight:
                yield from _oldest(waiting)
            waiting.append(session.execute_async(statement))
        while waiting:
            yield from _oldest(waiting)
    finally:
        for future in waiting:
            with contextlib.suppress(*DRIVER_ERRORS):
                future.result()


def _oldest(waiting: deque[ResponseFuture]) -> Iterator[Page]:
    future = waiting.popleft()
    page = future.result().current_rows
    if future.has_more_pages:
        future.start_fetching_next_page()
        waiting.append(future)
    if page:
        yield page


def _lacking(where: str, columns: Mapping[str, Column], table: Table, needed: Collection[str]) -> str | None:
    if not columns:
        return f"there is no table {where}"
    for name in needed:
        if name not in columns:
            return f"{where} has no column {name}"
        if columns[name].type != table.columns[name]:
            return f"{where}.{name} is {columns[name].type}, not {table.columns[name]}"
    return None
