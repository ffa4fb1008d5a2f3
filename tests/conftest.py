"""Fixtures for the tests that need real servers: `make test` starts them, `scripts/servers exec -- CMD` too."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

_SCRIPT = Path(__file__).resolve().parents[1] / "scripts" / "servers"


class Outage:
    """Stops servers and starts them again, on the same ports with the same data.

    A test names this type by `if TYPE_CHECKING: from tests.conftest import Outage`.
    """

    def __init__(self) -> None:
        self._stopped: set[str] = set()

    def stop(self, name: str, *, kill: bool = False) -> None:
        """Stop `kafka`, `cassandra` or `redis`; `kill` is a crash (SIGKILL)."""
        self._stopped.add(name)
        self._run("stop", name, *(["--kill"] if kill else []))

    def start(self, name: str) -> None:
        """Start the server again and wait until it answers."""
        self._run("start", name)
        self._stopped.discard(name)

    def end(self) -> None:
        """Start all servers that are still stopped."""
        for name in sorted(self._stopped):
            self.start(name)

    @staticmethod
    def _run(*arguments: str) -> None:
        done = subprocess.run(
            [sys.executable, _SCRIPT, *arguments], capture_output=True, text=True, check=False
        )
        if done.returncode:
            pytest.fail(f"scripts/servers {' '.join(arguments)}: {done.stderr.strip()}", pytrace=False)


@pytest.fixture(scope="session")
def kafka_address() -> str:
    """`host:port` of a Kafka broker."""
    return _address("LERN_TEST_KAFKA")


@pytest.fixture(scope="session")
def cassandra_address() -> tuple[str, int]:
    """Host and port of a Cassandra node."""
    host, _, port = _address("LERN_TEST_CASSANDRA").rpartition(":")
    return host, int(port)


@pytest.fixture(scope="session")
def redis_address() -> str:
    """`host:port` of a Redis."""
    return _address("LERN_TEST_REDIS")


@pytest.fixture
def outage() -> Iterator[Outage]:
    """Outages of servers, which are over when the test has ended."""
    outage = Outage()
    yield outage
    outage.end()


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Tests that stop servers come last, in whatever order the others are: clients of other tests live through no outage."""
    items.sort(key=lambda item: "outage" in getattr(item, "fixturenames", ()))


def _address(variable: str) -> str:
    address = os.environ.get(variable)
    if not address:
        pytest.fail(f'{variable} is not set: run `make test`, or eval "$(scripts/servers up)"', pytrace=False)
    return address
