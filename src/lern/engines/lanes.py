"""What lies between a consumer and its job: the messages of each partition that wait to be handled.

A lane is due when so many messages wait as `threshold.batch.read.size` says, or when its oldest message has waited for
`threshold.batch.read.interval`, or at once when the input is to be drained. What is due is handled together, up to a
thousand messages (unless the job wants them one by one): a small size means little delay, not small batches under load.
A lane whose batch failed waits longer each time, alone: the others go on.
"""

import random
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from lern.job import Record
from lern.ports import Consumer, Partition
from lern.settings.model import BatchSettings

_MAX_BATCH_BYTES = 8 * 2**20
_FIRST_DELAY, _LONGEST_DELAY = 0.1, 5.0
_LARGEST_BATCH = 1000


@dataclass(slots=True)
class Lane:
    """One partition's waiting messages; times are seconds of a monotonic clock."""

    partition: Partition
    generation: int
    records: list[Record] = field(default_factory=list)
    arrivals: list[float] = field(default_factory=list)
    """When each of the records came."""
    bytes: int = 0
    following: int = 0
    """Messages before this offset are done."""
    retry_at: float = 0.0
    failures: int = 0
    fresh: bool = True
    """Whether an interrupted turn may have left a journal: after an assignment, and after a failure."""

    def add(self, record: Record, now: float) -> None:
        """Takes one more message, unless it is done already."""
        if record.offset >= self.following:
            self.records.append(record)
            self.arrivals.append(now)
            self.bytes += _size(record)

    def batch(self, most: int) -> list[Record]:
        """The next messages to handle: at most so many, at most 8 MB, at least one."""
        taken = size = 0
        for record in self.records[:most]:
            if taken and size + _size(record) > _MAX_BATCH_BYTES:
                break
            size += _size(record)
            taken += 1
        return self.records[:taken]

    def holds(self, messages: int) -> bool:
        """Whether so many messages wait, or as many bytes as a batch may have."""
        return len(self.records) >= messages or self.bytes >= _MAX_BATCH_BYTES

    def done(self, following: int) -> None:
        """Everything before `following` is committed."""
        self.following = following
        left = [
            (at, record)
            for at, record in zip(self.arrivals, self.records, strict=True)
            if record.offset >= following
        ]
        self.arrivals = [at for at, _ in left]
        self.records = [record for _, record in left]
        self.bytes = sum(map(_size, self.records))
        self.failures = 0
        self.fresh = False

    def failed(self, now: float) -> None:
        """The batch has to be tried again, after a delay that doubles up to five seconds."""
        delay = min(_LONGEST_DELAY, _FIRST_DELAY * 2 ** min(self.failures, 10))
        self.retry_at = now + delay * random.uniform(0.75, 1.25)  # noqa: S311  # spreads retries, no secret
        self.failures += 1
        self.fresh = True


class Lanes:
    """The lanes of all partitions that a consumer has."""

    def __init__(self, consumer: Consumer, settings: BatchSettings, *, one_by_one: bool = False) -> None:
        self._consumer = consumer
        # Who takes one at a time has nothing to wait for.
        self._size = 1 if one_by_one else settings.read_size
        self._interval = settings.read_interval
        self._lanes: dict[Partition, Lane] = {}
        self.largest_batch = 1 if one_by_one else max(settings.read_size, _LARGEST_BATCH)

    def __iter__(self) -> Iterator[Lane]:
        return iter(self._lanes.values())

    @property
    def is_empty(self) -> bool:
        """Whether no message waits."""
        return not any(lane.records for lane in self)

    def add(self, records: Iterable[Record], now: float) -> None:
        """Sorts what was polled into the lanes; lanes that were lost are dropped with all they hold."""
        self._follow_assignment()
        for record in records:
            lane = self._lanes.get(Partition(record.topic, record.partition))
            if lane:
                lane.add(record, now)

    def apply_backpressure(self) -> None:
        """Has the consumer bring nothing more of the lanes that hold a batch, until they have been handled."""
        for lane in self:
            if lane.holds(self.largest_batch):
                self._consumer.pause(lane.partition)
            else:
                self._consumer.resume(lane.partition)

    def due(self, now: float, *, drain: bool) -> list[Lane]:
        """The lanes to handle now, the longest waiting first."""
        moments = [(now if drain else self._due_at(lane), lane) for lane in self if lane.records]
        ready = [lane for moment, lane in moments if max(moment, lane.retry_at) <= now]
        return sorted(ready, key=lambda lane: lane.arrivals[0])

    def wait(self, now: float, longest: float) -> float:
        """How many seconds to wait for input at most, so that no lane is handled late."""
        moments = [max(self._due_at(lane), lane.retry_at) for lane in self if lane.records]
        return max(0.0, min([longest, *(moment - now for moment in moments)]))

    def _due_at(self, lane: Lane) -> float:
        """When a lane that is not empty is due, if nothing more comes."""
        return lane.arrivals[0] + (0.0 if lane.holds(self._size) else self._interval)

    def _follow_assignment(self) -> None:
        assigned = {part: self._consumer.generation(part) for part in self._consumer.assigned()}
        kept = {part: lane for part, lane in self._lanes.items() if assigned.get(part) == lane.generation}
        self._lanes = {
            part: kept.get(part) or Lane(part, generation) for part, generation in assigned.items()
        }


def _size(record: Record) -> int:
    return len(record.value or b"")
