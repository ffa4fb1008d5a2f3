"""Sending messages: alone, or in transactions together with a group's positions."""

import re
import threading
from collections.abc import Callable, Sequence
from typing import Final

import structlog
from confluent_kafka import KafkaError, KafkaException, Producer, TopicPartition
from confluent_kafka import Message as Report

from lern.adapters.kafka.connection import (
    DEPENDENCY,
    Health,
    Timing,
    error_of,
    milliseconds,
    sending,
    unavailable,
    unusable,
)
from lern.errors import LernError, Refused, Unavailable
from lern.job import Message
from lern.settings.model import KafkaSettings

_log = structlog.get_logger(__name__)

_NEVER: Final = {
    KafkaError.MSG_SIZE_TOO_LARGE,
    KafkaError.INVALID_MSG_SIZE,
    KafkaError.RECORD_LIST_TOO_LARGE,
    KafkaError.INVALID_RECORD,
    KafkaError.TOPIC_EXCEPTION,
}
"""The broker will not take this message, however often it is sent."""

_TOPIC: Final = re.compile(r"[a-zA-Z0-9._-]{1,249}")
"""The names that Kafka allows; with any other, librdkafka says only that it knows no such topic."""


class CommitInDoubt(Exception):
    """The commit of a transaction was asked for, and whether it was carried out is not known."""


class Sender:
    """An idempotent producer. Whatever it could not do, the next call tries with a new one."""

    def __init__(self, settings: KafkaSettings, name: str, timing: Timing, health: Health) -> None:
        self._configuration = sending(settings, name, timing, health, self._reported)
        self._timing = timing
        self._health = health
        self._producer: Producer | None = None
        self._failures: list[tuple[KafkaError, str, int]] = []

    def send(self, messages: Sequence[Message]) -> None:
        """Returns when the log has all messages.

        Raises Refused for a message that the broker will never take (others may be sent nevertheless), and
        Unavailable when some are not known to have arrived.
        """
        if not messages:
            return
        self._health.check()
        try:
            self._deliver(self.prepare(), messages)
        except LernError:
            self.drop()
            raise

    def serve(self) -> None:
        """Lets librdkafka tell of errors while nothing is sent."""
        if self._producer is not None:
            self._producer.poll(0)

    def drop(self) -> None:
        """Lets go of the producer and of what it has not sent yet."""
        producer, self._producer = self._producer, None
        if producer is not None:
            producer.purge()

    def prepare(self) -> Producer:
        """Readies a producer."""
        if self._producer is None:
            try:
                self._producer = Producer(self._configuration)
            except KafkaException as error:
                raise unusable(error) from error
        return self._producer

    def _deliver(self, producer: Producer, messages: Sequence[Message]) -> None:
        self._failures.clear()
        for message in messages:
            if not self._enqueue(producer, message):
                break
        try:
            # Each message is reported within the time for delivery, in one way or the other.
            left = producer.flush(2 * self._timing.delivery)
        except KafkaException as error:
            raise unavailable("sending", error) from error
        if left or self._failures:
            raise self._worst()

    def _enqueue(self, producer: Producer, message: Message) -> bool:
        """Whether librdkafka has taken the message; otherwise this is a failure like those it reports."""
        headers: list[tuple[str, str | bytes | None]] = [*message.headers]
        while True:
            try:
                producer.produce(message.topic, message.value, message.key, headers=headers or None)
            except BufferError:
                # The queue is full, on purpose: it bounds the memory. What is delivered makes room.
                producer.poll(0.1)
                if self._failures:
                    return False
            except KafkaException as error:
                self._failures.append((error_of(error), message.topic, len(message.value)))
                return False
            else:
                return True

    def _reported(self, error: KafkaError, report: Report) -> None:
        self._failures.append((error, report.topic() or "", len(report.value() or b"")))

    def _worst(self) -> LernError:
        for error, topic, size in self._failures:
            if error.code() in _NEVER or not _TOPIC.fullmatch(topic):
                return Refused(
                    "ERR_OUTPUT_REFUSED", f"{topic} refuses a message of {size} bytes: {error.str()}"
                )
        if self._health.down or not self._failures:
            return Unavailable(DEPENDENCY, self._health.reason or "sending: no answer in time")
        error, topic, _ = self._failures[0]
        return Unavailable(DEPENDENCY, f"sending to {topic}: {error.str()} ({len(self._failures)} messages)")


