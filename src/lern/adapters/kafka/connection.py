"""What every Kafka client here has in common: how it connects, how long it waits, what it says of its health."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import structlog
from confluent_kafka import KafkaError, KafkaException, Message

from lern.errors import SettingsError, Unavailable
from lern.settings.model import KafkaSettings

_log = structlog.get_logger(__name__)

Configuration = dict[str, object]
"""librdkafka's properties by name, and the binding's callbacks."""

DEPENDENCY: Final = "kafka"

# librdkafka's own codes start with an underscore in the binding, though they are part of its interface.
ALL_BROKERS_DOWN: Final = KafkaError._ALL_BROKERS_DOWN  # noqa: SLF001  # see above
END_OF_PARTITION: Final = KafkaError._PARTITION_EOF  # noqa: SLF001  # see above
MISSING_TOPIC: Final = {
    KafkaError.UNKNOWN_TOPIC_OR_PART,
    KafkaError._UNKNOWN_TOPIC,  # noqa: SLF001  # see above
    KafkaError._UNKNOWN_PARTITION,  # noqa: SLF001  # see above
}

_OBJECTION_LASTS: Final = 15.0
"""Seconds; librdkafka repeats what the cluster objects to at least that often, but not when it has ended."""

_WARN_AGAIN: Final = 10.0

_WARNING: Final = 30
"""A level of `logging`; the binding has translated librdkafka's syslog levels."""


@dataclass(frozen=True, slots=True)
class Timing:
    """How long things may take, in seconds."""

    session: float = 10.0
    """After this silence a dead member's partitions go to others. Heartbeats come from a thread of librdkafka, so
    neither a long turn nor Python's lock delays them; shorter would turn a pause of the machine into a rebalance."""
    between_polls: float = 300.0
    """A member that has not polled for so long is stuck, and loses its partitions."""
    delivery: float = 10.0
    """Within this time a message is in the log, or sending it has failed; and no single request takes longer."""
    transaction: float = 15.0
    """After this time the broker aborts what a dead process left open, which until then hides everything that
    comes after it in the same partitions. A turn has less time than that from `stage` to `commit`."""
    settlement: float = 5.0
    """The end of a transaction. When it takes longer, the caller is let go, and told later what became of it."""
    request: float = 5.0
    """Any other answer of the cluster."""
    metadata: float = 10.0
    """How often the cluster is asked for new topics and partitions."""


class Health:
    """What librdkafka's callbacks have told of the cluster. Read by any thread, written by the client's own."""

    def __init__(self) -> None:
        self._down = False
        self._detail = ""
        self._objection: tuple[float, str] | None = None

    @property
    def down(self) -> bool:
        """Whether no broker could be reached when last tried."""
        return self._down

    @property
    def reason(self) -> str | None:
        """Why the cluster cannot be used now; None when it can, as far as is known."""
        if self._down:
            return f"all brokers are down{self._detail and f' ({self._detail})'}"
        objection = self._objection
        if objection is not None and time.monotonic() - objection[0] < _OBJECTION_LASTS:
            return objection[1]
        return None

    def failed(self, error: KafkaError) -> None:
        """librdkafka's error callback: single brokers come and go, all of them down is an outage."""
        if error.code() != ALL_BROKERS_DOWN:
            self._detail = error.str()
        elif not self._down:
            self._down = True
            _log.warning("kafka_is_down", reason=self.reason)

    def objected(self, reason: str) -> None:
        """The cluster answers, and the answer is no: this may need an operator. It is said again while it lasts."""
        if reason != self.reason:
            _log.warning("kafka_objects", reason=reason)
        self._objection = (time.monotonic(), reason)

    def recovered(self) -> None:
        """A broker has answered."""
        if self._down:
            _log.info("kafka_is_back")
        self._down = False
        self._detail = ""

    def check(self) -> None:
        """Raises Unavailable while all brokers are down, so that nobody waits for a timeout to learn it."""
        if self._down:
            raise Unavailable(DEPENDENCY, self.reason or "")


class _LibraryLog:
    """Takes librdkafka's own lines in place of a `logging.Logger`: otherwise they go to stderr as they are.

    While brokers come and go it says the same many times a second: of each kind, one warning in ten seconds passes.
    """

    def __init__(self) -> None:
        self._warned: dict[str, float] = {}

    def log(self, level: int, _format: str, facility: str, client: str, text: str) -> None:
        """One line; `_format` would only join the three parts."""
        now = time.monotonic()
        write = _log.debug
        if level >= _WARNING and now - self._warned.get(facility, -_WARN_AGAIN) >= _WARN_AGAIN:
            self._warned[facility] = now
            write = _log.warning
        write("kafka_client", facility=facility, client=client, text=text)


