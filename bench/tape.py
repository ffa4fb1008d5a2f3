"""What a job sends to its servers, call by call: recorded where the drivers are called, played back by the floor."""

from pathlib import Path

import msgspec


class Bound(msgspec.Struct, frozen=True, tag=True):
    """A prepared statement with its values as they go over the wire."""

    cql: int
    """Index in `Tape.cql`."""
    values: list[bytes]


class Send(msgspec.Struct, frozen=True, tag=True):
    """A request to Cassandra: one statement, or several as an unlogged batch; answered when `Await` says so."""

    number: int
    statements: list[Bound]
    batch: bool


class Await(msgspec.Struct, frozen=True, tag=True):
    """The answer to a request is taken."""

    number: int


class Exchange(msgspec.Struct, frozen=True, tag=True):
    """Bytes that go to Redis over one connection (none: nothing is sent), and how many answers are read then."""

    connection: int
    sent: bytes
    answers: int


class Begin(msgspec.Struct, frozen=True, tag=True):
    """A Kafka transaction begins."""


class Produce(msgspec.Struct, frozen=True, tag=True):
    """Messages: topic as an index in `Tape.topics`, key, value; then all of them are waited for."""

    messages: list[tuple[int, bytes | None, bytes]]


class Commit(msgspec.Struct, frozen=True, tag=True):
    """The position of the turn's partition; in a transaction, if one has begun, which is committed with it."""

    partition: int
    following: int
    transaction: bool


Call = Send | Await | Exchange | Begin | Produce | Commit


class Turn(msgspec.Struct, frozen=True):
    """All that one batch led to."""

    partition: int
    messages: int
    """How many messages of the partition it handled."""
    calls: list[Call]


Setting = str | int | float | bool


class Connection(msgspec.Struct, frozen=True):
    """One of the connections to Redis."""

    database: int
    protocol: int
    text: bool


class Tape(msgspec.Struct):
    """All turns of a run in their order, and what their calls refer to."""

    input: str = ""
    cql: list[str] = []
    topics: list[str] = []
    connections: list[Connection] = []
    producer: dict[str, Setting] = {}
    """librdkafka's properties."""
    consumer: dict[str, Setting] = {}
    turns: list[Turn] = []
    threads: int = 1
    """How many consumers the job has in one process; it was recorded with one."""

    def write(self, file: Path) -> None:
        """Stores it."""
        file.write_bytes(msgspec.msgpack.encode(self))


def read_tape(file: Path) -> Tape:
    """Reads what `Tape.write` has stored."""
    return msgspec.msgpack.decode(file.read_bytes(), type=Tape)
