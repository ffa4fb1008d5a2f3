"""Which partitions of a topic this process has, and where it is in each of them."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from lern.ports import Partition


@dataclass(slots=True)
class Place:
    """Where this process is in one partition; None: not known."""

    delivered: int | None = None
    """The offset that follows the last message given to the caller."""
    committed: int | None = None
    """The offset that was committed last, or else that of the first message given to the caller."""
    end: int | None = None
    """The end of the partition when it was last reached: behind the last message, and behind the markers that
    transactions leave, which have offsets but never arrive."""
    paused: bool = False

    def lag(self, high: int) -> int | None:
        """How many messages before `high`, the end of the partition as it is now, are not committed."""
        start = self.committed if self.committed is not None else self.end
        if start is None:
            return None
        if self.end is not None and (self.delivered is None or start >= self.delivered):
            start = max(start, self.end)
        return max(0, high - start)


class Assignment:
    """The places of all assigned partitions of one topic, by their numbers."""

    def __init__(self, topic: str) -> None:
        self._topic = topic
        self._places: dict[int, Place] = {}
        self._generations: dict[int, int] = {}
        self._moved: set[int] = set()

    def __iter__(self) -> Iterator[int]:
        return iter(self._places)

    def __bool__(self) -> bool:
        return bool(self._places)

    def __getitem__(self, number: int) -> Place:
        return self._places[number]

    def get(self, number: int | None) -> Place | None:
        """The place in a partition; None when it is not assigned."""
        return self._places.get(number) if number is not None else None

    def partitions(self) -> frozenset[Partition]:
        """Those that are assigned."""
        return frozenset(Partition(self._topic, number) for number in self._places)

    def generation(self, number: int) -> int:
        """How often the partition was assigned."""
        return self._generations.get(number, 0)

    def moved(self) -> set[int]:
        """The partitions that were assigned or lost since this was asked last."""
        moved, self._moved = self._moved, set()
        return moved

    def add(self, numbers: Iterable[int]) -> None:
        """These partitions are assigned anew."""
        for number in numbers:
            self._places[number] = Place()
            self._generations[number] = self.generation(number) + 1
            self._moved.add(number)

    def remove(self, numbers: Iterable[int]) -> None:
        """These partitions are lost."""
        for number in numbers:
            self._places.pop(number, None)
            self._moved.add(number)

    def clear(self) -> None:
        """All partitions are lost."""
        self.remove(list(self._places))
