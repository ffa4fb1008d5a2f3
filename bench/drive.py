"""Running a load against a program that is already waiting for it, whatever program that is."""

import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psutil
from confluent_kafka import ConsumerGroupState, KafkaException, Producer
from confluent_kafka.admin import AdminClient

from bench.arrivals import Part, parts
from bench.check import unwanted, verify
from bench.load import Load
from bench.machine import Others
from bench.place import PARTITIONS, Place
from bench.servers import BenchError, Servers, admin
from bench.watch import ProcessWatch, TopicWatch

AUDITS = 2
"""AUDIT events of a completion that is the first of its kind: `start` and `complete`."""

PROGRAM = "program"
"""The name of the measured process among all that are watched."""

_JOIN_SECONDS = 60.0
_STALL_SECONDS = 60.0
_SETTLED_SECONDS = 1.0


@dataclass(frozen=True, slots=True)
class Measured:
    """One run of a load."""

    parts: dict[str, Part]
    resident: int
    """The most memory that the program held, in bytes; 0 when its process is not known."""
    produced: float
    """Seconds until all events were on the topic."""
    others: float
    """How much of the machine's CPU went to processes that have nothing to do with this (0 to 1)."""

    @property
    def rate(self) -> float:
        """Events a second, from the first event that was sent to the last AUDIT event that arrived."""
        return self.parts["all"].rate


@contextmanager
def program(command: Sequence[str | Path]) -> Iterator[subprocess.Popen[bytes]]:
    """A program that runs until the block ends; an early or an unclean end is a BenchError with its last lines."""
    with tempfile.TemporaryFile() as output:

        def last_lines() -> str:
            output.seek(0)
            return "\n".join(output.read().decode(errors="replace").splitlines()[-15:])

        with subprocess.Popen(command, stdout=output, stderr=subprocess.STDOUT) as running:
            try:
                yield running
            except BenchError as error:
                raise BenchError(f"{error}\n{last_lines()}") from error
            finally:
                running.terminate()
                try:
                    running.wait(20)
                except subprocess.TimeoutExpired:
                    running.kill()
        if running.returncode not in {0, -15}:
            raise BenchError(f"the program ended with code {running.returncode}\n{last_lines()}")


def python(module: str, *arguments: str | Path) -> list[str | Path]:
    """The command that runs a module of ours."""
    return [sys.executable, "-m", module, *arguments]


def wait_for_group(
    servers: Servers, group: str, partitions: int, running: subprocess.Popen[bytes] | None = None
) -> None:
    """Waits until the members of a group have so many partitions, and no more members come."""
    client, deadline = admin(servers), time.monotonic() + _JOIN_SECONDS
    known, since = frozenset[str](), time.monotonic()
    while time.monotonic() < deadline:
        if running is not None and running.poll() is not None:
            raise BenchError("the program has ended before it began")
        members = _members(client, group, partitions)
        if members != known:
            known, since = members, time.monotonic()
        elif members and time.monotonic() - since > _SETTLED_SECONDS:
            return
        time.sleep(0.1)
    raise BenchError(f"nobody has joined consumer group {group} within {_JOIN_SECONDS:.0f} seconds")


def _members(client: AdminClient, group: str, partitions: int) -> frozenset[str]:
    """Who is in the group; nobody while its partitions are not given away."""
    try:
        found = client.describe_consumer_groups([group], request_timeout=10)[group].result(10)
    except KafkaException:
        return frozenset()  # nobody has joined it yet
    assigned = sum(len(member.assignment.topic_partitions) for member in found.members)
    if found.state != ConsumerGroupState.STABLE or assigned != partitions:
        return frozenset()
    return frozenset(member.member_id for member in found.members)


def run(
    servers: Servers,
    place: Place,
    load: Load,
    pid: int | None,
    running: subprocess.Popen[bytes] | None = None,
) -> Measured:
    """Sends all events at once, waits until all are done, and checks the result.

    `pid` is the process of the program that is measured, if it is known. Done is an event when both of its AUDIT
    events have arrived at a consumer that reads what is committed.
    """
    watched = {PROGRAM: psutil.Process(pid)} if pid else {}
    watched |= servers.processes()
    others, before = Others(watched.values()), unwanted(servers, place)
    with TopicWatch(servers, place.audit) as audits, ProcessWatch(watched) as processes, others:
        time.sleep(0.5)
        start = time.monotonic()
        produce_load(servers, place, load)
        produced = time.monotonic() - start
        _wait(audits, load.size * AUDITS, running)
        time.sleep(0.3)  # what comes too often comes now
    verify(servers, place, load, audits.values, before)
    return Measured(
        parts=parts(audits.arrivals, start, load.size, AUDITS, processes.usage),
        resident=processes.resident if pid else 0,
        produced=produced,
        others=others.share,
    )


def run_program(servers: Servers, place: Place, load: Load, command: Sequence[str | Path]) -> Measured:
    """Starts a program, waits until it has its partitions, and measures it."""
    with program(command) as running:
        wait_for_group(servers, place.group, PARTITIONS, running)
        return run(servers, place, load, running.pid, running)


def produce_load(servers: Servers, place: Place, load: Load) -> None:
    """Sends all events of a load, each under its user as key."""
    produce(servers, place.input, [(each.user.encode(), load.event(each)) for each in load.completions])


def produce(servers: Servers, topic: str, messages: Sequence[tuple[bytes | None, bytes]]) -> None:
    """Sends messages, to the partitions that Java's producers choose; returns when the broker has them."""
    failures: list[str] = []
    producer = Producer(
        {
            "bootstrap.servers": servers.kafka,
            "partitioner": "murmur2_random",
            "compression.type": "snappy",
            "linger.ms": 5,
            "delivery.report.only.error": True,
        }
    )
    for key, value in messages:
        producer.produce(topic, value, key, on_delivery=lambda error, _: failures.append(str(error)))
    if producer.flush(60) or failures:
        raise BenchError(f"sending to {topic}: {failures[0] if failures else 'no answer in time'}")


def _wait(audits: TopicWatch, wanted: int, running: subprocess.Popen[bytes] | None) -> None:
    last, since = 0, time.monotonic()
    while (total := audits.total) < wanted:
        now = time.monotonic()
        if total > last:
            last, since = total, now
        if running is not None and running.poll() is not None:
            raise BenchError("the program has ended in the middle")
        if now - since > _STALL_SECONDS:
            raise BenchError(f"nothing came for {_STALL_SECONDS:.0f} seconds; {total} of {wanted} are there")
        time.sleep(0.02)


def command(config: Path, jobs: Sequence[str], extra: Mapping[str, str] | None = None) -> list[str | Path]:
    """`lern run`, as a user starts it."""
    overrides = [word for key, value in (extra or {}).items() for word in ("--set", f"{key}={value}")]
    return [Path(sys.executable).with_name("lern"), "run", *jobs, "--config", config, *overrides]
