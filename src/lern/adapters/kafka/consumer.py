"""The port Consumer on Kafka: a member of a consumer group, and the producer that goes with it."""

import os
import socket
from collections.abc import Mapping, Sequence
from typing import NamedTuple
from uuid import uuid4

import structlog
from confluent_kafka import TopicPartition

from lern.adapters.kafka.connection import DEPENDENCY, Health, Timing
from lern.adapters.kafka.reader import Reader, Start
from lern.adapters.kafka.sender import CommitInDoubt, Sender, TransactionalSender
from lern.errors import Unavailable
from lern.job import Message, Record
from lern.ports import Partition
from lern.settings.model import KafkaSettings

_log = structlog.get_logger(__name__)


class _Doubt(NamedTuple):
    """A commit whose answer has not come."""

    partition: Partition
    generation: int
    following: int


class KafkaConsumer:
    """One member of a consumer group on one topic (`ports.Consumer`).

    With `settings.transactional`, what is staged and the position are one transaction. Without, they are two steps
    in this order: a crash in between sends messages twice.
    """

    def __init__(self, settings: KafkaSettings, topic: str, group: str, timing: Timing | None = None) -> None:
        timing = timing or Timing()
        self._health = Health()
        self._reader = Reader(settings, topic, group, start=Start.MEMBER, timing=timing, health=self._health)
        self._sender: Sender
        self._transactions: TransactionalSender | None = None
        if settings.transactional:
            identity = f"{group}-{socket.gethostname()}-{os.getpid()}-{uuid4().hex[:8]}"
            self._transactions = TransactionalSender(settings, group, identity, timing, self._health)
            self._sender = self._transactions
        else:
            self._sender = Sender(settings, group, timing, self._health)
        self._doubt: _Doubt | None = None

    def available(self) -> str | None:
        """Why Kafka cannot be used now, as far as is known without asking; None when it can. Any thread may ask."""
        return self._health.reason

    def poll(self, limit: int, timeout: float) -> Sequence[Record]:
        """As the port says.

        Raises Unavailable while no broker can be reached. A topic that does not exist is waited for.
        """
        self._sender.serve()
        self._settle()
        return self._reader.poll(limit, timeout)

    def assigned(self) -> frozenset[Partition]:
        """As the port says."""
        return self._reader.assigned()

    def generation(self, partition: Partition) -> int:
        """As the port says."""
        return self._reader.generation(partition)

    def pause(self, partition: Partition) -> None:
        """As the port says."""
        self._reader.pause(partition)

    def resume(self, partition: Partition) -> None:
        """As the port says."""
        self._reader.resume(partition)

    def stage(self, messages: Sequence[Message]) -> None:
        """As the port says; after an error nothing is staged.

        Raises Refused (`ERR_OUTPUT_REFUSED`) for a message that the broker will never take.
        """
        self._require_certainty()
        self._sender.send(messages)

    def commit(self, partition: Partition, following: int) -> None:
        """As the port says.

        After Unavailable nothing has been committed, or `poll` finds out: if it has been, the partition gets a new
        generation, as if it had been lost and given back.
        """
        self._require_certainty()
        if not self._reader.has(partition):
            self.abort()
            raise Unavailable(
                DEPENDENCY, f"{partition.topic}-{partition.number} is assigned to another member"
            )
        if self._transactions is None or not self._transactions.open:
            # Nothing is staged: this is cheaper than a transaction of nothing, and membership is checked as well.
            self._reader.commit(partition, following)
            return
        position = [TopicPartition(partition.topic, partition.number, following)]
        try:
            self._transactions.commit(position, self._reader.membership())
        except CommitInDoubt as error:
            self._doubt = _Doubt(partition, self.generation(partition), following)
            raise Unavailable(DEPENDENCY, f"committing a transaction: {error}") from error
        self._reader.committed(partition, following)

    def abort(self) -> None:
        """As the port says; without transactions there is nothing that could be taken back."""
        if self._transactions is not None:
            self._transactions.abort()

    def lag(self) -> Mapping[Partition, int]:
        """As the port says."""
        return self._reader.lag()

    def close(self) -> None:
        """As the port says; what is staged is taken back."""
        self.abort()
        self._sender.drop()
        self._reader.close()

    def _require_certainty(self) -> None:
        if self._doubt is not None:
            raise Unavailable(DEPENDENCY, "whether the last transaction was committed is not known yet")

    def _settle(self) -> None:
        """Finds out what became of a commit that was not answered."""
        doubt, transactions = self._doubt, self._transactions
        if doubt is None or transactions is None:
            return
        if self._health.down:
            self._reader.probe()
        transactions.prepare()
        # The positions and the messages of a transaction are committed together: the one tells of the other.
        position = self._reader.position(doubt.partition)
        was_committed = position >= doubt.following
        self._doubt = None
        _log.info("kafka_commit_settled", partition=doubt.partition.number, committed=was_committed)
        if (
            was_committed
            and self._reader.has(doubt.partition)
            and self.generation(doubt.partition) == doubt.generation
        ):
            self._reader.restart(doubt.partition, position)