class TransactionalSender(Sender):
    """A producer whose messages nobody sees before they are committed, together with a position.

    All producers that it makes in its life share one transactional id, so that each ends what the one before left.
    """

    def __init__(
        self, settings: KafkaSettings, name: str, identity: str, timing: Timing, health: Health
    ) -> None:
        super().__init__(settings, name, timing, health)
        self._configuration |= {
            "transactional.id": identity,
            "transaction.timeout.ms": milliseconds(timing.transaction),
        }
        self._initialized = False
        self._open = False

    @property
    def open(self) -> bool:
        """Whether something is staged."""
        return self._open

    def send(self, messages: Sequence[Message]) -> None:
        """As `Sender.send`, within a transaction, which an error aborts as a whole."""
        if not messages:
            return
        self._health.check()
        producer = self.prepare()
        if not self._open:
            self._begin(producer)
        try:
            self._deliver(producer, messages)
        except LernError:
            self.abort()
            # After a failure, librdkafka 2.16 can leave a gap in the numbers by which brokers recognize repetitions.
            self.drop()
            raise

    def commit(self, positions: list[TopicPartition], member: object) -> None:
        """Commits what is staged, and the positions of the group whose `member` this is.

        Raises Unavailable when it is certain that nothing was committed. CommitInDoubt: nothing is certain, and
        the group's position tells, once `prepare` has returned.
        """
        producer, patience = self.prepare(), self._timing.request
        try:
            _within(2 * patience, lambda: producer.send_offsets_to_transaction(positions, member, patience))
        except KafkaException as error:
            self.abort()
            raise unavailable("committing positions", error) from error
        except TimeoutError as error:
            # The call holds on to this producer; what it may still do, the next producer undoes.
            _log.warning("kafka_producer_abandoned")
            self._forget()
            raise Unavailable(DEPENDENCY, "committing positions: no answer in time") from error
        try:
            # Asked again before the first answer, librdkafka 2.16 may end the process by an assertion of its own.
            producer.commit_transaction(self._timing.settlement)
        except KafkaException as error:
            if error_of(error).txn_requires_abort() and self.abort():
                raise unavailable("committing a transaction", error) from error
            self.drop()
            raise CommitInDoubt(error_of(error).str()) from error
        self._open = False

    def abort(self) -> bool:
        """Takes back what is staged; False when the broker has not confirmed it, and will by itself in time."""
        producer, was_open, self._open = self._producer, self._open, False
        if producer is None or not was_open:
            return True
        if not self._health.down:
            try:
                producer.abort_transaction(self._timing.settlement)
            except KafkaException as error:
                _log.warning("kafka_abort_failed", reason=error_of(error).str())
            else:
                return True
        self.drop()
        return False

    def prepare(self) -> Producer:
        """Readies a producer; when it returns, nothing that an earlier one began is under way any more."""
        producer = super().prepare()
        if not self._initialized:
            try:
                producer.init_transactions(self._timing.request)
            except KafkaException as error:
                # Otherwise the next call goes on waiting for the same answer.
                if not error_of(error).retriable():
                    self.drop()
                raise unavailable("preparing transactions", error) from error
            self._initialized = True
        return producer

    def drop(self) -> None:
        """As `Sender.drop`; an open transaction stays open until the next producer or the broker ends it."""
        super().drop()
        self._forget()

    def _forget(self) -> None:
        self._producer = None
        self._initialized = self._open = False

    def _begin(self, producer: Producer) -> None:
        try:
            producer.begin_transaction()
        except KafkaException as error:
            self.drop()
            raise unavailable("beginning a transaction", error) from error
        self._open = True


def _within(seconds: float, call: Callable[[], None]) -> None:
    """Carries out a call that does not always keep to its own timeout; raises TimeoutError, and leaves it behind.

    In librdkafka 2.16, sending positions to a transaction waits for a group coordinator that was lost, forever.
    """
    outcome: list[KafkaException | None] = []

    def run() -> None:
        try:
            call()
        except KafkaException as error:
            outcome.append(error)
        else:
            outcome.append(None)

    thread = threading.Thread(target=run, name="kafka-positions", daemon=True)
    thread.start()
    thread.join(seconds)
    if not outcome:
        raise TimeoutError
    if outcome[0] is not None:
        raise outcome[0]
