"""The tables of an installation: how they are created, and how those of a cluster differ from what jobs expect."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from lern.adapters.cassandra.questions import attempts_table, fields, thawed
from lern.adapters.cassandra.session import CassandraSession, Column
from lern.adapters.tables import (
    CONTENT_CONSUMPTION,
    CONTENT_HIERARCHY,
    QUESTION,
    USER_ACTIVITY_AGG,
    USER_ENROLMENTS,
    Table,
)
from lern.errors import SettingsError
from lern.settings.model import Tables

_NAME = re.compile(r"[a-z]\w{0,47}", re.ASCII)
"""What a keyspace or table can be called; the settings' upper-case letters count as lower-case ones, as in CQL."""


@dataclass(frozen=True, slots=True)
class UserType:
    """A type of an installation; `fields` map names to CQL types."""

    name: str
    fields: Mapping[str, str]


QUESTION_TYPE = UserType("question", QUESTION)

Definition = Table | UserType


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


def named(tables: Tables) -> Mapping[str, Definition]:
    """What lies under each `keyspace.table` of the settings, types before the tables that have columns of them.

    Raises SettingsError for what cannot be a name.
    """
    result: dict[str, Definition] = {
        tables.content_consumption: CONTENT_CONSUMPTION,
        tables.user_enrolments: USER_ENROLMENTS,
        tables.user_activity_agg: USER_ACTIVITY_AGG,
        tables.question: QUESTION_TYPE,
        tables.assessment_aggregator: attempts_table(tables.question),
        tables.content_hierarchy: CONTENT_HIERARCHY,
    }
    for where in result:
        keyspace, _, name = where.lower().partition(".")
        if not (_NAME.fullmatch(keyspace) and _NAME.fullmatch(name)):
            raise SettingsError(f"lms-cassandra: {where!r} is not the name of a table (keyspace.table)")
    return {where.lower(): definition for where, definition in result.items()}


def create_keyspace(name: str, replication_factor: int) -> str:
    """The statement that creates a keyspace unless there is one."""
    replication = f"{{'class': 'SimpleStrategy', 'replication_factor': {replication_factor}}}"
    return f"CREATE KEYSPACE IF NOT EXISTS {name} WITH replication = {replication}"


def create_table(where: str, table: Table) -> str:
    """The statement that creates a table as `keyspace.table` unless there is one."""
    columns = "".join(f"  {name} {cql},\n" for name, cql in table.columns.items())
    key = ", ".join((f"({', '.join(table.partition_key)})", *table.clustering))
    return f"CREATE TABLE IF NOT EXISTS {where} (\n{columns}  PRIMARY KEY ({key})\n)"


def create_type(where: str, definition: UserType) -> str:
    """The statement that creates a type as `keyspace.type` unless there is one."""
    inner = ",\n".join(f"  {name} {cql}" for name, cql in definition.fields.items())
    return f"CREATE TYPE IF NOT EXISTS {where} (\n{inner}\n)"


def check(session: CassandraSession, tables: Mapping[str, Definition]) -> list[Difference]:
    """What is missing or different of `named` tables; columns that jobs do not know are fine. Raises Unavailable."""
    found: list[Difference] = []
    missing: set[str] = set()
    for where, table in tables.items():
        keyspace = where.partition(".")[0]
        if keyspace in missing:
            continue
        there = _there(session, where, table)
        if there:
            found += differences(where, table, there)
        elif session.has_keyspace(keyspace):
            found.append(Difference(where, "a type" if isinstance(table, UserType) else "a table", None))
        else:
            missing.add(keyspace)
            found.append(Difference(keyspace, "a keyspace", None))
    return found


def apply(
    session: CassandraSession, tables: Mapping[str, Definition], replication_factor: int = 1
) -> list[str]:
    """Creates keyspaces, types and tables that are missing, and returns their names; what exists is never altered.

    Keyspaces get SimpleStrategy: enough for one datacenter. Where there are more, create them by hand beforehand.
    """
    created: list[str] = []
    for where, table in tables.items():
        keyspace = where.partition(".")[0]
        if not session.has_keyspace(keyspace):
            session.define(create_keyspace(keyspace, replication_factor))
            created.append(keyspace)
        if not _there(session, where, table):
            session.define(_create(where, table))
            created.append(where)
    return created


def _create(where: str, definition: Definition) -> str:
    if isinstance(definition, UserType):
        return create_type(where, definition)
    return create_table(where, definition)


def _there(session: CassandraSession, where: str, definition: Definition) -> Mapping[str, Column]:
    """The columns of a table, the fields of a type; none when it is missing."""
    if isinstance(definition, Table):
        return session.columns(where)
    types = fields(session, where).items()
    return {name: Column(cql, "field", at) for at, (name, cql) in enumerate(types)}


def differences(where: str, definition: Definition, columns: Mapping[str, Column]) -> Iterator[Difference]:
    """How the columns of one table (or the fields of a type) differ from those that are expected."""
    if isinstance(definition, Table):
        yield from _key_differences(where, definition, columns)
        expected: Mapping[str, str] = definition.columns
    else:
        expected = definition.fields
    for name, cql in expected.items():
        if name not in columns:
            yield Difference(f"{where}.{name}", cql, None)
        elif not _same(columns[name].type, cql, definition):
            yield Difference(f"{where}.{name}", cql, columns[name].type)


def _key_differences(where: str, table: Table, columns: Mapping[str, Column]) -> Iterator[Difference]:
    actual = (_key(columns, "partition_key"), _key(columns, "clustering"))
    if actual == table.other_key:
        return
    expected = (table.partition_key, table.clustering)
    for kind, wanted, found in zip(("partition_key", "clustering"), expected, actual, strict=True):
        if wanted != found:
            yield Difference(where, f"{kind} {_names(wanted)}", f"{kind} {_names(found)}")


def _key(columns: Mapping[str, Column], kind: str) -> tuple[str, ...]:
    key = sorted((column.position, name) for name, column in columns.items() if column.kind == kind)
    return tuple(name for _, name in key)


def _same(found: str, expected: str, definition: Definition) -> bool:
    """Whether two types are the same; in YugabyteDB more of a type's fields is frozen, which is all one to writers."""
    if isinstance(definition, UserType):
        return thawed(found) == thawed(expected)
    return found == expected


def _names(columns: tuple[str, ...]) -> str:
    return f"({', '.join(columns)})"
