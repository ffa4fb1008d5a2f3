"""Cassandra: one node, run from jars (Java 11 or 17)."""

from collections.abc import Mapping
from pathlib import Path

from testservers.fetch import Jars
from testservers.server import HOST, Server, ask

_JARS = Jars("cassandra", "5.0.5", ("org.apache.cassandra:cassandra-all:5.0.5",))

# cdc, hints and the like need their folders even where they are off.
_YAML = """\
cluster_name: lern-test
num_tokens: 1
partitioner: org.apache.cassandra.dht.Murmur3Partitioner
endpoint_snitch: SimpleSnitch
dynamic_snitch: false
seed_provider:
  - class_name: org.apache.cassandra.locator.SimpleSeedProvider
    parameters:
      - seeds: "{host}:{storage}"
listen_address: {host}
storage_port: {storage}
rpc_address: {host}
native_transport_port: {client}
authenticator: AllowAllAuthenticator
authorizer: AllowAllAuthorizer

data_file_directories: ["{folder}/data"]
commitlog_directory: {folder}/commitlog
saved_caches_directory: {folder}/caches
hints_directory: {folder}/hints
cdc_raw_directory: {folder}/cdc
commitlog_sync: periodic
commitlog_sync_period: 10000ms
commitlog_segment_size: 16MiB
commitlog_total_space: 256MiB
memtable_heap_space: 192MiB

# Few processors, shared with the tests: few threads, patient timeouts, nothing in the background.
concurrent_reads: 8
concurrent_writes: 16
concurrent_counter_writes: 4
concurrent_compactors: 1
memtable_flush_writers: 1
native_transport_max_threads: 32
read_request_timeout: 10000ms
range_request_timeout: 20000ms
write_request_timeout: 10000ms
request_timeout: 20000ms
hinted_handoff_enabled: false
key_cache_size: 16MiB
counter_cache_size: 0MiB

# Dropping and truncating tables is quick when no snapshot is taken.
auto_snapshot: false
"""

_LOGBACK = """\
<configuration>
  <appender name="console" class="ch.qos.logback.core.ConsoleAppender">
    <encoder><pattern>%d %level %msg \\(%logger{0}\\)%n</pattern></encoder>
  </appender>
  <root level="WARN"><appender-ref ref="console"/></root>
</configuration>
"""

# Nothing is forced to disk: data outlives a killed process, not a lost machine.
_PROPERTIES = {
    "cassandra-foreground": "yes",
    "cassandra.skip_wait_for_gossip_to_settle": "0",
    "cassandra.ring_delay_ms": "1",
    "cassandra.size_recorder_interval": "0",
    "cassandra.memtable.row_overhead_size": "180",
    "org.apache.cassandra.disable_mbean_registration": "true",
    "cassandra.skip_sync": "true",
    "jdk.attach.allowAttachSelf": "true",
}

_EXPORTS = (
    "java.base/java.lang.ref",
    "java.base/jdk.internal.misc",
    "java.management.rmi/com.sun.jmx.remote.internal.rmi",
    "java.rmi/sun.rmi.registry",
    "java.rmi/sun.rmi.server",
    "java.rmi/sun.rmi.transport.tcp",
    "java.sql/java.sql",
    "jdk.compiler/com.sun.tools.javac.file",
    "jdk.unsupported/sun.misc",
)

_OPENS = (
    "java.base/java.io",
    "java.base/java.lang",
    "java.base/java.lang.module",
    "java.base/java.lang.reflect",
    "java.base/java.nio",
    "java.base/java.util",
    "java.base/java.util.concurrent",
    "java.base/java.util.concurrent.atomic",
    "java.base/jdk.internal.loader",
    "java.base/jdk.internal.math",
    "java.base/jdk.internal.module",
    "java.base/jdk.internal.ref",
    "java.base/jdk.internal.reflect",
    "java.base/jdk.internal.util.jar",
    "java.base/sun.nio.ch",
    "jdk.management/com.sun.management.internal",
)

# Protocol version 4, opcode OPTIONS; the answer's opcode is SUPPORTED.
_OPTIONS = b"\x04\x00\x00\x00\x05\x00\x00\x00\x00"
_SUPPORTED = 6


class Cassandra(Server):
    """A Cassandra without passwords; data is kept over a stop.

    A killed one may lose the last tenth of a second of acknowledged writes, as with its usual settings.
    """

    name = "cassandra"
    ports = ("client", "storage")
    program, package = "java", "default-jre-headless"
    jars = _JARS
    start_seconds = 180

    def prepare(self, folder: Path, ports: Mapping[str, int]) -> None:
        (folder / "conf").mkdir()
        (folder / "conf" / "cassandra.yaml").write_text(_YAML.format(host=HOST, folder=folder, **ports))
        (folder / "conf" / "logback.xml").write_text(_LOGBACK)

    def command(self, folder: Path) -> list[str]:
        conf = folder / "conf"
        properties = {
            **_PROPERTIES,
            "cassandra.config": f"file:{conf / 'cassandra.yaml'}",
            "cassandra.storagedir": str(folder),
        }
        return [
            *("java", "-Xms1g", "-Xmx1g", "-XX:MaxDirectMemorySize=512m"),
            *(f"--add-exports={package}=ALL-UNNAMED" for package in _EXPORTS),
            *(f"--add-opens={package}=ALL-UNNAMED" for package in _OPENS),
            *(f"-D{key}={value}" for key, value in properties.items()),
            *("-cp", f"{conf}:{_JARS.libs}/*", "org.apache.cassandra.service.CassandraDaemon"),
        ]

    def ready(self, port: int) -> bool:
        answer = ask(port, _OPTIONS, 5)
        return len(answer) == 5 and answer[4] == _SUPPORTED
