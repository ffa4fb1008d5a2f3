"""The port Consumer for a dry run: it reads what a group would read next, and leaves no trace."""

from collections.abc import Mapping, Sequence

from lern.adapters.kafka.connection import Health, Timing
from lern.adapters.kafka.reader import Reader, Start
from lern.job import Message, Record
from lern.ports import Partition
from lern.settings.model import KafkaSettings


class KafkaObserver:
    """Reads all partitions of a topic from a group's committed positions, without being a member of the group.

    Nothing is sent and nothing committed: `stage` and `abort` do nothing, `commit` counts for `lag` alone.
    """

    def __init__(self, settings: KafkaSettings, topic: str, group: str, timing: Timing | None = None) -> None:
        self._health = Health()
        self._reader = Reader(
            settings, topic, group, start=Start.POSITIONS, timing=timing or Timing(), health=self._health
        )

    def available(self) -> str | None:
        """As `KafkaConsumer.available`."""
        return self._health.reason

    def poll(self, limit: int, timeout: float) -> Sequence[Record]:
        """As the port says."""
        return self._reader.poll(limit, timeout)

    def assigned(self) -> frozenset[Partition]:
        """As the port says; all partitions, once the topic is there."""
        return self._reader.assigned()

    def generation(self, partition: Partition) -> int:
        """As the port says."""
        return self._reader.generation(partition)

    def pause(self, partition: Partition) -> None:
        """As the port says."""
        self._reader.pause(partition)

    def resume(self, partition: Partition) -> None:
        """As the port says."""
        self._reader.resume(partition)

    def stage(self, messages: Sequence[Message]) -> None:
        """Sends nothing."""

    def commit(self, partition: Partition, following: int) -> None:
        """Commits nothing; `lag` counts from `following` on."""
        self._reader.committed(partition, following)

    def abort(self) -> None:
        """Does nothing."""

    def lag(self) -> Mapping[Partition, int]:
        """As the port says, by what this process has read."""
        return self._reader.lag()

    def close(self) -> None:
        """As the port says."""
        self._reader.close()
