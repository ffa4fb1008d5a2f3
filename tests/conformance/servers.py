"""Plain clients of the real Kafka, Cassandra and Redis, and the tables of an installation as it makes them."""

import json
import time
import uuid
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from typing import Any, NamedTuple, TypeVar, cast

import redis
from cassandra import DriverException
from cassandra.cluster import EXEC_PROFILE_DEFAULT, Cluster, ExecutionProfile, NoHostAvailable
from cassandra.cluster import Session as CassandraSession
from cassandra.policies import ConstantReconnectionPolicy, RoundRobinPolicy
from cassandra.query import dict_factory
from confluent_kafka import (
    OFFSET_BEGINNING,
    Consumer,
    KafkaError,
    KafkaException,
    Producer,
    TopicPartition,
)
from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewTopic

Json = dict[str, Any]
Found = TypeVar("Found")
_Headers = list[tuple[str, bytes]]

COLLECTION_CACHE, RELATION_CACHE, MARKS = 5, 10, 13
"""Redis databases."""

_NOT_YET = {
    KafkaError.NOT_COORDINATOR,
    KafkaError.COORDINATOR_NOT_AVAILABLE,
    KafkaError.COORDINATOR_LOAD_IN_PROGRESS,
    KafkaError._WAIT_COORD,  # noqa: SLF001  # its public name
    KafkaError._TIMED_OUT,  # noqa: SLF001  # its public name
}

CONSUMPTION, ENROLMENTS, AGGREGATES = "user_content_consumption", "user_enrolments", "user_activity_agg"
ASSESSMENTS = "assessment_aggregator"

QUESTION_TYPE = """id text, assess_ts timestamp, max_score double, score double, type text, title text,
    resvalues list<frozen<map<text, text>>>, params list<frozen<map<text, text>>>, description text, duration decimal"""

COURSE_TABLES = {
    CONSUMPTION: """userid text, courseid text, batchid text, contentid text, completedcount int, datetime timestamp,
        lastaccesstime text, lastcompletedtime text, lastupdatedtime text, last_access_time timestamp,
        last_completed_time timestamp, last_updated_time timestamp, progress int, status int, viewcount int,
        completionpercentage float, progressdetails text, PRIMARY KEY (userid, courseid, batchid, contentid)""",
    ENROLMENTS: """userid text, courseid text, batchid text, active boolean, addedby text,
        certificates list<frozen<map<text, text>>>, completedon timestamp, completionpercentage int,
        contentstatus map<text, int>, datetime timestamp, enrolleddate text, enrolled_date timestamp,
        issued_certificates list<frozen<map<text, text>>>, lastreadcontentid text, lastreadcontentstatus int,
        lastcontentaccesstime timestamp, certstatus int, progress int, status int,
        PRIMARY KEY (userid, courseid, batchid)""",
    AGGREGATES: """activity_type text, activity_id text, user_id text, context_id text, agg map<text, int>,
        aggregates map<text, double>, agg_last_updated map<text, timestamp>, agg_details list<text>,
        PRIMARY KEY ((activity_type, activity_id, user_id), context_id)""",
    ASSESSMENTS: """user_id text, course_id text, batch_id text, content_id text, attempt_id text,
        created_on timestamp, grand_total text, last_attempted_on timestamp, question list<frozen<question>>,
        total_max_score double, total_score double, updated_on timestamp,
        PRIMARY KEY ((user_id, course_id), batch_id, content_id, attempt_id)""",
}
HIERARCHY_TABLE = "identifier text PRIMARY KEY, hierarchy text, relational_metadata text"


class Message(NamedTuple):
    """A message as a consumer of the topic gets it; the value is the JSON in it."""

    partition: int
    offset: int
    key: str | None
    value: Json
    headers: dict[str, str]


class Keyspaces(NamedTuple):
    """Where an installation has its tables."""

    courses: str
    hierarchy: str


def eventually(look: Callable[[], Found], wanted: Callable[[Found], bool], seconds: float = 30) -> Found:
    """What is seen once it is as wanted, or what is seen at the end of that time."""
    deadline = time.monotonic() + seconds
    while not wanted(found := look()) and time.monotonic() < deadline:
        time.sleep(0.05)
    return found


def unique(kind: str) -> str:
    """An id that nobody else has."""
    return f"{kind}_{uuid.uuid4().hex[:16]}"


