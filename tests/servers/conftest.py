"""The real Cassandra, and tables of a test module's own on it."""

from collections.abc import Iterator

import pytest
from tests.keyspaces import new_tables

from lern.adapters.cassandra import CassandraSession
from lern.settings.model import CassandraSettings, Tables


@pytest.fixture(scope="module")
def cassandra_settings(cassandra_address: tuple[str, int]) -> CassandraSettings:
    host, port = cassandra_address
    return CassandraSettings((host,), port)


@pytest.fixture(scope="module")
def cassandra_session(cassandra_settings: CassandraSettings) -> Iterator[CassandraSession]:
    session = CassandraSession(cassandra_settings)
    yield session
    session.close()


@pytest.fixture(scope="module")
def cassandra_tables(cassandra_session: CassandraSession) -> Iterator[Tables]:
    """Tables as jobs expect them, in two keyspaces."""
    with new_tables(cassandra_session) as tables:
        yield tables
