"""The tables of an installation: how they are created, and how those of a cluster differ from what jobs expect."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from lern.adapters.cassandra.session import CassandraSession, Column
from lern.adapters.tables import (
    CONTENT_CONSUMPTION,
    CONTENT_HIERARCHY,
    USER_ACTIVITY_AGG,
    USER_ENROLMENTS,
    Table,
)
from lern.errors import SettingsError
from lern.settings.model import Tables

_NAME = re.compile(r"[a-z]\w{0,47}", re.ASCII)
"""What a keyspace or table can be called; the settings' upper-case letters count as lower-case ones, as in CQL."""


@dataclass(frozen=True, slots=True)
class Difference:
    """Something in a cluster that is not as jobs expect it."""

    where: str
    """`keyspace`, `keyspace.table` or `keyspace.table.column`."""
    expected: str
    found: str | None
    """None: it is missing."""

    def __str__(self) -> str:
        if self.found is None:
            return f"{self.where} is missing (expected: {self.expected})"
        return f"{self.where} is {self.found}, not {self.expected}"


def named(tables: Tables) -> Mapping[str, Table]:
    """What lies under each `keyspace.table` of the settings. Raises SettingsError for what cannot be a name."""
    result = {
        tables.content_consumption: CONTENT_CONSUMPTION,
        tables.user_enrolments: USER_ENROLMENTS,
        tables.user_activity_agg: USER_ACTIVITY_AGG,
        tables.content_hierarchy: CONTENT_HIERARCHY,
    }
    for where in result:
        keyspace, _, name = where.lower().partition(".")
        if not (_NAME.fullmatch(keyspace) and _NAME.fullmatch(name)):
            raise SettingsError(f"lms-cassandra: {where!r} is not the name of a table (keyspace.table)")
    return {where.lower(): table for where, table in result.items()}


def create_keyspace(name: str, replication_factor: int) -> str:
    """The statement that creates a keyspace unless there is one."""
    replication = f"{{'class': 'SimpleStrategy', 'replication_factor': {replication_factor}}}"
    return f"CREATE KEYSPACE IF NOT EXISTS {name} WITH replication = {replication}"


def create_table(where: str, table: Table) -> str:
    """The statement that creates a table as `keyspace.table` unless there is one."""
    columns = "".join(f"  {name} {cql},\n" for name, cql in table.columns.items())
    key = ", ".join((f"({', '.join(table.partition_key)})", *table.clustering))
    return f"CREATE TABLE IF NOT EXISTS {where} (\n{columns}  PRIMARY KEY ({key})\n)"


def check(session: CassandraSession, tables: Mapping[str, Table]) -> list[Difference]:
    """What is missing or different of `named` tables; columns that jobs do not know are fine. Raises Unavailable."""
    found: list[Difference] = []
    missing: set[str] = set()
    for where, table in tables.items():
        keyspace = where.partition(".")[0]
        if keyspace in missing:
            continue
        columns = session.columns(where)
        if columns:
            found += differences(where, table, columns)
        elif session.has_keyspace(keyspace):
            found.append(Difference(where, "a table", None))
        else:
            missing.add(keyspace)
            found.append(Difference(keyspace, "a keyspace", None))
    return found


def apply(session: CassandraSession, tables: Mapping[str, Table], replication_factor: int = 1) -> list[str]:
    """Creates keyspaces and tables that are missing, and returns their names; what exists is never altered.

    Keyspaces get SimpleStrategy: enough for one datacenter. Where there are more, create them by hand beforehand.
    """
    created: list[str] = []
    for where, table in tables.items():
        keyspace = where.partition(".")[0]
        if not session.has_keyspace(keyspace):
            session.define(create_keyspace(keyspace, replication_factor))
            created.append(keyspace)
        if not session.columns(where):
            session.define(create_table(where, table))
            created.append(where)
    return created


def differences(where: str, table: Table, columns: Mapping[str, Column]) -> Iterator[Difference]:
    """How the columns of one table differ from those that are expected."""
    for kind, expected in (("partition_key", table.partition_key), ("clustering", table.clustering)):
        key = sorted((column.position, name) for name, column in columns.items() if column.kind == kind)
        actual = tuple(name for _, name in key)
        if actual != expected:
            yield Difference(where, f"{kind} {_names(expected)}", f"{kind} {_names(actual)}")
    for name, cql in table.columns.items():
        if name not in columns:
            yield Difference(f"{where}.{name}", cql, None)
        elif columns[name].type != cql:
            yield Difference(f"{where}.{name}", cql, columns[name].type)


def _names(columns: tuple[str, ...]) -> str:
    return f"({', '.join(columns)})"
