"""The metrics, all in one list (Prometheus)."""

from collections.abc import Mapping

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from lern.counts import Count
from lern.errors import Unavailable
from lern.ports import Partition


class Metrics:
    """Every metric of the process."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        # What the jobs did: one time series for each counter of docs/jobs.md.
        self.counts = Counter(
            "lern_job",
            "Events, decisions, reads and writes of a job, by what is counted.",
            ["job", "count"],
            registry=self.registry,
        )
        # Messages of each partition that are not yet committed.
        self.lag = Gauge(
            "lern_lag_messages",
            "Messages not yet committed.",
            ["job", "topic", "partition"],
            registry=self.registry,
        )
        # How large batches are, and how long one takes from facts to commit.
        self.batch_size = Histogram(
            "lern_batch_messages",
            "Messages in a batch.",
            ["job"],
            buckets=(1, 3, 10, 30, 100, 300, 1000, 3000),
            registry=self.registry,
        )
        self.batch_seconds = Histogram(
            "lern_batch_seconds",
            "Seconds from reading facts to commit.",
            ["job"],
            buckets=(0.003, 0.01, 0.03, 0.1, 0.3, 1, 3, 10, 30),
            registry=self.registry,
        )
        # Batches that had to be tried again, by the dependency that did not answer.
        self.retries = Counter(
            "lern_retries", "Batches tried again.", ["job", "dependency"], registry=self.registry
        )
        # 1: answers, 0: a job waits for it.
        self.up = Gauge(
            "lern_dependency_up", "Whether a dependency answers.", ["dependency"], registry=self.registry
        )


class JobMonitor:
    """Implements `engines.observer.Observer`: counts one job, and remembers what it waits for."""

    def __init__(self, job: str, metrics: Metrics) -> None:
        self.job = job
        self.totals: dict[Count, int] = {}
        self.waits_for: Unavailable | None = None
        self._down: set[str] = set()
        self._lagging: set[Partition] = set()
        self._metrics = metrics
        self._counts = {count: metrics.counts.labels(job, count.value) for count in Count}
        self._batch_size = metrics.batch_size.labels(job)
        self._batch_seconds = metrics.batch_seconds.labels(job)

    def handled(self, counts: Mapping[Count, int], seconds: float) -> None:
        """As `Observer.handled`."""
        for count, amount in counts.items():
            self.totals[count] = self.totals.get(count, 0) + amount
            self._counts[count].inc(amount)
        self._batch_size.observe(counts.get(Count.TOTAL, 0))
        self._batch_seconds.observe(seconds)

    def waiting(self, error: Unavailable) -> None:
        """As `Observer.waiting`."""
        self.waits_for = error
        self._down.add(error.dependency)
        self._metrics.retries.labels(self.job, error.dependency).inc()
        self._metrics.up.labels(error.dependency).set(0)

    def recovered(self) -> None:
        """As `Observer.recovered`."""
        for dependency in self._down:
            self._metrics.up.labels(dependency).set(1)
        self._down.clear()
        self.waits_for = None

    def polled(self, lag: Mapping[Partition, int]) -> None:
        """As `Observer.polled`."""
        for partition in self._lagging - lag.keys():  # another member has it now
            self._metrics.lag.remove(self.job, partition.topic, str(partition.number))
        for partition, messages in lag.items():
            self._metrics.lag.labels(self.job, partition.topic, str(partition.number)).set(messages)
        self._lagging = set(lag)
