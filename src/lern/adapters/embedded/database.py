"""The one SQLite file of the embedded profile: its schema, its connection, its transactions."""

import fcntl
import os
import sqlite3
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import lru_cache
from pathlib import Path
from typing import IO, Any

import msgspec

from lern.adapters.tables import TABLES, Table
from lern.errors import SettingsError, Unavailable

_BUSY_SECONDS = 30.0

_OWN_TABLES = """
CREATE TABLE IF NOT EXISTS relation_cache (
  course TEXT NOT NULL, node TEXT NOT NULL, relation TEXT NOT NULL, members TEXT NOT NULL,
  PRIMARY KEY (course, node, relation)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS collection_cache (identifier TEXT PRIMARY KEY, json TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS dedup_marks (mark TEXT PRIMARY KEY, expires INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS contributions (
  user TEXT NOT NULL, course TEXT NOT NULL, batch TEXT NOT NULL, content TEXT NOT NULL, counts TEXT NOT NULL,
  PRIMARY KEY (user, course, batch, content)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS topics (topic TEXT PRIMARY KEY, partitions INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS messages (
  topic TEXT NOT NULL, partition INTEGER NOT NULL, "offset" INTEGER NOT NULL,
  timestamp INTEGER NOT NULL, key BLOB, value BLOB, headers BLOB,
  PRIMARY KEY (topic, partition, "offset")) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS ends (
  topic TEXT NOT NULL, partition INTEGER NOT NULL, following INTEGER NOT NULL,
  PRIMARY KEY (topic, partition)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS positions (
  "group" TEXT NOT NULL, topic TEXT NOT NULL, partition INTEGER NOT NULL, following INTEGER NOT NULL,
  PRIMARY KEY ("group", topic, partition)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS replayed (
  topic TEXT NOT NULL, partition INTEGER NOT NULL, "offset" INTEGER NOT NULL, timestamp INTEGER NOT NULL,
  PRIMARY KEY (topic, partition, "offset", timestamp)) WITHOUT ROWID;
"""

_SQLITE_TYPES = {"int": "INTEGER", "boolean": "INTEGER", "float": "REAL", "double": "REAL"}


class Database:
    """One connection, shared by all threads of the process; a lock keeps their transactions apart.

    Maps and lists are stored as JSON text, times as ISO 8601 text in UTC, so that `sqlite3 FILE` is a way to look.
    """

    def __init__(self, file: Path) -> None:
        self.file = file
        self.lock = threading.RLock()
        self.rolled_back: list[Callable[[], None]] = []
        """Called when a transaction is taken back, by those who remember what the file holds."""
        self._depth = 0
        try:
            file.parent.mkdir(parents=True, exist_ok=True)
            self.connection = sqlite3.connect(
                file,
                timeout=_BUSY_SECONDS,
                isolation_level=None,
                check_same_thread=False,
                cached_statements=256,
            )
            self.connection.execute("PRAGMA journal_mode = WAL")
            self.connection.execute("PRAGMA synchronous = FULL")
            self.connection.execute("PRAGMA cache_size = -16384")
            self.connection.executescript(schema())
        except (sqlite3.DatabaseError, OSError) as error:
            raise SettingsError(f"embedded.file: cannot use {file}: {error}") from error

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """All or nothing; one inside of another is part of it. Raises Unavailable when another process holds the file."""
        with self.lock:
            if self._depth:
                self._depth += 1
                try:
                    yield
                finally:
                    self._depth -= 1
                return
            with translated():
                self.connection.execute("BEGIN IMMEDIATE")
            self._depth = 1
            try:
                yield
                with translated():
                    self.connection.execute("COMMIT")
            except BaseException:
                if self.connection.in_transaction:  # with a full disk, SQLite has taken it back by itself
                    self.connection.execute("ROLLBACK")
                for forget in self.rolled_back:
                    forget()
                raise
            finally:
                self._depth = 0

    def rows(self, sql: str, parameters: Sequence[object] = ()) -> list[tuple[Any, ...]]:
        """The answer of one query."""
        with self.lock, translated():
            return self.connection.execute(sql, parameters).fetchall()

    def put(self, name: str, row: Mapping[str, object]) -> None:
        """Writes one row of a table of the installation; columns that are not given stay as they are."""
        table = _table(name)
        columns = ", ".join(row)
        changes = ", ".join(
            f"{column} = excluded.{column}" for column in row if column not in table.primary_key
        )
        sql = (
            f"INSERT INTO {name} ({columns}) VALUES ({', '.join('?' * len(row))})"  # noqa: S608  # names are ours
            f" ON CONFLICT DO {f'UPDATE SET {changes}' if changes else 'NOTHING'}"
        )
        with self.transaction(), translated():
            self.connection.execute(sql, [to_sqlite(value) for value in row.values()])

    def row(self, name: str, **key: str) -> dict[str, Any] | None:
        """One row of a table of the installation, with maps, lists and times as Python values."""
        table = _table(name)
        where = " AND ".join(f"{column} = ?" for column in key)
        sql = f"SELECT {', '.join(table.columns)} FROM {name} WHERE {where}"  # noqa: S608  # names are ours
        found = self.rows(sql, list(key.values()))
        if not found:
            return None
        types = table.columns.items()
        return {column: from_sqlite(value, cql) for (column, cql), value in zip(types, found[0], strict=True)}

    def close(self) -> None:
        """Closes the file."""
        with self.lock:
            self.connection.close()


