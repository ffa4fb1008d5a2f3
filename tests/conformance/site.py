"""An installation of its own on the real servers, made and looked at by plain drivers alone.

Nothing of the package is imported here: tables, topics and settings files are written as an installation has them.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from cassandra.concurrent import execute_concurrent_with_args
from tests.conformance import conf
from tests.conformance.servers import Json, Keyspaces, Message, Servers, eventually, unique

RELATIONS = "relation-cache-updater"
ACTIVITY = "activity-aggregate-updater"
ASSESSMENT = "assessment-aggregator"
RECONCILIATION = "enrolment-reconciliation"
MERGE = "merge-user-courses"

_TOPICS = {
    RELATIONS: ("content.postpublish.request", "content.postpublish.failed"),
    ACTIVITY: ("coursebatch.job.request", "activity.agg.failed"),
    ASSESSMENT: ("telemetry.assess", "telemetry.assess.failed"),
    RECONCILIATION: ("batch.enrolment.sync.request", "enrolment.reconciliation.failed"),
    MERGE: ("lms.user.account.merge", "learning.events.failed"),
}
"""What each job reads, and where its failed records go."""


@dataclass
class Site:
    """One installation: an environment's name with its topics and groups, settings files, and tables."""

    servers: Servers
    folder: Path
    keyspaces: Keyspaces
    settings: Mapping[str, str] = field(default_factory=dict)
    """Lines that are added to the files of all jobs but relation-cache-updater."""
    partitions: int = 4
    env: str = field(default_factory=lambda: unique("e"))

    def __post_init__(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        conf.write(self)
        self.servers.create_topics(
            (
                *(self.input(job) for job in _TOPICS),
                *(self.failed_topic(job) for job in _TOPICS),
                *(self.audit_topic, self.certificate_topic),
            ),
            self.partitions,
        )

    # --- Topics -------------------------------------------------------------------------------------------------

    def input(self, job: str) -> str:
        """The topic that a job reads."""
        return f"{self.env}.{_TOPICS[job][0]}"

    def failed_topic(self, job: str) -> str:
        """The topic of a job's failed records."""
        return f"{self.env}.{_TOPICS[job][1]}"

    @property
    def audit_topic(self) -> str:
        """AUDIT telemetry."""
        return f"{self.env}.telemetry.raw"

    @property
    def certificate_topic(self) -> str:
        """Requests to issue certificates."""
        return f"{self.env}.issue.certificate.request"

    def group(self, job: str) -> str:
        """The consumer group of a job."""
        return f"{self.env}-{job}-group"

    def send(
        self,
        job: str,
        values: Sequence[bytes],
        *,
        key: str | None = None,
        partition: int | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        """Produces messages to the job's input, and waits until they are there."""
        delivered: list[object] = []
        for value in values:
            self.servers.producer.produce(
                self.input(job),
                value,
                key,
                on_delivery=lambda error, _: delivered.append(error),
                headers=dict(headers or {}),
                partition=-1 if partition is None else partition,
            )
        self.servers.producer.flush(60)
        assert delivered == [None] * len(values)

    def behind(self, job: str) -> int:
        """How many messages of the input are not yet committed by the job's group."""
        done = self.servers.positions(self.group(job), self.input(job))
        return sum(end - done.get(number, 0) for number, end in self.servers.ends(self.input(job)).items())

    def settle(self, job: str = ACTIVITY, seconds: float = 40) -> None:
        """Waits until the job has committed all of its input."""
        left = eventually(lambda: self.behind(job), lambda behind: behind == 0, seconds)
        assert left == 0, f"{job} has not handled {left} messages"

    def failed(self, job: str = ACTIVITY) -> list[Message]:
        """The failed records."""
        return self.servers.read(self.failed_topic(job))

    def audits(self, user: str) -> list[Message]:
        """AUDIT telemetry about a learner."""
        return [m for m in self.servers.read(self.audit_topic) if m.value["actor"]["id"] == user]

    def certificate_requests(self, user: str) -> list[Message]:
        """The requests to issue certificates to a learner."""
        found = self.servers.read(self.certificate_topic)
        return [m for m in found if m.value["edata"]["userIds"] == [user]]

    # --- Tables -------------------------------------------------------------------------------------------------

    def table(self, name: str) -> str:
        """A table with its keyspace."""
        return f"{self.keyspaces.hierarchy if name == 'content_hierarchy' else self.keyspaces.courses}.{name}"

    def put(self, table: str, *rows: Mapping[str, object]) -> None:
        """Writes rows that have the same columns."""
        names = ", ".join(rows[0])
        marks = ", ".join("?" * len(rows[0]))
        insert = f"INSERT INTO {self.table(table)} ({names}) VALUES ({marks})"  # noqa: S608  # names of the tests
        statement = self.servers.cql.prepare(insert)
        execute_concurrent_with_args(self.servers.cql, statement, [tuple(row.values()) for row in rows])

    def rows(self, table: str, what: str = "*", **key: str) -> list[Json]:
        """Rows of one partition or one key; maps as dicts, times aware, empty collections None."""
        where = " AND ".join(f"{column} = ?" for column in key)
        query = f"SELECT {what} FROM {self.table(table)} WHERE {where}"  # noqa: S608  # names of the tests
        found = self.servers.cql.execute(self.servers.cql.prepare(query), list(key.values()))
        return [{column: plain(value) for column, value in row.items()} for row in found]

    def put_hierarchy(self, course: str, tree: object) -> None:
        """What the publisher has stored of a course."""
        text = tree if isinstance(tree, str) else json.dumps(tree)
        self.put("content_hierarchy", {"identifier": course, "hierarchy": text})


def plain(value: Any) -> Any:
    """A value of the driver as ordinary Python: maps as dicts, times aware."""
    if isinstance(value, datetime):
        return value.replace(tzinfo=UTC)
    if isinstance(value, Mapping):
        return {key: plain(each) for key, each in value.items()}
    return value
