"""Running one job on this thread until it has handled so many events."""

import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

from lern.bootstrap import assignments, install
from lern.counts import Count
from lern.engines.local import Worker
from lern.errors import Unavailable
from lern.monitoring.metrics import Metrics
from lern.ports import Partition
from lern.settings import JobSettings, load


class Tally:
    """An observer that counts, and remembers how long it took."""

    def __init__(self, after_turn: Callable[[], None]) -> None:
        self._after_turn = after_turn
        self.total = 0
        self.seconds = 0.0
        """From the beginning of the first batch to the end of the last."""
        self.cpu = 0.0
        """Seconds of CPU that this process used until then, since the tally was begun."""
        self._first: float | None = None
        self._cpu = time.process_time()

    def handled(self, counts: Mapping[Count, int], seconds: float) -> None:
        """As `Observer.handled`."""
        now = time.monotonic()
        if self._first is None:
            self._first = now - seconds
        self.seconds, self.cpu = now - self._first, time.process_time() - self._cpu
        self.total += counts[Count.TOTAL]
        self._after_turn()

    def waiting(self, error: Unavailable) -> None:
        """A benchmark waits for nobody."""
        raise error

    def recovered(self) -> None:
        """As `Observer.recovered`."""

    def polled(self, lag: Mapping[Partition, int]) -> None:
        """As `Observer.polled`."""


def run_job(
    settings: JobSettings,
    events: int,
    *,
    drain: bool = False,
    after_turn: Callable[[], None] = lambda: None,
) -> Tally:
    """Runs a job until it has handled so many events; they have to be there.

    With `drain`, what waits is handled without waiting for a batch to fill, as at the end of `lern run --until-idle`.
    """
    one = {settings.job: replace(settings, threads=1)}
    installation = install(one)
    try:
        [assignment] = assignments(installation, one, Metrics())
        worker = Worker(replace(assignment, observer=(tally := Tally(after_turn))))
        worker.drain = drain
        while tally.total < events:
            worker.step()
        assignment.platform.consumer.close()
    finally:
        installation.close()
    return tally


def settings_of(job: str, config: Path) -> JobSettings:
    """The settings of a job from a file."""
    return load([job], config=config).jobs[job]


def described(settings: JobSettings) -> str:
    """Those that decide about speed, in words."""
    batch = settings.batch
    return (
        f"threads {settings.threads}, read size {batch.read_size:,}, read interval {batch.read_interval:g} s,"
        f" write size {batch.write_size}"
    )
