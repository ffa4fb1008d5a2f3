"""The connected profile, put together: Kafka, Cassandra, Redis and the platform's HTTP services."""

from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import ExitStack, nullcontext
from typing import Protocol, TypeVar

from lern.adapters.cassandra import (
    CassandraAccounts,
    CassandraAttempts,
    CassandraDirectory,
    CassandraHierarchies,
    CassandraProgress,
    CassandraSession,
    CassandraWriter,
    schema,
)
from lern.adapters.http.contents import ContentDirectory
from lern.adapters.http.search import NoDirectory, SearchDirectory
from lern.adapters.kafka import KafkaConsumer, KafkaLog, KafkaObserver
from lern.adapters.redis import (
    EnrolmentLists,
    RedisContents,
    RedisContributions,
    RedisJournal,
    RedisMarks,
    RedisProbe,
    RedisReplays,
    RelationSets,
    RelationWriter,
)
from lern.bootstrap.topics import missing_topics
from lern.job import (
    ForgetEnrolmentList,
    PutRow,
    ReplaceRelation,
    SetAggregates,
    SetAttempt,
    SetConsumption,
    SetContributions,
    SetEnrolment,
    SetUnit,
    Write,
)
from lern.jobs import JOBS
from lern.monitoring.server import Probes
from lern.ports import Facts, Log, Platform, Replays, Stores, Upkeep
from lern.settings.model import CassandraSettings, JobSettings, RedisSettings


class _Closable(Protocol):
    def close(self) -> None: ...


_Opened = TypeVar("_Opened", bound=_Closable)
_Value = TypeVar("_Value")


class ConnectedStores:
    """Implements `ports.Stores`: every kind of write goes to the server that it belongs to."""

    def __init__(
        self,
        tables: CassandraWriter,
        caches: RelationWriter,
        lists: EnrolmentLists,
        marks: RedisMarks,
        contributions: RedisContributions,
    ) -> None:
        self._contributions = contributions
        self._tables = tables
        self._caches = caches
        self._lists = lists
        self._marks = marks

    def apply(self, writes: Sequence[Write]) -> None:
        """As `ports.Stores.apply`.

        What rows are made of comes first: a merge that stops half-way then knows what it was about to add. Lists are
        dropped last, so that nobody makes them again from older rows.
        """
        self._contributions.apply([w for w in writes if isinstance(w, SetContributions)])
        self._tables.apply(
            [
                write
                for write in writes
                if isinstance(write, SetConsumption | SetAggregates | SetEnrolment | SetAttempt | PutRow)
            ]
        )
        self._caches.apply([w for w in writes if isinstance(w, ReplaceRelation | SetUnit)])
        self._lists.apply([w for w in writes if isinstance(w, ForgetEnrolmentList)])

    def mark(self, marks: Collection[str]) -> None:
        """As `ports.Stores.mark`."""
        self._marks.mark(marks)


