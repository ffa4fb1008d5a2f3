"""The type `question` as a cluster has it."""

from collections.abc import Mapping
from dataclasses import replace

from lern.adapters.cassandra.encoding import Encoder, Statement, fields_encoder
from lern.adapters.cassandra.session import CassandraSession
from lern.adapters.tables import ASSESSMENT_AGGREGATOR, QUESTION, Table

_TYPE = "SELECT field_names, field_types FROM system_schema.types WHERE keyspace_name = ? AND type_name = ?"


def attempts_table(where: str) -> Table:
    """The table of attempts, where the type of its questions is called `where` (`keyspace.type`)."""
    name = where.lower().rpartition(".")[2]
    columns = {**ASSESSMENT_AGGREGATOR.columns, "question": f"list<frozen<{name}>>"}
    return replace(ASSESSMENT_AGGREGATOR, columns=columns)


def fields(session: CassandraSession, where: str) -> dict[str, str]:
    """The fields of `keyspace.type` and their CQL types, in their order; none when there is no such type."""
    return _ask(session, session.prepare(_TYPE, "text", "text"), where)


def thawed(cql: str) -> str:
    """A type in one spelling whether parts of it are frozen or not; only good for comparison."""
    return cql.replace("varchar", "text").replace("frozen<", "").replace(">", "")


class Questions:
    """Encodes answered questions as the type at `where` wants them, whatever the order and spelling of its fields."""

    def __init__(self, session: CassandraSession, where: str) -> None:
        self._session = session
        self._where = where
        self._asked: Statement | None = None
        self._encode: Encoder | None = None

    def encoder(self) -> Encoder:
        """What encodes a list of them; the server is asked once for each connection.

        Raises Unavailable when the type lacks a field or has another one in its place: it may be on its way.
        """
        ask = self._session.prepare(_TYPE, "text", "text")
        if self._encode is None or self._asked is not ask:
            self._encode = fields_encoder(self._checked(_ask(self._session, ask, self._where)))
            self._asked = ask
        return self._encode

    def _checked(self, found: Mapping[str, str]) -> dict[str, str]:
        """The fields in their order and our spelling."""
        if not found:
            raise self._session.unavailable(f"there is no type {self._where}")
        for name, cql in QUESTION.items():
            if name not in found:
                raise self._session.unavailable(f"{self._where} has no field {name}")
            if thawed(found[name]) != thawed(cql):
                raise self._session.unavailable(f"{self._where}.{name} is {found[name]}, not {cql}")
        return {name: QUESTION.get(name, "") for name in found}


def _ask(session: CassandraSession, ask: Statement, where: str) -> dict[str, str]:
    keyspace, _, name = where.lower().partition(".")
    if not keyspace:
        return {}  # a name that cannot be, and the server refuses to look for it
    for page in session.run([ask.bind(keyspace, name)]):
        for names, types in page:
            return dict(zip(names, types, strict=True))
    return {}
