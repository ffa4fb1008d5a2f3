"""The floor: the bare drivers send what a job has sent, and nothing else is done.

    python -m bench.floor bound|binding TAPE BEFORE AFTER KAFKA CASSANDRA REDIS

plays a tape of `bench.recorder` on a place of its own (`BEFORE` and `AFTER` are the two places' `env`, which stands in
all names). It reads the same topic as the job, leaves the same rows, sets and messages behind, and is measured and
checked in the same way: from the first event that is sent to the last AUDIT event that arrives.

In the floor
- as many consumers as the job has, each on a thread of its own, which play the turns of the partitions that they have
  (a turn is all that one batch of a partition led to);
- every request to Cassandra: the same statements and batches with the same values, sent and awaited in the same order
  within a turn, so with as many under way at once; the driver's decoding of the rows that are read;
- every byte to Redis, in the same pieces, and reading all answers;
- reading all input messages from Kafka as a member of a consumer group; sending the same messages in the same
  transactions with the same settings of librdkafka, and committing the same positions.

Not in the floor
- everything that the job decides: decoding events, grouping, rules, encoding of messages, journal and outcome;
- binding and encoding of values, building of statements, batches and Redis commands: all of it is done before the
  first event is read, so that no program can reach this floor with these drivers. As `binding`, the floor leaves the
  values to the driver (`PreparedStatement.bind`) and builds batches while it plays, as programs usually do;
- waiting for a batch to fill: when the input holds less than a batch, the job waits for more, the floor takes it;
- pausing and resuming of partitions, a look at the consumer's lag, and whatever else lies between two batches;
- the start: connections, prepared statements, joining the group. The job, too, is up and in its group before the first
  event, but connects to Cassandra and prepares its statements with its first batch.
"""

import gc
import signal
import sys
import threading
from collections import Counter, defaultdict, deque
from collections.abc import Callable, Sequence
from pathlib import Path
from types import FrameType
from typing import Any

from cassandra.cluster import Session
from cassandra.query import BatchStatement, BatchType, BoundStatement
from confluent_kafka import Consumer, Producer, TopicPartition
from hiredis import PushNotification
from redis import Connection

from bench import tape as t
from bench.servers import BenchError, Servers, cassandra

_TIMEOUT = 15.0
_PROTOCOL = 4


class Tape:
    """A tape that is ready to be played: its turns by partition, of which each consumer plays those it has."""

    def __init__(
        self, recorded: t.Tape, session: Session, rename: Callable[[str], str], *, binding: bool
    ) -> None:
        self.recorded = recorded
        self.session = session
        self.rename = rename
        self.topics = [rename(topic) for topic in recorded.topics]
        self.input = rename(recorded.input)
        self.turns: defaultdict[int | None, deque[tuple[int, list[Any]]]] = defaultdict(deque)
        prepared = [session.prepare(rename(cql)) for cql in recorded.cql]
        for turn in recorded.turns:
            calls = [self._ready(call, prepared, binding=binding) for call in turn.calls]
            self.turns[turn.partition].append((turn.messages, calls))

    def _ready(self, call: t.Call, prepared: Sequence[Any], *, binding: bool) -> Any:
        match call:
            case t.Send(number, statements, batch) if binding:
                return number, batch, [_values(prepared[each.cql], each) for each in statements]
            case t.Send(number):
                return number, _filled(call, prepared)
            case t.Exchange(connection, sent, answers):
                # Latin-1 has a letter for each byte.
                return t.Exchange(connection, self.rename(sent.decode("latin-1")).encode("latin-1"), answers)
            case _:
                return call


