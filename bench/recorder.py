"""Records what a job sends: wraps the drivers' own classes, then runs the job on them, in a process of its own.

    python -m bench.recorder JOB CONFIG EVENTS TAPE

reads so many events of the job's input topic, which have to be there, and writes a tape. Nothing of the package is
changed: `cassandra.cluster.Session`, `redis.Connection` and `confluent_kafka.Producer` are wrapped before it is
imported.
"""

import sys
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import cassandra.cluster
import confluent_kafka
import redis
from cassandra.query import BatchStatement, BoundStatement
from hiredis import PushNotification

from bench.tape import (
    Await,
    Begin,
    Bound,
    Call,
    Commit,
    Connection,
    Exchange,
    Produce,
    Send,
    Setting,
    Tape,
    Turn,
)

_NUMBER = "lern_bench_number"
"""The attribute of a driver's future that says which request it belongs to."""


class Recorder:
    """Takes down the calls of all drivers, turn by turn. The job runs on one thread, and so do all its calls."""

    def __init__(self) -> None:
        self.tape = Tape()
        self._statements: dict[str, int] = {}
        self._prepared: dict[bytes, str] = {}
        self._requests = 0
        self._connections: list[object] = []
        self._connecting = 0
        self._calls: list[Call] = []
        self._positions: dict[int, int] = {}
        self._messages: list[tuple[int, bytes | None, bytes]] = []

    def install(self) -> None:
        """Puts itself between the drivers and whoever imports them from now on."""
        self._wrap_cassandra()
        self._wrap_redis()
        self._wrap_kafka()

    # --- Cassandra --------------------------------------------------------------------------------------------

    def _wrap_cassandra(self) -> None:
        session, future = cassandra.cluster.Session, cassandra.cluster.ResponseFuture
        prepare, execute_async, result = session.prepare, session.execute_async, future.result

        def record_prepare(this: Any, cql: str, *rest: Any, **named: Any) -> Any:
            prepared = prepare(this, cql, *rest, **named)
            self._prepared[prepared.query_id] = cql
            return prepared

        def record_execute(this: Any, statement: Any, *rest: Any, **named: Any) -> Any:
            made = execute_async(this, statement, *rest, **named)
            self._sent(made, statement)
            return made

        def record_result(this: Any) -> Any:
            number = this.__dict__.pop(_NUMBER, None)
            if number is not None:
                self._calls.append(Await(number))
            return result(this)

        session.prepare, session.execute_async, future.result = record_prepare, record_execute, record_result

    def _sent(self, future: Any, statement: object) -> None:
        if isinstance(statement, BatchStatement):
            # The driver has no public way to see what is in a batch.
            held = statement._statements_and_parameters  # noqa: SLF001  # see above
            statements = [self._bound(self._prepared[query], values) for _, query, values in held]
        elif isinstance(statement, BoundStatement):
            statements = [self._bound(statement.prepared_statement.query_string, statement.values)]
        else:
            return  # not prepared: something at the start, which is no part of the load
        future.__dict__[_NUMBER] = self._requests
        self._calls.append(Send(self._requests, statements, isinstance(statement, BatchStatement)))
        self._requests += 1

    def _bound(self, cql: str, values: Iterable[bytes]) -> Bound:
        if cql not in self._statements:
            self._statements[cql] = len(self.tape.cql)
            self.tape.cql.append(cql)
        return Bound(self._statements[cql], list(values))

    # --- Redis ------------------------------------------------------------------------------------------------

    def _wrap_redis(self) -> None:
        kind: Any = redis.Connection  # most of its methods have no types
        connect, send, read = kind.connect, kind.send_packed_command, kind.read_response

        def record_connect(this: Any) -> None:
            self._connecting += 1
            try:
                connect(this)
            finally:
                self._connecting -= 1

        def record_send(this: Any, command: Sequence[bytes] | bytes, *rest: Any, **named: Any) -> None:
            if not self._connecting:
                sent = command if isinstance(command, bytes) else b"".join(command)
                self._calls.append(Exchange(self._connection(this), sent, 0))
            send(this, command, *rest, **named)

        def record_read(this: Any, *rest: Any, **named: Any) -> Any:
            answer = read(this, *rest, **named)
            if not self._connecting and not isinstance(answer, PushNotification):
                self._answered(self._connection(this))
            return answer

        kind.connect, kind.send_packed_command, kind.read_response = record_connect, record_send, record_read

    def _connection(self, connection: Any) -> int:
        for number, known in enumerate(self._connections):
            if known is connection:
                return number
        self._connections.append(connection)
        text = bool(connection.encoder.decode_responses)
        self.tape.connections.append(Connection(connection.db, int(connection.protocol), text))
        return len(self._connections) - 1

    def _answered(self, connection: int) -> None:
        last = self._calls[-1] if self._calls else None
        if isinstance(last, Exchange) and last.connection == connection:
            self._calls[-1] = Exchange(connection, last.sent, last.answers + 1)
        else:
            self._calls.append(Exchange(connection, b"", 1))

    # --- Kafka ------------------------------------------------------------------------------------------------

    def _wrap_kafka(self) -> None:
        recorder = self
        base_producer, base_consumer = confluent_kafka.Producer, confluent_kafka.Consumer

        class RecordedProducer(base_producer):  # type: ignore[misc, valid-type]  # a variable, to mypy
            def __init__(self, properties: Mapping[str, Any]) -> None:
                super().__init__(properties)
                recorder.tape.producer = _plain(properties)

            def produce(
                self, topic: str, value: bytes, key: bytes | None = None, *rest: Any, **named: Any
            ) -> None:
                super().produce(topic, value, key, *rest, **named)
                recorder.produced(topic, key, value)

            def flush(self, *rest: Any) -> Any:
                recorder.flushed()
                return super().flush(*rest)

            def begin_transaction(self) -> None:
                recorder.began()
                super().begin_transaction()

            def send_offsets_to_transaction(self, positions: Sequence[Any], *rest: Any) -> None:
                recorder.moved(positions, transaction=True)
                super().send_offsets_to_transaction(positions, *rest)

        class RecordedConsumer(base_consumer):  # type: ignore[misc, valid-type]  # a variable, to mypy
            def __init__(self, properties: Mapping[str, Any]) -> None:
                super().__init__(properties)
                recorder.tape.consumer = _plain(properties)

            def commit(self, *rest: Any, **named: Any) -> Any:
                if "offsets" in named:
                    recorder.moved(named["offsets"], transaction=False)
                return super().commit(*rest, **named)

        patched: Any = confluent_kafka
        patched.Producer, patched.Consumer = RecordedProducer, RecordedConsumer

    def produced(self, topic: str, key: bytes | None, value: bytes) -> None:
        """A message was handed to the driver."""
        if topic not in self.tape.topics:
            self.tape.topics.append(topic)
        self._messages.append((self.tape.topics.index(topic), key, value))

    def flushed(self) -> None:
        """What was handed over is waited for."""
        if self._messages:
            self._calls.append(Produce(self._messages))
            self._messages = []

    def began(self) -> None:
        """A transaction begins."""
        self._calls.append(Begin())

    def moved(self, positions: Sequence[Any], *, transaction: bool) -> None:
        """A position is committed."""
        self._calls += [Commit(place.partition, place.offset, transaction) for place in positions]

    def end_turn(self) -> None:
        """Everything since the last turn belongs to one."""
        [commit] = [call for call in self._calls if isinstance(call, Commit)]
        before = self._positions.get(commit.partition, 0)
        self._positions[commit.partition] = commit.following
        self.tape.turns.append(Turn(commit.partition, commit.following - before, self._calls))
        self._calls = []


def _plain(properties: Mapping[str, Any]) -> dict[str, Setting]:
    """The properties without callbacks."""
    return {key: value for key, value in properties.items() if isinstance(value, str | int | float | bool)}


def record(job: str, config: Path, events: int) -> Tape:
    """Runs a job until it has handled so many events."""
    recorder = Recorder()
    recorder.install()
    # Only now: these modules take the drivers' classes when they are imported.
    from bench.worker import run_job, settings_of  # noqa: PLC0415  # see above

    settings = settings_of(job, config)
    run_job(settings, events, after_turn=recorder.end_turn)
    recorder.tape.input, recorder.tape.threads = settings.topics.input, settings.threads
    return recorder.tape


def main(arguments: Sequence[str]) -> None:
    """The command line of this module."""
    job, config, events, file = arguments
    record(job, Path(config), int(events)).write(Path(file))


if __name__ == "__main__":
    main(sys.argv[1:])
