"""Installations on the real servers for the tests from outside."""

from collections.abc import Callable, Iterator

import pytest
from tests.conformance.load import Load, Outcome
from tests.conformance.process import Running, run
from tests.conformance.servers import Keyspaces, Servers, unique
from tests.conformance.site import ACTIVITY, RELATIONS, Site

NewSite = Callable[..., Site]


@pytest.fixture(scope="session")
def servers(kafka_address: str, cassandra_address: tuple[str, int], redis_address: str) -> Iterator[Servers]:
    """Plain clients of the three servers."""
    servers = Servers(kafka_address, cassandra_address, redis_address)
    yield servers
    servers.close()


@pytest.fixture(scope="session")
def keyspaces(servers: Servers) -> Iterator[Keyspaces]:
    """The tables that all sites share; their tests use ids that nobody else has."""
    names = Keyspaces(unique("courses"), unique("hierarchy"))
    servers.create_keyspaces(names)
    yield names
    servers.drop_keyspaces(names)


@pytest.fixture(scope="session")
def new_site(servers: Servers, keyspaces: Keyspaces, tmp_path_factory: pytest.TempPathFactory) -> NewSite:
    """Makes an installation with topics, groups and files of its own; takes settings of the activity job."""

    def make(settings: dict[str, str] | None = None, partitions: int = 4) -> Site:
        return Site(servers, tmp_path_factory.mktemp("site"), keyspaces, settings or {}, partitions)

    return make


@pytest.fixture(scope="session")
def site(new_site: NewSite) -> Site:
    """The installation of most tests."""
    return new_site()


@pytest.fixture(scope="module")
def jobs(site: Site) -> Iterator[Running]:
    """Both jobs at work on that installation."""
    with Running(site, [RELATIONS, ACTIVITY]) as running:
        yield running


@pytest.fixture(scope="session")
def undisturbed(new_site: NewSite) -> Outcome:
    """What comes of the load when nothing happens on the way; it is what the specification says."""
    site = new_site()
    load = Load(site)
    load.prepare()
    load.send(load.events)
    run(site, ACTIVITY, idle=2, seconds=110)
    seen = load.seen()
    assert seen == load.expected
    assert len(load.events) > 2000
    assert sum(what[0] == "certificate" for what in seen.told) > 30
    return seen
