"""Kafka: one node that is broker and controller (KRaft), run from jars."""

import base64
import struct
from collections.abc import Mapping
from pathlib import Path

from testservers.fetch import Jars, run
from testservers.server import HOST, Server, ask

_JARS = Jars(
    "kafka",
    "4.1.0",
    (
        "org.apache.kafka:kafka_2.13:4.1.0",
        "org.apache.kafka:kafka-tools:4.1.0",
        "org.apache.logging.log4j:log4j-slf4j-impl:2.24.3",
    ),
)

_CLUSTER = base64.urlsafe_b64encode(b"lern-test-server").decode().rstrip("=")

_PROPERTIES = """\
process.roles=broker,controller
node.id=1
controller.quorum.voters=1@{host}:{controller}
listeners=PLAINTEXT://{host}:{client},CONTROLLER://{host}:{controller}
advertised.listeners=PLAINTEXT://{host}:{client}
controller.listener.names=CONTROLLER
log.dirs={folder}/data

auto.create.topics.enable=true
num.partitions=4

# One node: internal topics have one replica, and few partitions for a quick start.
offsets.topic.replication.factor=1
offsets.topic.num.partitions=4
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
transaction.state.log.num.partitions=4
share.coordinator.state.topic.replication.factor=1
share.coordinator.state.topic.min.isr=1
share.coordinator.state.topic.num.partitions=1

# Tests wait neither for groups to form nor for dead members and transactions to time out.
group.initial.rebalance.delay.ms=0
group.min.session.timeout.ms=1000
group.consumer.min.session.timeout.ms=1000
group.consumer.min.heartbeat.interval.ms=100
transaction.abort.timed.out.transaction.cleanup.interval.ms=1000

# A broker that was killed may come back once its session has ended.
broker.session.timeout.ms=4000
broker.heartbeat.interval.ms=1000

# Many small topics on a small machine.
num.network.threads=2
num.io.threads=4
background.threads=2
num.recovery.threads.per.data.dir=1
log.preallocate=false
log.segment.bytes=67108864
log.index.size.max.bytes=1048576
log.cleaner.dedupe.buffer.size=4194304
log.segment.delete.delay.ms=1000
"""

_LOGGING = """\
status = error
appender.console.type = Console
appender.console.name = console
appender.console.layout.type = PatternLayout
appender.console.layout.pattern = %d{ISO8601} %p %m (%c{1})%n
rootLogger.level = warn
rootLogger.appenderRef.console.ref = console
logger.server.name = kafka.server.KafkaRaftServer
logger.server.level = info
"""

# Metadata, version 1, of no topics: request size, key, version, correlation, client (none), topics (none).
_METADATA = struct.pack(">ihhihi", 14, 3, 1, 7, -1, 0)


class Kafka(Server):
    """A Kafka that creates topics when they are used; data is kept over a stop."""

    name = "kafka"
    ports = ("client", "controller")
    program, package = "java", "default-jre-headless"
    jars = _JARS
    start_seconds = 90

    def prepare(self, folder: Path, ports: Mapping[str, int]) -> None:
        properties, logging = folder / "server.properties", folder / "log4j2.properties"
        properties.write_text(_PROPERTIES.format(host=HOST, folder=folder, **ports))
        logging.write_text(_LOGGING)
        run(
            self._java(
                folder, "64m", "kafka.tools.StorageTool", "format", "-t", _CLUSTER, "-c", str(properties)
            )
        )

    def command(self, folder: Path) -> list[str]:
        return self._java(folder, "512m", "kafka.Kafka", str(folder / "server.properties"))

    def ready(self, port: int) -> bool:
        # The answer: size, correlation, number of brokers; a broker is listed once it takes requests.
        answer = ask(port, _METADATA, 12)
        return len(answer) == 12 and struct.unpack(">iii", answer)[1:] == (7, 1)

    def _java(self, folder: Path, heap: str, *call: str) -> list[str]:
        logging = f"-Dlog4j2.configurationFile={folder / 'log4j2.properties'}"
        return ["java", f"-Xmx{heap}", "-XX:+UseSerialGC", logging, "-cp", f"{_JARS.libs}/*", *call]
