"""What is watched during a run: messages that arrive on a topic, and what processes use."""

import threading
import time
from collections.abc import Mapping
from types import TracebackType
from typing import Self

import psutil
from confluent_kafka import Consumer, TopicPartition

from bench.arrivals import Arrival, Usage
from bench.machine import cpu
from bench.servers import BenchError, Servers

_SAMPLE = 0.1
"""Seconds between two looks at the processes."""


class TopicWatch:
    """Counts committed messages that come to a topic from now on, and keeps them: a consumer of the benchmark's own."""

    def __init__(self, servers: Servers, topic: str) -> None:
        self.arrivals: list[Arrival] = []
        self.values: list[bytes] = []
        self._stop = threading.Event()
        self._failure: str | None = None
        self._consumer = Consumer(
            {
                "bootstrap.servers": servers.kafka,
                "group.id": f"bench-watch-{topic}",
                "enable.auto.commit": False,
                "isolation.level": "read_committed",
                "fetch.wait.max.ms": 50,
            }
        )
        found = self._consumer.list_topics(topic, timeout=30).topics[topic]
        if found.error is not None:
            raise BenchError(f"topic {topic}: {found.error}")
        places = [TopicPartition(topic, number) for number in found.partitions]
        for place in places:
            place.offset = self._consumer.get_watermark_offsets(place, timeout=30)[1]
        self._consumer.assign(places)
        self._thread = threading.Thread(target=self._watch, name=f"watch {topic}", daemon=True)

    @property
    def total(self) -> int:
        """How many have come."""
        if self._failure:
            raise BenchError(self._failure)
        return self.arrivals[-1].total if self.arrivals else 0

    def _watch(self) -> None:
        while not self._stop.is_set():
            messages = self._consumer.consume(5000, 0.03)
            now = time.monotonic()
            for message in messages:
                if message.error() is not None:
                    self._failure = f"the benchmark's own consumer: {message.error()}"
                    return
                self.values.append(message.value() or b"")
            if messages:
                self.arrivals.append(Arrival(now, len(self.values)))

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop.set()
        self._thread.join()
        self._consumer.close()


class ProcessWatch:
    """Looks ten times a second at what processes use: CPU of all, memory of the first."""

    def __init__(self, processes: Mapping[str, psutil.Process]) -> None:
        self.usage: dict[str, list[Usage]] = {name: [] for name in processes}
        self.resident = 0
        """The most memory that the first process held, in bytes."""
        self._processes = dict(processes)
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="watch processes", daemon=True)

    def _watch(self) -> None:
        while not self._stop.is_set():
            self._look()
            self._stop.wait(_SAMPLE)

    def _look(self) -> None:
        for place, (name, process) in enumerate(self._processes.items()):
            try:
                with process.oneshot():
                    self.usage[name].append(Usage(time.monotonic(), cpu(process)))
                    if not place:
                        self.resident = max(self.resident, process.memory_info().rss)
            except psutil.NoSuchProcess:
                continue  # that it ended is noticed by those who wait for its work

    def __enter__(self) -> Self:
        self._look()
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop.set()
        self._thread.join()
        self._look()
