"""Where one run has its topics, tables and keys: names that no other run has."""

import secrets
from dataclasses import dataclass
from pathlib import Path

from bench.servers import Servers

JOBS = ("relation-cache-updater", "activity-aggregate-updater")
"""Run in one process."""

PARTITIONS = 4


def new_token() -> str:
    """Eight hexadecimal digits for a run's names and ids."""
    return secrets.token_hex(4)


@dataclass(frozen=True, slots=True)
class Place:
    """Names in an installation; the defaults of a run of its own are made by `own`."""

    input: str
    audit: str
    failed: str
    certificate_requests: str
    publish: str
    publish_failed: str
    courses: str
    """The keyspace of progress."""
    hierarchies: str
    """The keyspace of `content_hierarchy`."""
    group: str
    """The consumer group of the program that is measured."""
    env: str = ""
    relations: int = 10
    """Redis databases."""
    collections: int = 5
    marks: int = 13

    @property
    def topics(self) -> list[str]:
        """All topics; an empty name is none."""
        names = (
            self.input,
            self.audit,
            self.failed,
            self.certificate_requests,
            self.publish,
            self.publish_failed,
        )
        return [name for name in names if name]

    @property
    def groups(self) -> list[str]:
        """The consumer groups of both jobs."""
        return [f"{self.env}-{job}-group" for job in JOBS]


def own(token: str) -> Place:
    """A place of its own; topics, groups and keyspaces have the names that settings give them by default."""
    env = f"bench{token}"
    return Place(
        input=f"{env}.coursebatch.job.request",
        audit=f"{env}.telemetry.raw",
        failed=f"{env}.activity.agg.failed",
        certificate_requests=f"{env}.issue.certificate.request",
        publish=f"{env}.content.postpublish.request",
        publish_failed=f"{env}.content.postpublish.failed",
        courses=f"{env}_courses",
        hierarchies=f"{env}_hierarchy_store",
        group=f"{env}-activity-aggregate-updater-group",
        env=env,
    )


def write_settings(place: Place, servers: Servers, file: Path) -> Path:
    """The settings file for `lern run` on this place: addresses and names, everything else as by default."""
    cassandra_host, _, cassandra_port = servers.cassandra.rpartition(":")
    redis_host, _, redis_port = servers.redis.rpartition(":")
    file.write_text(
        f"""\
job.env = "{place.env}"
kafka.broker-servers = "{servers.kafka}"
lms-cassandra {{ host = "{cassandra_host}", port = {cassandra_port} }}
redis {{ host = "{redis_host}", port = {redis_port} }}
jobs.activity-aggregate-updater.lms-cassandra.keyspace = "{place.courses}"
jobs.assessment-aggregator.lms-cassandra.keyspace = "{place.courses}"
"""
    )
    return file
