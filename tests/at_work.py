"""The local engine on a platform in memory, and what it reports."""

import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

from tests import toy
from tests.events import context, settings
from tests.fakes import Tables, Topic, platform

from lern.counts import Count
from lern.engines.local import Assignment, run
from lern.engines.turn import AnyJob
from lern.errors import Unavailable
from lern.job import Record, SetUnit, Write
from lern.ports import Partition
from lern.settings.model import BatchSettings

QUICK = BatchSettings(read_size=100, read_interval=0.02)


@dataclass
class Listener:
    """Writes down what the engine reports."""

    counts: dict[Count, int] = field(default_factory=dict)
    batches: list[int] = field(default_factory=list)
    waits: list[Unavailable] = field(default_factory=list)
    recoveries: int = 0
    lags: list[Mapping[Partition, int]] = field(default_factory=list)

    def handled(self, counts: Mapping[Count, int], seconds: float) -> None:
        assert seconds >= 0
        self.batches.append(counts[Count.TOTAL])
        for count, number in counts.items():
            self.counts[count] = self.counts.get(count, 0) + number

    def waiting(self, error: Unavailable) -> None:
        self.waits.append(error)

    def recovered(self) -> None:
        self.recoveries += 1

    def polled(self, lag: Mapping[Partition, int]) -> None:
        self.lags.append(lag)


@dataclass
class FailingTables(Tables):
    """Fails whenever a unit of this name is written, as often as it is told to."""

    unit: str = ""
    times: int = 10**9
    error: Exception = field(default_factory=lambda: Unavailable("cassandra", "down"))

    def apply(self, writes: Sequence[Write]) -> None:
        if self.times and any(isinstance(write, SetUnit) and write.unit == self.unit for write in writes):
            self.times -= 1
            raise self.error
        super().apply(writes)


@dataclass
class FailingTopic(Topic):
    """Fails at some polls, or whenever it is asked for its lag."""

    poll_errors: list[Exception] = field(default_factory=list)
    lag_errors: list[Exception] = field(default_factory=list)

    def poll(self, limit: int, timeout: float) -> Sequence[Record]:
        if self.poll_errors:
            raise self.poll_errors.pop()
        return super().poll(limit, timeout)

    def lag(self) -> Mapping[Partition, int]:
        if self.lag_errors:
            raise self.lag_errors.pop()
        return super().lag()


def assignment(
    topic: Topic,
    tables: Tables | None = None,
    batch: BatchSettings = QUICK,
    listener: Listener | None = None,
    job: AnyJob = toy.JOB,
) -> Assignment:
    using = settings("toy", batch=batch)
    where = platform(tables or Tables(), topic)
    return Assignment(job, where, lambda: context(using), listener or Listener())


@contextmanager
def running(*assignments: Assignment) -> Iterator[threading.Event]:
    """The engine at work; setting the event, or leaving, stops it, and it must end in order."""
    stop, ended = threading.Event(), []
    thread = threading.Thread(target=lambda: ended.append(run(assignments, stop)))
    thread.start()
    try:
        yield stop
    finally:
        stop.set()
        thread.join(5)
    assert ended == [True]


def eventually(condition: Callable[[], object], seconds: float = 3.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition() and time.monotonic() < deadline:
        time.sleep(0.005)
    assert condition()


def idle(*assignments: Assignment, seconds: float = 0.1) -> bool:
    return run(assignments, threading.Event(), until_idle=seconds)


def topic_of(*values: bytes) -> Topic:
    topic = Topic()
    topic.put(*values)
    return topic