class Servers:
    """Plain clients of the three servers."""

    def __init__(self, kafka: str, cassandra: tuple[str, int], redis_address: str) -> None:
        self.kafka, self.cassandra, self.redis_address = kafka, cassandra, redis_address
        profile = ExecutionProfile(RoundRobinPolicy(), row_factory=dict_factory, request_timeout=60)
        self._cluster = Cluster(
            (cassandra[0],),
            cassandra[1],
            protocol_version=4,
            execution_profiles={EXEC_PROFILE_DEFAULT: profile},
            reconnection_policy=ConstantReconnectionPolicy(1, None),
        )
        self.cql: CassandraSession = self._cluster.connect()
        self.admin = AdminClient({"bootstrap.servers": kafka, "log_level": 0})
        self.producer = Producer(
            {"bootstrap.servers": kafka, "enable.idempotence": True, "compression.type": "snappy"}
            | {"message.max.bytes": 5_000_000, "log_level": 0, "linger.ms": 0}
        )
        self._stable, self._raw = self._reader("read_committed"), self._reader("read_uncommitted")
        self._asking: dict[tuple[str, str], Consumer] = {}
        self._redis: dict[int, redis.Redis] = {}

    def redis(self, database: int) -> redis.Redis:
        """One database, texts as str."""
        if database not in self._redis:
            host, _, port = self.redis_address.rpartition(":")
            self._redis[database] = redis.Redis(host, int(port), database, decode_responses=True)
        return self._redis[database]

    def close(self) -> None:
        """Hangs up."""
        self.producer.flush(10)
        for consumer in (self._stable, self._raw, *self._asking.values()):
            consumer.close()
        self._cluster.shutdown()
        for client in self._redis.values():
            client.close()

    # --- Cassandra ----------------------------------------------------------------------------------------------

    def wait_for_cassandra(self) -> None:
        """Returns when this connection, too, has seen the end of an outage."""
        assert eventually(self._cassandra_answers, bool)

    def _cassandra_answers(self) -> bool:
        try:
            self.cql.execute("SELECT release_version FROM system.local")
        except (NoHostAvailable, DriverException):
            return False
        return True

    def create_keyspaces(self, names: Keyspaces, tables: Mapping[str, str] | None = None) -> None:
        """The keyspaces with their tables; `tables` are those of courses, by default of today's shape."""
        placed = {f"{names.courses}.{name}": columns for name, columns in (tables or COURSE_TABLES).items()}
        for keyspace in names:
            replication = "{'class': 'SimpleStrategy', 'replication_factor': 1}"
            self.cql.execute(f"CREATE KEYSPACE {keyspace} WITH replication = {replication}")
        self.cql.execute(f"CREATE TYPE {names.courses}.question ({QUESTION_TYPE})")
        for place, columns in {**placed, f"{names.hierarchy}.content_hierarchy": HIERARCHY_TABLE}.items():
            self.cql.execute(f"CREATE TABLE {place} ({columns})")

    def drop_keyspaces(self, names: Keyspaces) -> None:
        """Removes both."""
        self.wait_for_cassandra()
        for keyspace in names:
            self.cql.execute(f"DROP KEYSPACE {keyspace}")

    # --- Kafka --------------------------------------------------------------------------------------------------

    def create_topics(self, names: Iterable[str], partitions: int) -> None:
        """Topics with the usual limits; returns when brokers and clients know of all their partitions."""
        made = self.admin.create_topics([NewTopic(name, partitions, 1) for name in names])
        for name, future in made.items():
            future.result(30)
            assert len(eventually(partial(self._known, name), bool)) == partitions

    def _known(self, topic: str) -> dict[int, int]:
        try:
            return self.ends(topic)
        except KafkaException:
            return {}

    def ends(self, topic: str, *, committed_only: bool = False) -> dict[int, int]:
        """The offset behind the last message of each partition, as a consumer of that kind sees it."""
        client = self._stable if committed_only else self._raw
        known = client.list_topics(topic, timeout=30).topics[topic].partitions
        places = [TopicPartition(topic, number) for number in known]
        return {place.partition: client.get_watermark_offsets(place, timeout=30)[1] for place in places}

    def positions(self, group: str, topic: str, *, stable: bool = True) -> dict[int, int]:
        """The committed positions of a group; partitions without one are missing.

        None is known while the coordinator is on its way, and (`stable`) while a transaction is about to change some.
        """
        # Not by an AdminClient: librdkafka ends the process when a coordinator that has just started answers it.
        isolation = "read_committed" if stable else "read_uncommitted"
        if (group, isolation) not in self._asking:
            self._asking[group, isolation] = self._reader(isolation, group)
        asking = self._asking[group, isolation]
        known = asking.list_topics(topic, timeout=30).topics[topic].partitions
        try:
            places = asking.committed([TopicPartition(topic, number) for number in known], timeout=5)
        except KafkaException as error:
            if error.args[0].code() not in _NOT_YET:
                raise
            return {}
        return {place.partition: place.offset for place in places if place.offset >= 0 and not place.error}

    def members(self, group: str) -> int:
        """How many members the group has."""
        described = self.admin.describe_consumer_groups([group], request_timeout=30)[group]
        try:
            return len(described.result(30).members)
        except Exception as error:
            if error.args and error.args[0].code() == KafkaError.GROUP_ID_NOT_FOUND:
                return 0
            raise

    def read(self, topic: str) -> list[Message]:
        """All messages that a read-committed consumer gets, once no transaction hides any."""
        ends = eventually(
            lambda: (self.ends(topic), self.ends(topic, committed_only=True)), lambda e: e[0] == e[1]
        )[1]
        consumer = self._stable
        consumer.assign([TopicPartition(topic, number, OFFSET_BEGINNING) for number in ends])
        unread, found = {number for number, end in ends.items() if end}, list[Message]()
        deadline = time.monotonic() + 60
        while unread and time.monotonic() < deadline:
            for record in consumer.consume(500, 0.03):
                error, partition, offset = record.error(), record.partition(), record.offset()
                assert partition is not None
                assert offset is not None
                if error is None:
                    key, headers = record.key(), cast("_Headers", record.headers() or [])
                    found.append(
                        Message(
                            partition,
                            offset,
                            None if key is None else key.decode(),
                            json.loads(record.value() or b""),
                            {name: value.decode() for name, value in headers},
                        )
                    )
                elif error.code() == KafkaError._PARTITION_EOF and offset >= ends[partition]:  # noqa: SLF001  # its public name
                    unread.discard(partition)
        consumer.unassign()
        assert not unread, f"{topic}: partitions {unread} could not be read to their ends"
        return sorted(found, key=lambda message: message[:2])

    def _reader(self, isolation: str, group: str = "") -> Consumer:
        """A consumer that subscribes to nothing, so that it never becomes a member of the group it names."""
        return Consumer(
            {
                "bootstrap.servers": self.kafka,
                "group.id": group or unique("reader"),
                "enable.auto.commit": False,
            }
            | {"isolation.level": isolation, "enable.partition.eof": True, "log_level": 0}
            | {"fetch.wait.max.ms": 5, "fetch.error.backoff.ms": 10}
        )
