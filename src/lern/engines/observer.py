"""What an engine reports while it works; metrics and the health page listen."""

from collections.abc import Mapping
from typing import Protocol

from lern.counts import Count
from lern.errors import Unavailable
from lern.ports import Partition


class Observer(Protocol):
    """Listens to one job. Methods are called from the job's thread and must be quick."""

    def handled(self, counts: Mapping[Count, int], seconds: float) -> None:
        """A batch is done."""
        ...

    def waiting(self, error: Unavailable) -> None:
        """A batch has to be tried again, because a dependency is down."""
        ...

    def recovered(self) -> None:
        """What was waited for is there again."""
        ...

    def polled(self, lag: Mapping[Partition, int]) -> None:
        """The input was looked at; `lag` as in `Consumer.lag`."""
        ...
