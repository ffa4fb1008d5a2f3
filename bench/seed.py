"""Topics, tables, rows and sets of a run, made with the plain drivers, and removed again."""

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future
from contextlib import contextmanager
from datetime import UTC, datetime
from itertools import islice

from cassandra.cluster import Session
from cassandra.concurrent import execute_concurrent
from cassandra.query import BatchStatement, BatchType
from confluent_kafka import KafkaError, KafkaException
from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewTopic
from redis import Redis

from bench.load import Load
from bench.place import PARTITIONS, Place
from bench.servers import Servers, admin, cassandra, redis
from lern.adapters.tables import CONTENT_HIERARCHY, QUESTION, TABLES, Table

_WAIT = 30.0
"""Seconds for any answer of an administrator's client."""

_STARTED = datetime(2026, 1, 5, 9, 30, tzinfo=UTC)
_STARTED_TEXT = "2026-01-05 09:30:00:000+0000"


@contextmanager
def prepared(servers: Servers, place: Place, *, groups: bool = True) -> Iterator[None]:
    """A place with empty topics and tables, which are gone afterwards, as are its `groups` if there are any."""
    try:
        create(servers, place)
        yield
    finally:
        drop(servers, place, groups=groups)


@contextmanager
def filled(servers: Servers, place: Place, load: Load) -> Iterator[None]:
    """What a load needs to be there before its events, and is gone afterwards, with what they led to."""
    try:
        fill(servers, place, load)
        yield
    finally:
        forget_keys(servers, place, load)


def create(servers: Servers, place: Place) -> None:
    """Creates the topics and tables that are missing."""
    client = admin(servers)
    missing = sorted(set(place.topics) - client.list_topics(timeout=_WAIT).topics.keys())
    if missing:
        created = client.create_topics([NewTopic(topic, PARTITIONS, 1) for topic in missing])
        for answer in created.values():
            answer.result(_WAIT)
    with cassandra(servers) as session:
        for keyspace in (place.courses, place.hierarchies):
            session.execute(
                f"CREATE KEYSPACE IF NOT EXISTS {keyspace} WITH replication ="
                " {'class': 'SimpleStrategy', 'replication_factor': 1}"
            )
        fields = ", ".join(f"{name} {cql}" for name, cql in QUESTION.items())
        session.execute(f"CREATE TYPE IF NOT EXISTS {place.courses}.question ({fields})")
        for table in TABLES:
            session.execute(_definition(place, table))


def drop(servers: Servers, place: Place, *, groups: bool = True) -> None:
    """Drops topics, groups and keyspaces, whether they exist or not."""
    client = admin(servers)
    _wait_for(client.delete_topics(place.topics, operation_timeout=_WAIT))
    if groups:  # a broker that has never had one takes long to say so
        _wait_for(_deleted_groups(client, place))
    with cassandra(servers) as session:
        for keyspace in (place.courses, place.hierarchies):
            session.execute(f"DROP KEYSPACE IF EXISTS {keyspace}")


def fill(servers: Servers, place: Place, load: Load) -> None:
    """Enrols the learners, stores what they have consumed (status 2, without counts), and the course's relations."""
    with cassandra(servers) as session:
        _fill_tables(session, place, load)
    with redis(servers, place.relations) as client:
        for node, relation, members in load.relations():
            client.sadd(f"{load.course}:{node}:{relation}", *members)


def forget_keys(servers: Servers, place: Place, load: Load) -> None:
    """Removes everything from Redis that a run of this load may have left there."""
    with redis(servers, place.relations) as client:
        names = [f"{load.course}:{node}:{relation}" for node, relation, _ in load.relations()]
        unlink(client, names)
    with redis(servers, place.marks) as client:
        unlink(client, map(mark, [load] * load.size, load.completions))
        unlink(
            client,
            (f"lern:journal:{place.group}:{place.input}:{number}" for number in range(PARTITIONS)),
        )


def mark(load: Load, completion: Sequence[str]) -> str:
    """The de-duplication mark of a completion, as all programs compute it."""
    user, content = completion
    text = f"{load.course}|{load.batch}|{user}|{content}|2"
    return hashlib.md5(text.encode(), usedforsecurity=False).hexdigest().upper()


def store_hierarchy(servers: Servers, place: Place, course: str, hierarchy: bytes) -> None:
    """Writes one row of `content_hierarchy`; raises the driver's InvalidRequest where the server takes no such size."""
    with cassandra(servers) as session:
        statement = f"INSERT INTO {place.hierarchies}.{CONTENT_HIERARCHY.name} (identifier, hierarchy) VALUES (%s, %s)"  # noqa: S608  # names are ours
        session.execute(statement, (course, hierarchy.decode()))


def _fill_tables(session: Session, place: Place, load: Load) -> None:
    consumption = session.prepare(
        f"INSERT INTO {place.courses}.user_content_consumption (userid, courseid, batchid, contentid, status,"  # noqa: S608  # names are ours
        " progress, datetime, last_access_time, lastaccesstime) VALUES (?, ?, ?, ?, 2, 100, ?, ?, ?)"
    )
    enrolment = session.prepare(
        f"INSERT INTO {place.courses}.user_enrolments (userid, courseid, batchid, active, status, progress, addedby,"  # noqa: S608  # names are ours
        " datetime, enrolled_date) VALUES (?, ?, ?, true, 0, 0, ?, ?, ?)"
    )
    contents: dict[str, list[str]] = {}
    for user, content in load.completions:
        contents.setdefault(user, []).append(content)
    statements: list[tuple[object, tuple[object, ...] | None]] = []
    for user in load.users:
        rows = BatchStatement(BatchType.UNLOGGED)
        for content in contents.get(user, ()):
            rows.add(
                consumption,
                (user, load.course, load.batch, content, _STARTED, _STARTED, _STARTED_TEXT),
            )
        statements.append((rows, None))
        statements.append((enrolment, (user, load.course, load.batch, user, _STARTED, _STARTED)))
    execute_concurrent(session, statements, concurrency=64, raise_on_first_error=True)
    course = {"identifier": load.course, "children": [{"identifier": unit} for unit in load.tree]}
    session.execute(
        f"INSERT INTO {place.hierarchies}.content_hierarchy (identifier, hierarchy) VALUES (%s, %s)",  # noqa: S608  # names are ours
        (load.course, json.dumps(course)),
    )


def _definition(place: Place, table: Table) -> str:
    keyspace = place.hierarchies if table is CONTENT_HIERARCHY else place.courses
    columns = ", ".join(f"{name} {cql}" for name, cql in table.columns.items())
    key = ", ".join([f"({', '.join(table.partition_key)})", *table.clustering])
    return f"CREATE TABLE IF NOT EXISTS {keyspace}.{table.name} ({columns}, PRIMARY KEY ({key}))"


def _deleted_groups(client: AdminClient, place: Place) -> Mapping[str, Future[None]]:
    return dict(client.delete_consumer_groups(list({*place.groups, place.group}), request_timeout=_WAIT))


def _wait_for(answers: Mapping[str, Future[None]]) -> None:
    """Waits for deletions; what is not there need not be deleted."""
    gone = {KafkaError.UNKNOWN_TOPIC_OR_PART, KafkaError.GROUP_ID_NOT_FOUND}
    for answer in answers.values():
        try:
            answer.result(_WAIT)
        except KafkaException as error:
            if error.args[0].code() not in gone:
                raise


def unlink(client: Redis, keys: Iterable[str]) -> None:
    """Removes keys from a database of Redis."""
    remaining = iter(keys)
    while some := list(islice(remaining, 5000)):
        client.unlink(*some)