@contextmanager
def translated() -> Iterator[None]:
    """SQLite's errors as ours: a file that is busy or full may be usable later."""
    try:
        yield
    except sqlite3.OperationalError as error:
        raise Unavailable("sqlite", str(error)) from error


def schema() -> str:
    """The SQL that creates whatever is missing."""
    return "\n".join([*map(_create, TABLES), _OWN_TABLES])


def _create(table: Table) -> str:
    columns = [f"{name} {_SQLITE_TYPES.get(cql, 'TEXT')}" for name, cql in table.columns.items()]
    body = ", ".join([*columns, f"PRIMARY KEY ({', '.join(table.primary_key)})"])
    return f"CREATE TABLE IF NOT EXISTS {table.name} ({body}) WITHOUT ROWID;"


def _table(name: str) -> Table:
    return next(table for table in TABLES if table.name == name)


def to_sqlite(value: object) -> object:
    """A column's value as SQLite holds it."""
    if isinstance(value, datetime):
        return timestamp(value)
    if isinstance(value, dict | list):
        return msgspec.json.encode(value).decode()
    return value


def from_sqlite(value: Any, cql: str) -> Any:  # any column of any type
    """The reverse of `to_sqlite` for a column of the given CQL type."""
    if value is None:
        return None
    match cql:
        case "timestamp":
            return datetime.fromisoformat(value)
        case "map<text, timestamp>":
            return {key: datetime.fromisoformat(moment) for key, moment in msgspec.json.decode(value).items()}
        case "boolean":
            return bool(value)
        case _ if cql.startswith(("map", "list")):
            return msgspec.json.decode(value)
        case _:
            return value


@lru_cache(maxsize=64)
def timestamp(moment: datetime) -> str:
    """A time as text: `2026-11-23T09:30:00.000+00:00`."""
    return moment.astimezone(UTC).isoformat(timespec="milliseconds")


class ProcessLock:
    """At most one process runs jobs on a file; released by the system whatever happens to its holder."""

    def __init__(self, file: Path) -> None:
        path = file.with_name(file.name + ".lock")
        self._handle: IO[str] = path.open("a+")
        try:
            fcntl.flock(self._handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            self._handle.seek(0)
            holder = self._handle.read().strip() or "unknown"
            self._handle.close()
            raise SettingsError(f"embedded.file: {file} is in use by process {holder}") from error
        self._handle.truncate(0)
        self._handle.write(str(os.getpid()))
        self._handle.flush()

    def release(self) -> None:
        """Lets another process in."""
        self._handle.close()
