"""The jobs, at work in the background as `lern run --all` has them, but by the clock of the story."""

import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime

from lern import bootstrap
from lern.counts import Count
from lern.engines import local
from lern.errors import LernError, Unavailable
from lern.job import Context
from lern.monitoring.metrics import JobMonitor, Metrics
from lern.settings.model import JobSettings

_PATIENCE = 10.0
"""Seconds for which the jobs may wait for the file before the demo gives up."""
_LOOK_AGAIN = 0.005


class Interrupted(Exception):
    """Somebody wanted the demo to stop; what was handled so far is in the file."""


class Jobs:
    """What the demo sees of the running jobs."""

    def __init__(self, stop: threading.Event) -> None:
        self.now = datetime.now(UTC)
        """The time by which the jobs work."""
        self.monitors: dict[str, JobMonitor] = {}
        self.ended = threading.Event()
        """Set when the engine has ended, or is to end."""
        self.seconds = 0.0
        """For how long messages lay in the inputs until all their effects were in place."""
        self._stop = stop
        self._expected: dict[str, int] = {}

    def expect(self, job: str, messages: int) -> None:
        """So many more messages lie in the input of a job."""
        self._expected[job] = self._expected.get(job, 0) + messages

    @property
    def messages(self) -> int:
        """How many messages were expected so far."""
        return sum(self._expected.values())

    def wait(self) -> None:
        """Waits until all expected messages are handled.

        Raises Interrupted when the demo is to stop, and Unavailable when the file cannot be used for long.
        """
        started = last_well = time.monotonic()
        while not all(self._handled(job) >= count for job, count in self._expected.items()):
            if self._stop.is_set():
                raise Interrupted
            if self.ended.is_set():
                raise LernError("a job has ended by a fault of its own, see the log")
            trouble = self._trouble()
            if trouble is None:
                last_well = time.monotonic()
            elif time.monotonic() - last_well > _PATIENCE:
                raise trouble
            time.sleep(_LOOK_AGAIN)
        self.seconds += time.monotonic() - started

    def _handled(self, job: str) -> int:
        return self.monitors[job].totals.get(Count.TOTAL, 0)

    def _trouble(self) -> Unavailable | None:
        return next((one.waits_for for one in self.monitors.values() if one.waits_for), None)


@contextmanager
def jobs_at_work(
    installation: bootstrap.Installation, settings: Mapping[str, JobSettings], stop: threading.Event
) -> Iterator[Jobs]:
    """Runs all jobs until the block is left; a batch in hand is finished."""
    jobs = Jobs(stop)

    def in_story_time(context: Callable[[], Context]) -> Callable[[], Context]:
        return lambda: replace(context(), now=jobs.now)

    work = [
        replace(one, context=in_story_time(one.context))
        for one in bootstrap.assignments(installation, settings, Metrics())
    ]
    jobs.monitors = {one.job.name: one.observer for one in work if isinstance(one.observer, JobMonitor)}
    engine = threading.Thread(target=local.run, args=(work, jobs.ended), name="engine")
    engine.start()
    try:
        yield jobs
    finally:
        jobs.ended.set()
        engine.join()