class Player:
    """One consumer of the group, with the connections of its own; belongs to one thread."""

    def __init__(self, tape: Tape, servers: Servers, number: int) -> None:
        self._tape = tape
        recorded, rename = tape.recorded, tape.rename
        self._connections = [_connected(servers, connection) for connection in recorded.connections]
        common = {"bootstrap.servers": servers.kafka}
        group = {"group.id": rename(str(recorded.consumer["group.id"]))}
        self._consumer = Consumer({**recorded.consumer, **common, **group})
        self._producer: Producer | None = None
        if recorded.producer:
            identity = recorded.producer.get("transactional.id")
            named = {"transactional.id": f"{rename(str(identity))}-{number}"} if identity else {}
            self._producer = Producer({**recorded.producer, **common, **named})
            if identity:
                self._producer.init_transactions(_TIMEOUT)
        self._consumer.subscribe([tape.input])

    def play(self, stop: threading.Event) -> None:
        """Plays the turns of the partitions that it has, each when so many messages are there, until `stop`."""
        received: Counter[int | None] = Counter()
        while not stop.is_set():
            # One is waited for, and what is there is taken.
            messages = self._consumer.consume(1, 0.1)
            messages += self._consumer.consume(999, 0) if messages else []
            received.update(message.partition() for message in messages if message.error() is None)
            for partition in list(received):
                turns = self._tape.turns[partition]
                while turns and received[partition] >= turns[0][0]:
                    count, calls = turns.popleft()
                    received[partition] -= count
                    self._turn(calls)
        self._consumer.close()

    def _turn(self, calls: Sequence[Any]) -> None:
        futures: dict[int, Any] = {}
        session = self._tape.session
        for call in calls:
            match call:
                case (number, statement):
                    futures[number] = session.execute_async(statement)
                case (number, batch, values):
                    futures[number] = session.execute_async(_bound(values, batch=batch))
                case t.Await(number):
                    futures.pop(number).result()
                case t.Exchange(connection, sent, answers):
                    _exchange(self._connections[connection], sent, answers)
                case t.Produce(messages):
                    self._produce(messages)
                case t.Begin():
                    self._transactions.begin_transaction()
                case t.Commit(partition, following, transaction):
                    self._commit(partition, following, transaction=transaction)

    @property
    def _transactions(self) -> Producer:
        if self._producer is None:
            raise BenchError("the tape has messages, but no producer")
        return self._producer

    def _produce(self, messages: Sequence[tuple[int, bytes | None, bytes]]) -> None:
        producer, topics = self._transactions, self._tape.topics
        for topic, key, value in messages:
            while True:
                try:
                    producer.produce(topics[topic], value, key)
                except BufferError:
                    producer.poll(0.1)
                else:
                    break
        producer.flush(_TIMEOUT)

    def _commit(self, partition: int, following: int, *, transaction: bool) -> None:
        place = [TopicPartition(self._tape.input, partition, following)]
        if not transaction:
            self._consumer.commit(offsets=place, asynchronous=False)
            return
        producer = self._transactions
        producer.send_offsets_to_transaction(place, self._consumer.consumer_group_metadata(), _TIMEOUT)
        producer.commit_transaction(_TIMEOUT)


def _exchange(connection: Any, sent: bytes, answers: int) -> None:
    if sent:
        connection.send_packed_command([sent])
    while answers:
        if not isinstance(connection.read_response(), PushNotification):
            answers -= 1


def _filled(send: t.Send, prepared: Sequence[Any]) -> Any:
    """The request, ready to be sent."""
    statements = []
    for each in send.statements:
        statement = BoundStatement(prepared[each.cql])
        statement.values = each.values
        statements.append(statement)
    return _together(statements) if send.batch else statements[0]


def _values(prepared: Any, recorded: t.Bound) -> tuple[Any, list[object]]:
    """A statement and its values as Python has them."""
    columns = prepared.column_metadata
    return prepared, [
        column.type.from_binary(value, _PROTOCOL)
        for column, value in zip(columns, recorded.values, strict=True)
    ]


def _bound(values: Sequence[tuple[Any, list[object]]], *, batch: bool) -> Any:
    """The request, with its values bound by the driver."""
    statements = [prepared.bind(each) for prepared, each in values]
    return _together(statements) if batch else statements[0]


def _together(statements: Sequence[Any]) -> BatchStatement:
    batch = BatchStatement(BatchType.UNLOGGED)
    for statement in statements:
        batch.add(statement)
    return batch


def _connected(servers: Servers, wanted: t.Connection) -> Any:
    host, _, port = servers.redis.rpartition(":")
    connect: Any = Connection  # its methods have no types
    connection = connect(
        host=host,
        port=int(port),
        db=wanted.database,
        protocol=wanted.protocol,
        decode_responses=wanted.text,
        lib_name=None,
        lib_version=None,
    )
    connection.connect()
    return connection


def main(arguments: Sequence[str]) -> None:
    """The command line of this module."""
    kind, file, before, after, *addresses = arguments
    servers, stop = Servers(*addresses), threading.Event()
    failures: list[BaseException] = []

    def end(_number: int, _frame: FrameType | None) -> None:
        stop.set()

    def play(player: Player) -> None:
        try:
            player.play(stop)
        except BaseException as error:  # noqa: BLE001  # whatever it is, it is raised again below
            failures.append(error)
            stop.set()

    signal.signal(signal.SIGTERM, end)
    with cassandra(servers) as session:
        recorded = t.read_tape(Path(file))
        tape = Tape(recorded, session, lambda name: name.replace(before, after), binding=kind == "binding")
        players = [Player(tape, servers, number) for number in range(recorded.threads)]
        gc.freeze()
        threads = [threading.Thread(target=play, args=[player]) for player in players]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    if failures:
        raise failures[0]


if __name__ == "__main__":
    main(sys.argv[1:])
