"""The tables of an installation, embedded and on Cassandra, for the suites of the ports that use them."""

import uuid
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Protocol

import pytest
from cassandra.cluster import EXEC_PROFILE_DEFAULT, Cluster, ExecutionProfile
from cassandra.cluster import Session as DriverSession
from cassandra.concurrent import execute_concurrent
from cassandra.policies import RoundRobinPolicy
from cassandra.query import BatchStatement, BatchType, dict_factory
from tests.keyspaces import new_tables

from lern.adapters.cassandra import (
    CassandraAttempts,
    CassandraDirectory,
    CassandraHierarchies,
    CassandraProgress,
    CassandraSession,
    CassandraWriter,
    schema,
)
from lern.adapters.embedded import Embedded
from lern.domain.model import BatchId, CourseId, EnrolmentKey, UserId
from lern.job import SetAggregates, SetAttempt, SetConsumption, SetEnrolment
from lern.ports import AttemptStore, EnrolmentDirectory, HierarchyStore, ProgressStore
from lern.settings.model import CassandraSettings, JobSettings, Profile, Topics

RowWrite = SetConsumption | SetAggregates | SetEnrolment | SetAttempt


class Installation(Protocol):
    """Ports on the tables of an installation, and these tables as other services see them."""

    @property
    def progress(self) -> ProgressStore: ...
    @property
    def directory(self) -> EnrolmentDirectory: ...
    @property
    def hierarchies(self) -> HierarchyStore: ...
    @property
    def attempts(self) -> AttemptStore: ...

    def apply(self, writes: Sequence[RowWrite]) -> None:
        """As `ports.Stores.apply`."""

    def put(self, table: str, rows: Iterable[Mapping[str, object]]) -> None:
        """Writes rows that all have the same columns."""

    def row(self, table: str, **key: str) -> dict[str, Any] | None:
        """One row; an empty map or list of Cassandra is null."""


class EmbeddedInstallation:
    """On a file of its own."""

    def __init__(self, file: Path) -> None:
        self._embedded = Embedded(file)
        self.progress = self._embedded.facts().progress
        self.hierarchies = self._embedded.facts().hierarchies
        self.attempts = self._embedded.facts().attempts
        self.directory = self._embedded.directory()
        settings = JobSettings(
            "any", "test", Profile.EMBEDDED, "any", Topics("in", "failed"), None, None, None
        )
        self.apply = self._embedded.stores(settings).apply
        self.row = self._embedded.row
        self.close = self._embedded.close

    def put(self, table: str, rows: Iterable[Mapping[str, object]]) -> None:
        with self._embedded.transaction():
            for row in rows:
                self._embedded.put(table, row)


class CassandraInstallation:
    """In keyspaces of its own; rows are put and read back over another connection, by the driver's own means."""

    def __init__(self, host: str, port: int, *, other_attempts: bool = False) -> None:
        self.settings = CassandraSettings((host,), port)
        self._session = CassandraSession(self.settings)
        self._opened = ExitStack()
        self.tables = tables = self._opened.enter_context(
            new_tables(self._session, other_attempts=other_attempts)
        )
        self._places = {table.name: where for where, table in schema.named(tables).items()}
        self.progress = CassandraProgress(self._session, tables)
        self.hierarchies = CassandraHierarchies(self._session, tables.content_hierarchy)
        self.attempts = CassandraAttempts(self._session, tables)
        self.directory = CassandraDirectory(self._session, tables)
        self.apply = CassandraWriter(self._session, tables, 10).apply
        profile = ExecutionProfile(RoundRobinPolicy(), row_factory=dict_factory)
        self._cluster = Cluster(
            (host,), port, protocol_version=4, execution_profiles={EXEC_PROFILE_DEFAULT: profile}
        )
        self._other: DriverSession = self._cluster.connect()

    def put(self, table: str, rows: Iterable[Mapping[str, object]]) -> None:
        rows = list(rows)
        names, marks = ", ".join(rows[0]), ", ".join("?" * len(rows[0]))
        insert = self._other.prepare(f"INSERT INTO {self._places[table]} ({names}) VALUES ({marks})")  # noqa: S608  # names of the test
        batches = []
        for start in range(0, len(rows), 50):
            batches.append(batch := BatchStatement(BatchType.UNLOGGED))
            batch.add_all([insert] * 50, [list(row.values()) for row in rows[start : start + 50]])
        execute_concurrent(self._other, [(batch, ()) for batch in batches])

    def row(self, table: str, **key: str) -> dict[str, Any] | None:
        where = " AND ".join(f"{column} = ?" for column in key)
        select = self._other.prepare(f"SELECT * FROM {self._places[table]} WHERE {where}")  # noqa: S608  # names of the test
        found = self._other.execute(select, list(key.values())).one()
        return found and {column: plain(value) for column, value in found.items()}

    def close(self) -> None:
        self._opened.close()
        self._cluster.shutdown()
        self._session.close()


def plain(value: Any) -> Any:
    """A value of the driver as its embedded counterpart: maps and types as dicts, times aware."""
    if isinstance(value, datetime):
        return value.replace(tzinfo=UTC)
    if isinstance(value, Mapping):
        return {key: plain(each) for key, each in value.items()}
    if isinstance(value, list):
        return [plain(each) for each in value]
    if isinstance(value, tuple) and hasattr(
        value, "_asdict"
    ):  # what the driver makes of a type of the keyspace
        return plain(value._asdict())
    return value


@pytest.fixture(scope="session")
def cassandra_installation(cassandra_address: tuple[str, int]) -> Iterator[CassandraInstallation]:
    installation = CassandraInstallation(*cassandra_address)
    yield installation
    installation.close()


@pytest.fixture(scope="session")
def cassandra_with_other_attempts(cassandra_address: tuple[str, int]) -> Iterator[CassandraInstallation]:
    installation = CassandraInstallation(*cassandra_address, other_attempts=True)
    yield installation
    installation.close()


@pytest.fixture(params=["embedded", "cassandra"])
def installation(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Installation]:
    """The tables on Cassandra stay for all tests, which use ids that nobody else has."""
    if request.param == "cassandra":
        yield request.getfixturevalue("cassandra_installation")
    else:
        embedded = EmbeddedInstallation(tmp_path / "lern.db")
        yield embedded
        embedded.close()


@pytest.fixture(params=["embedded", "cassandra_installation", "cassandra_with_other_attempts"])
def assessments(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Installation]:
    """The tables, those of attempts in both layouts."""
    if request.param == "embedded":
        embedded = EmbeddedInstallation(tmp_path / "lern.db")
        yield embedded
        embedded.close()
    else:
        yield request.getfixturevalue(request.param)


@pytest.fixture
def enrolment() -> EnrolmentKey:
    """A new learner in a new batch of a new course."""
    some = uuid.uuid4().hex
    return EnrolmentKey(UserId(f"user-{some}"), CourseId(f"do_{some}"), BatchId(f"batch-{some}"))


@pytest.fixture(
    params=[
        'it\'s "quoted" -- ; DROP TABLE users',
        "शिक्षार्थी",
        "மாணவர் 👩🏽‍🎓",
        "x" * 500,
        "%s ? :name {} \\ \n \x00",
    ],
    ids=["quotes", "Devanagari", "emoji", "500 characters", "marks"],
)
def odd(request: pytest.FixtureRequest) -> str:
    """An id of which something could go wrong."""
    return str(request.param)
