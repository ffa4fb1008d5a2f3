"""The servers that are measured against: their addresses, processes and versions, and plain clients for them."""

import json
import os
from argparse import Namespace
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
from cassandra import ConsistencyLevel
from cassandra.cluster import EXEC_PROFILE_DEFAULT, Cluster, ExecutionProfile, Session
from cassandra.policies import DCAwareRoundRobinPolicy, TokenAwarePolicy
from cassandra.query import tuple_factory
from confluent_kafka.admin import AdminClient
from redis import Redis

NAMES = ("kafka", "cassandra", "redis")

_WARNINGS = 4
"""From this level of urgency on librdkafka writes to standard error."""

_STATE = Path(__file__).resolve().parents[1] / ".cache" / "servers"


class BenchError(Exception):
    """Something that makes a measurement worthless; the text says what."""


@dataclass(frozen=True, slots=True)
class Servers:
    """Addresses as `host:port`."""

    kafka: str
    cassandra: str
    redis: str

    def processes(self) -> dict[str, psutil.Process]:
        """The server processes that `scripts/servers` has started; none for addresses from elsewhere."""
        file = Path(os.environ.get("LERN_SERVERS_STATE") or _STATE) / "state.json"
        if not file.exists():
            return {}
        found = {}
        for name, entry in json.loads(file.read_text())["servers"].items():
            process = entry["process"]
            ours = getattr(self, name).rpartition(":")[2] == str(entry["ports"]["client"])
            if process and ours and psutil.pid_exists(process["pid"]):
                found[name] = psutil.Process(process["pid"])
        return found

    def versions(self) -> dict[str, str]:
        """What the servers say of themselves; Kafka's protocol has no word for it."""
        with cassandra(self) as session:
            [(release,)] = session.execute("SELECT release_version FROM system.local")
        with redis(self, 0) as client:
            info: Any = client.info("server")  # its type leaves open whether the client is asynchronous
        return {"cassandra": release, "redis": info["redis_version"]}


def addresses(options: Namespace) -> Servers:
    """From the command line, or else from LERN_TEST_KAFKA, LERN_TEST_CASSANDRA and LERN_TEST_REDIS."""
    given = {name: getattr(options, name) or os.environ.get(f"LERN_TEST_{name.upper()}") for name in NAMES}
    missing = [name for name, address in given.items() if not address]
    if missing:
        raise BenchError(
            f"no address of {', '.join(missing)}: run `make bench`, set LERN_TEST_{missing[0].upper()}"
            f" or give --{missing[0]} HOST:PORT"
        )
    return Servers(**{name: address for name, address in given.items() if address})


@contextmanager
def cassandra(servers: Servers) -> Iterator[Session]:
    """A session of the plain driver."""
    host, _, port = servers.cassandra.rpartition(":")
    cluster = Cluster(
        [host],
        port=int(port),
        protocol_version=4,
        execution_profiles={
            EXEC_PROFILE_DEFAULT: ExecutionProfile(
                load_balancing_policy=TokenAwarePolicy(DCAwareRoundRobinPolicy()),
                consistency_level=ConsistencyLevel.LOCAL_QUORUM,
                row_factory=tuple_factory,
                request_timeout=60.0,
            )
        },
    )
    try:
        yield cluster.connect()
    finally:
        cluster.shutdown()


@contextmanager
def redis(servers: Servers, database: int) -> Iterator[Redis]:
    """A plain client of one database; answers are str."""
    host, _, port = servers.redis.rpartition(":")
    client = Redis(host=host, port=int(port), db=database, decode_responses=True)
    try:
        yield client
    finally:
        client.close()


def admin(servers: Servers) -> AdminClient:
    """A plain administrator of topics and groups."""
    return AdminClient({"bootstrap.servers": servers.kafka, "log_level": _WARNINGS})
