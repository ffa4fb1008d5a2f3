"""Courses, learners and histories of any kind against the model of the rules: thousands in SQLite, some on real servers."""

from collections.abc import Iterator, Mapping
from contextlib import nullcontext
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from tests import events
from tests.contract.conftest import CassandraInstallation
from tests.fakes import Topic
from tests.generated import cuts, histories, worlds
from tests.installed import File, Installed, check_turn_by_turn
from tests.model import Update, World

from lern.adapters.embedded import Embedded
from lern.bootstrap.connected import ConnectedInstallation
from lern.ports import Platform
from lern.settings.model import JobSettings, RedisDatabases, RedisSettings


class OnServers:
    """Rows in Cassandra, sets and marks in Redis; what is sent is kept here."""

    def __init__(self, tables: CassandraInstallation, redis: RedisDatabases) -> None:
        self._tables = tables
        self._redis = redis
        of = self._settings(events.settings())
        self._installation = ConnectedInstallation({of.job: of})
        self._facts = self._installation.facts(of)
        self.topic = Topic()
        self.row = tables.row

    def _settings(self, of: JobSettings) -> JobSettings:
        return replace(of, cassandra=self._tables.settings, redis=self._redis, tables=self._tables.tables)

    def platform(self, settings: JobSettings) -> Platform:
        stores = self._installation.stores(self._settings(settings))
        return Platform(self._facts, stores, None, self.topic, nullcontext)

    def put(self, table: str, row: Mapping[str, Any]) -> None:
        self._tables.put(table, [row])

    def begin(self) -> None:
        self.topic = Topic()

    def sent(self) -> list[bytes]:
        return [message.value for message in self.topic.sent]

    def close(self) -> None:
        self._installation.close()


@pytest.fixture(scope="module")
def servers(cassandra_installation: CassandraInstallation, redis_address: str) -> Iterator[OnServers]:
    host, _, port = redis_address.rpartition(":")
    relations, collections, marks = (RedisSettings(host, int(port), database) for database in (10, 5, 13))
    place = OnServers(cassandra_installation, RedisDatabases(relations, collections, marks))
    yield place
    place.close()


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Iterator[File]:
    embedded = Embedded(tmp_path_factory.mktemp("worlds") / "lern.db")
    yield File(embedded)
    embedded.close()


@pytest.mark.timeout(300)
@given(worlds(), histories, cuts)
@settings(max_examples=2000, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_in_thousands_of_worlds_the_job_does_what_the_model_says(
    file: File, world: World, history: list[Update], cuts: list[int]
) -> None:
    check_turn_by_turn(Installed(file, world), world, history, cuts)


@given(worlds(), histories, cuts)
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_the_job_does_what_the_model_says_turn_by_turn(
    servers: OnServers, world: World, history: list[Update], cuts: list[int]
) -> None:
    check_turn_by_turn(Installed(servers, world), world, history, cuts)
