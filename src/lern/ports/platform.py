"""What engines and tools may do: read topics, put outcomes in place, send messages."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import NamedTuple, Protocol

from lern.job import Message, Place, Record, Write
from lern.ports.facts import EnrolmentDirectory, Facts


class Partition(NamedTuple):
    """One partition of a topic."""

    topic: str
    number: int


class Journal(Protocol):
    """One entry for each partition: the outcome that is being applied."""

    def recall(self, partition: Partition) -> bytes | None:
        """What was last recorded and not yet forgotten."""
        ...

    def record(self, partition: Partition, entry: bytes) -> None:
        """Keeps `entry` in place of an earlier one; durable against a crash of this process when it returns."""
        ...

    def forget(self, partition: Partition) -> None:
        """Drops the entry; nothing happens when there is none."""
        ...


class Stores(Protocol):
    """Where outcomes go."""

    def apply(self, writes: Sequence[Write]) -> None:
        """Carries out all writes; on any error some of them may be in place, and repeating them is harmless.

        Raises Refused when the store will never take one of them.
        """
        ...

    def mark(self, marks: Collection[str]) -> None:
        """Sets de-duplication marks, to expire after `dedup-redis.database.expiry` seconds."""
        ...


class Consumer(Protocol):
    """One consumer group's member on one topic, and the producer that goes with it.

    `stage` and `commit` belong together: what was staged and the new position become visible at once, or neither
    does. Not thread-safe: one consumer belongs to one thread. Only `poll` changes the assignment.
    """

    def poll(self, limit: int, timeout: float) -> Sequence[Record]:
        """At most `limit` messages of the assigned partitions, in order within each.

        Waits up to `timeout` seconds for the first one. Must be called often, also when all partitions are paused:
        it keeps the membership alive.
        """
        ...

    def assigned(self) -> frozenset[Partition]:
        """The partitions this member has; one that it lost and got back starts again at its committed position.

        `generation` tells the two apart.
        """
        ...

    def generation(self, partition: Partition) -> int:
        """Grows each time the partition is assigned anew."""
        ...

    def pause(self, partition: Partition) -> None:
        """`poll` brings nothing more of this partition until `resume`; calling it twice is harmless."""
        ...

    def resume(self, partition: Partition) -> None:
        """Undoes `pause`."""
        ...

    def stage(self, messages: Sequence[Message]) -> None:
        """Sends messages and waits until the log has them all."""
        ...

    def commit(self, partition: Partition, following: int) -> None:
        """Makes what is staged visible and moves the group's position in `partition` to offset `following`."""
        ...

    def abort(self) -> None:
        """Takes back what is staged; nothing happens when nothing is."""
        ...

    def lag(self) -> Mapping[Partition, int]:
        """How many messages of each assigned partition are not yet committed, as far as known without asking."""
        ...

    def close(self) -> None:
        """Leaves the group at once, so that others take over; no error is raised."""
        ...


@dataclass(frozen=True, slots=True)
class Platform:
    """Everything that an engine may use for one job."""

    facts: Facts
    stores: Stores
    journal: Journal | None
    """None where a turn is one transaction, which makes a journal pointless."""
    consumer: Consumer
    transaction: "Transaction"


class Transaction(Protocol):
    """What surrounds a turn: a transaction of the embedded store; nothing where there is none."""

    def __call__(self) -> AbstractContextManager[None]:
        """Commits on leaving normally, rolls back on an exception."""
        ...


class Replays(Protocol):
    """Which records of one failed topic have been sent again.

    Remembered for as long as the topic holds them. A record of another, recreated topic that lies in the same place is
    told apart by its time.
    """

    def turn(self) -> AbstractContextManager[None]:
        """One process at a time: what is asked, sent and remembered inside belongs together.

        Where messages lie in the same store, they and what is remembered become visible at once, or neither does.
        Raises Unavailable when another process does not end its turn.
        """
        ...

    def seen(self, records: Sequence[Record]) -> Collection[Place]:
        """The places of those records that have been sent again."""
        ...

    def remember(self, records: Sequence[Record]) -> None:
        """These have been sent again; remembering one twice is remembering it once."""
        ...

    def forget_before(self, first: Mapping[Partition, int]) -> None:
        """Forgets what lies before these offsets: the topic does not hold it any more."""
        ...

    def close(self) -> None:
        """Lets go."""
        ...


@dataclass(frozen=True, slots=True)
class Upkeep:
    """Everything that a tool may use which does to rows what a job does, without the job's messages."""

    facts: Facts
    directory: EnrolmentDirectory
    stores: Stores
    journal: Journal | None
    """None where `transaction` makes a journal pointless."""
    log: "Log"
    transaction: Transaction


class Log(Protocol):
    """Topics as the tools see them: `lern send`, `lern tail`, `lern failed`, `lern schema`."""

    def send(self, messages: Sequence[Message]) -> None:
        """Sends messages and waits until the log has them all."""
        ...

    def read(self, topic: str, *, from_beginning: bool) -> Iterator[Record | None]:
        """Messages of all partitions as they come, without a consumer group; None whenever there is none just now."""
        ...

    def spans(self, topic: str) -> Mapping[Partition, range]:
        """The offsets that each partition of a topic holds now; there may be gaps. No topic: no partitions."""
        ...

    def stored(self, topic: str, *, since: int = 0) -> Iterator[Record]:
        """The messages that a topic holds when the first one is asked for, in order within each partition.

        `since` in milliseconds: older ones are left out.
        """
        ...

    def at(self, place: Place) -> Record | None:
        """The message that lies there, if there is one."""
        ...

    def topics(self) -> Mapping[str, int]:
        """The topics that exist, and how many partitions each has."""
        ...

    def create(self, topics: Collection[str], partitions: int) -> None:
        """Creates those that do not exist."""
        ...

    def close(self) -> None:
        """Flushes and lets go."""
        ...
