"""The engine of one process: threads that run jobs, each with its own consumer, until told to stop."""

import threading
import time
from collections.abc import Callable, Collection, Hashable, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field

import structlog

from lern.engines.faults import where
from lern.engines.guard import Guard
from lern.engines.lanes import Lane, Lanes
from lern.engines.observer import Observer
from lern.engines.turn import AnyJob, Plan, plan, resume, settle
from lern.errors import SettingsError, Unavailable
from lern.job import Context
from lern.ports import Partition, Platform

_LONGEST_POLL = 0.25
_START_GRACE = 20.0
"""Seconds after which a job that got no partition counts as idle: others may have them all. Members that died are waited
for by their group, ten seconds each (`adapters.kafka.connection.Timing.session`), and those of a crash loop overlap."""

_MOST_WARNINGS = 10
"""Reasons that are logged for one batch."""

_log = structlog.get_logger()

ShowPlan = Callable[[AnyJob, Plan], None]


@dataclass(frozen=True, slots=True)
class Assignment:
    """One job, and all it needs to run; a job may have several, which share its partitions."""

    job: AnyJob
    platform: Platform
    context: Callable[[], Context]
    """A new context, with the time of now."""
    observer: Observer
    guard: Guard = field(default_factory=Guard)
    """The same for all assignments of one job."""
    show: ShowPlan | None = None
    """Set in a dry run: plans are shown instead of carried out."""


class Worker:
    """Runs one job: polls, handles the batches that are due, holds those whose dependencies are down."""

    def __init__(self, assignment: Assignment) -> None:
        self._its = assignment
        batches = assignment.context().settings.batch
        self._lanes = Lanes(assignment.platform.consumer, batches, one_by_one=assignment.job.one_by_one)
        self._quiet_since = time.monotonic() + _START_GRACE
        self.assigned = frozenset[Partition]()
        self.had_partitions = False
        self._is_waiting = False
        self.drain = False
        """Set from outside: what waits is handled without waiting for more."""

    @property
    def job(self) -> str:
        """The job's name."""
        return self._its.job.name

    @property
    def quiet_for(self) -> float:
        """Seconds since the last message came or was handled; 0 while the job waits for a dependency."""
        return 0.0 if self._is_waiting else time.monotonic() - self._quiet_since

    @property
    def is_drained(self) -> bool:
        """Whether nothing that was read is left to do."""
        return self._lanes.is_empty

    def step(self) -> None:
        """Reads what is there and handles what is due."""
        consumer = self._its.platform.consumer
        try:
            self._lanes.apply_backpressure()
            wait = self._lanes.wait(time.monotonic(), _LONGEST_POLL)
            records = consumer.poll(self._lanes.largest_batch, wait)
            now = time.monotonic()
            self._lanes.add(records, now)
            lag, assigned = consumer.lag(), consumer.assigned()
            self._its.observer.polled(lag)
        except Unavailable as error:
            self._waits(error)
            time.sleep(_LONGEST_POLL)
            return
        # Of a partition whose position is in doubt (a dead process left a transaction open) nothing is known yet.
        if records or assigned != self.assigned or not assigned <= lag.keys():
            self.assigned, self._quiet_since = assigned, now
            self.had_partitions |= bool(assigned)
        for lane in self._lanes.due(now, drain=self.drain):
            self._handle(lane)
        if self._is_waiting and not any(lane.failures for lane in self._lanes):
            self._is_waiting = False
            self._its.observer.recovered()

    def _handle(self, lane: Lane) -> None:
        started = time.monotonic()
        try:
            done = self._turn(lane)
        except Unavailable as error:
            lane.failed(time.monotonic())
            self._waits(error)
            return
        except SettingsError:
            raise
        except Exception as error:  # noqa: BLE001  # a fault of ours holds one partition, visibly, and ends nothing
            _log.error("turn_failed", job=self._its.job.name, partition=lane.partition.number, **where(error))
            lane.failed(time.monotonic())
            self._waits(Unavailable("internal", f"fault in a turn: {type(error).__name__}"))
            return
        self._quiet_since = time.monotonic()
        lane.done(done.following)
        self._its.observer.handled(done.counts(), self._quiet_since - started)
        self._tell_warnings(lane, done)

    def _turn(self, lane: Lane) -> Plan:
        its, batch, context = self._its, lane.batch(self._lanes.largest_batch), self._its.context()
        if its.show:
            shown = plan(its.job, batch, its.platform.facts, context)
            its.show(its.job, shown)
            return shown
        with ExitStack() as held, its.platform.transaction():

            def hold(keys: Collection[Hashable]) -> None:
                held.enter_context(its.guard.holding(keys))

            earlier = resume(its.job, batch, its.platform) if lane.fresh else None
            decided = earlier or plan(its.job, batch, its.platform.facts, context, hold)
            return settle(its.job, decided, batch, its.platform, context)

    def _tell_warnings(self, lane: Lane, done: Plan) -> None:
        """One line for each reason, with where it came first: a flood of bad messages is no flood of lines."""
        offsets: dict[str, list[int]] = {}
        for step in done.steps:
            for warning in step.outcome.warnings:
                offsets.setdefault(warning, []).extend(step.offsets)
        place = {"job": self._its.job.name, "partition": lane.partition.number}
        for reason, found in list(offsets.items())[:_MOST_WARNINGS]:
            _log.warning("event_warning", **place, reason=reason, messages=len(found), first_offset=found[0])
        if len(offsets) > _MOST_WARNINGS:
            _log.warning("more_event_warnings", **place, reasons=len(offsets) - _MOST_WARNINGS)

    def _waits(self, error: Unavailable) -> None:
        if not self._is_waiting:
            _log.warning("waiting_for_dependency", job=self._its.job.name, reason=str(error))
        self._is_waiting = True
        self._its.observer.waiting(error)