class ConnectedInstallation:
    """Implements `Installation`. Nothing is connected before it is used; jobs share one connection to Cassandra."""

    def __init__(self, settings: Mapping[str, JobSettings]) -> None:
        self._settings = settings
        self._any = next(iter(settings.values()))
        self._sessions: dict[CassandraSettings, CassandraSession] = {}
        self._watched: dict[RedisSettings, None] = {}
        self._probes: dict[str, Callable[[], str | None]] = {}
        self._facts: dict[str, Facts] = {}
        self._opened = ExitStack()

    def facts(self, settings: JobSettings) -> Facts:
        """As `Installation.facts`; shared by all threads of a job."""
        if settings.job not in self._facts:
            self._facts[settings.job] = self._new_facts(settings)
        return self._facts[settings.job]

    def _new_facts(self, settings: JobSettings) -> Facts:
        redis = _configured(settings.redis)
        session = self._session(_configured(settings.cassandra))
        search, expiry = settings.search_base, settings.activity.collection_status_expiry
        self._watch(redis.relations, redis.collections, redis.marks)
        return Facts(
            hierarchies=CassandraHierarchies(session, settings.tables.content_hierarchy),
            relations=self._open(RelationSets(redis.relations)),
            progress=CassandraProgress(session, settings.tables),
            marks=self._open(RedisMarks(redis.marks, settings.activity.mark_expiry)),
            collections=self._open(SearchDirectory(search, expiry) if search else NoDirectory()),
            accounts=CassandraAccounts(session, settings.tables),
            contributions=self._open(RedisContributions(redis.marks)),
            attempts=CassandraAttempts(session, settings.tables),
            contents=self._open(
                ContentDirectory(RedisContents(redis.collections), settings.assessment.content_read_api)
            ),
        )

    def stores(self, settings: JobSettings) -> Stores:
        """As `Installation.stores`."""
        redis = _configured(settings.redis)
        session = self._session(_configured(settings.cassandra))
        return ConnectedStores(
            CassandraWriter(session, settings.tables, settings.batch.write_size),
            self._open(RelationWriter(redis.relations, redis.collections)),
            self._open(EnrolmentLists(redis.enrolments)),
            self._open(RedisMarks(redis.marks, settings.activity.mark_expiry)),
            self._open(RedisContributions(redis.marks)),
        )

    def platform(self, settings: JobSettings, *, observe: bool = False) -> Platform:
        """As `Installation.platform`."""
        member = KafkaObserver if observe else KafkaConsumer
        consumer = member(_configured(settings.kafka), settings.topics.input, settings.group)
        self._probes[f"kafka ({settings.job}, {len(self._probes)})"] = consumer.available
        return Platform(
            facts=self.facts(settings),
            stores=self.stores(settings),
            journal=self._open(RedisJournal(_configured(settings.redis).marks, settings.group)),
            consumer=consumer,
            transaction=nullcontext,
        )

    def upkeep(self, settings: JobSettings, *, observe: bool = False) -> Upkeep:  # noqa: ARG002  # nothing is taken
        """As `Installation.upkeep`."""
        session = self._session(_configured(settings.cassandra))
        return Upkeep(
            facts=self.facts(settings),
            directory=CassandraDirectory(session, settings.tables),
            stores=self.stores(settings),
            journal=self._open(RedisJournal(_configured(settings.redis).marks, settings.group)),
            log=self.log(),
            transaction=nullcontext,
        )

    def log(self) -> Log:
        """As `Installation.log`."""
        return self._open(KafkaLog(_configured(self._any.kafka)))

    def replays(self, settings: JobSettings) -> Replays:
        """As `Installation.replays`."""
        return self._open(RedisReplays(_configured(settings.redis).marks, settings.topics.failed))

    def probes(self) -> Probes:
        """As `Installation.probes`."""
        return self._probes

    def schema_differences(self) -> list[str]:
        """As `Installation.schema_differences`."""
        session = self._session(_configured(self._any.cassandra))
        tables = [str(difference) for difference in schema.check(session, self._tables())]
        return tables + [f"topic {topic} is missing" for topic in missing_topics(self.log(), self._settings)]

    def create_schema(self, replication: int, partitions: int) -> list[str]:
        """As `Installation.create_schema`."""
        session, log = self._session(_configured(self._any.cassandra)), self.log()
        created = schema.apply(session, self._tables(), replication)
        missing = missing_topics(log, self._settings)
        log.create(missing, partitions)
        return created + [f"topic {topic}" for topic in missing]

    def _tables(self) -> dict[str, schema.Definition]:
        """The tables and types of all jobs, by the names that they have here."""
        return {
            where: table
            for job, one in self._settings.items()
            for where, table in schema.named(one.tables).items()
            if table.name in JOBS[job].tables
        }

    def close(self) -> None:
        """As `Installation.close`."""
        self._opened.close()

    def _session(self, settings: CassandraSettings) -> CassandraSession:
        if settings not in self._sessions:
            session = self._open(CassandraSession(settings))
            self._sessions[settings] = session
            self._probes["cassandra"] = session.available
        return self._sessions[settings]

    def _watch(self, *databases: RedisSettings) -> None:
        self._watched.update(dict.fromkeys(databases))
        self._probes["redis"] = self._open(RedisProbe(self._watched)).available

    def _open(self, opened: _Opened) -> _Opened:
        """Remembers to close it."""
        self._opened.callback(opened.close)
        return opened


def _configured(value: _Value | None) -> _Value:
    """What the connected profile cannot do without; the settings have been checked for it."""
    if value is None:
        raise AssertionError("connected without its servers")
    return value