def configuration(settings: KafkaSettings, name: str, timing: Timing, health: Health) -> Configuration:
    """The properties of any client; the brokers' logs and quotas call it `lern-<name>`."""
    properties: Configuration = {
        "bootstrap.servers": settings.brokers,
        "client.id": f"lern-{name}",
        "error_cb": health.failed,
        "logger": _LibraryLog(),
        # A broker drops idle connections every ten minutes: no news.
        "log.connection.close": False,
        "socket.keepalive.enable": True,
        "socket.timeout.ms": milliseconds(timing.delivery),
        # The default waits up to ten seconds before it looks whether a broker is back.
        "reconnect.backoff.max.ms": 2_000,
        # librdkafka's own way of starting over from the first addresses knows no backoff at all (twenty attempts a
        # second for as long as the outage lasts); here a client that is cut off for long is replaced by a new one.
        "metadata.recovery.strategy": "none",
    }
    tls, mechanism = settings.tls, settings.sasl_mechanism
    properties["security.protocol"] = ("SASL_" if mechanism else "") + ("SSL" if tls.enabled else "PLAINTEXT")
    if mechanism:
        properties["sasl.mechanism"] = mechanism
        properties["sasl.username"] = settings.sasl_username or ""
        properties["sasl.password"] = settings.sasl_password or ""
    if tls.enabled:
        paths = {"ca": tls.ca, "certificate": tls.certificate, "key": tls.key}
        properties |= {f"ssl.{what}.location": str(path) for what, path in paths.items() if path}
    return properties


def reading(settings: KafkaSettings, group: str, timing: Timing, health: Health) -> Configuration:
    """The properties of a consumer."""
    return configuration(settings, group, timing, health) | {
        "group.id": group,
        "enable.auto.commit": False,
        "auto.offset.reset": "earliest",
        "isolation.level": "read_committed",
        "partition.assignment.strategy": "cooperative-sticky",
        "session.timeout.ms": milliseconds(timing.session),
        # A heartbeat's answer is how a member learns that others come and go.
        "heartbeat.interval.ms": milliseconds(min(1.0, timing.session / 4)),
        "max.poll.interval.ms": milliseconds(max(timing.between_polls, timing.session)),
        "topic.metadata.refresh.interval.ms": milliseconds(timing.metadata),
        # A reader makes no topics: the number of partitions is the operator's or the producer's to choose.
        "allow.auto.create.topics": False,
        "enable.partition.eof": True,
        # What is fetched ahead is held in memory, and unpacked it is up to ten times as large.
        "queued.max.messages.kbytes": 1_024,
        "queued.min.messages": 1_000,
        "fetch.max.bytes": 1_048_576,
        "max.partition.fetch.bytes": 131_072,
        # A full queue is looked at again after this time, by default a second, in which nothing is fetched.
        "fetch.queue.backoff.ms": 20,
    }


def sending(
    settings: KafkaSettings,
    name: str,
    timing: Timing,
    health: Health,
    reported: Callable[[KafkaError, Message], None],
) -> Configuration:
    """The properties of a producer; `reported` hears of each message that could not be delivered."""
    return configuration(settings, name, timing, health) | {
        "enable.idempotence": True,
        "compression.type": "snappy",
        # A key goes to the partition in which every other producer of the platform puts it.
        "partitioner": "murmur2_random",
        "message.timeout.ms": milliseconds(timing.delivery),
        # A topic that is not there is reported while someone still waits for the answer.
        "topic.metadata.propagation.max.ms": milliseconds(timing.delivery / 2),
        # Up to the broker's limit everything is left to the broker.
        "message.max.bytes": 10_000_000,
        # A batch is refused as a whole: above this size a message travels alone, so that it alone is to blame.
        "batch.size": 262_144,
        "queue.buffering.max.kbytes": 16_384,
        # A Python call for each delivered message would cost more than all the rest.
        "delivery.report.only.error": True,
        "on_delivery": reported,
    }


def error_of(exception: KafkaException) -> KafkaError:
    """The error inside of the driver's exception."""
    error = exception.args[0]
    return error if isinstance(error, KafkaError) else KafkaError(KafkaError.UNKNOWN, str(error))


def unavailable(doing: str, exception: KafkaException) -> Unavailable:
    """What to raise `from exception` when Kafka did not do something."""
    return Unavailable(DEPENDENCY, f"{doing}: {error_of(exception).str()}")


def unusable(exception: KafkaException) -> SettingsError:
    """What to raise `from exception` when librdkafka does not take the configuration; it names no values."""
    return SettingsError(f"kafka: {error_of(exception).str()}")


def milliseconds(seconds: float) -> int:
    """As librdkafka's properties want them."""
    return round(seconds * 1000)