class _JobThread(threading.Thread):
    """Runs one worker until the stop is set; a fault that ends it is kept, and ends the others as well."""

    def __init__(self, assignment: Assignment, stop: threading.Event) -> None:
        super().__init__(name=assignment.job.name, daemon=True)
        self.worker = Worker(assignment)
        self.fault: BaseException | None = None
        self._consumer = assignment.platform.consumer
        self._stop_all = stop

    def run(self) -> None:
        """As `threading.Thread.run`."""
        try:
            while not self._stop_all.is_set():
                self.worker.step()
        except BaseException as fault:  # noqa: BLE001  # it is told by the thread that waits for this one
            self.fault = fault
            self._stop_all.set()
        finally:
            self._consumer.close()


def run(
    assignments: Sequence[Assignment],
    stop: threading.Event,
    *,
    until_idle: float | None = None,
    grace: float = 9.0,
) -> bool:
    """Runs all jobs until `stop` is set or every input has been quiet for `until_idle` seconds.

    A batch that is being handled is finished; what was only read is left for the next run. Returns False if a job
    ended by a fault of its own, or could not finish within `grace` seconds of the stop. Raises SettingsError when a
    server does not accept what the settings say.
    """
    threads = [_JobThread(assignment, stop) for assignment in assignments]
    for thread in threads:
        thread.start()
    seen = set[Partition]()
    while not stop.wait(0.05):
        if until_idle is not None and _all_quiet([thread.worker for thread in threads], until_idle, seen):
            stop.set()
    deadline = time.monotonic() + grace
    for thread in threads:
        thread.join(max(0.0, deadline - time.monotonic()))
        if isinstance(thread.fault, SettingsError):
            raise thread.fault
        if thread.fault:
            with suppress(OSError):  # standard error may be what has gone
                _log.error("job_ended", job=thread.name, **where(thread.fault))
    return not any(thread.fault or thread.is_alive() for thread in threads)


def _all_quiet(workers: Sequence[Worker], seconds: float, seen: set[Partition]) -> bool:
    """Whether all inputs have been quiet so long and nothing is left; what waits for more is asked to go on.

    `seen` gathers the partitions that any worker had. While one of them is with none it may be on its way from one
    to the other, which takes a while in which nothing comes.
    """
    now = set[Partition]().union(*(worker.assigned for worker in workers))
    seen |= now
    for worker in workers:
        worker.drain = worker.quiet_for >= seconds
    needed = seconds if now == seen else max(seconds, _START_GRACE)
    served = {worker.job for worker in workers if worker.had_partitions}
    # A topic may have fewer partitions than its job has threads: those without one do not count.
    counted = [worker for worker in workers if worker.had_partitions or worker.job not in served]
    return all(worker.quiet_for >= needed and worker.is_drained for worker in counted)
