"""Keeps threads of one job apart where they would decide about the same thing at once."""

import threading
from collections.abc import Collection, Hashable, Iterator
from contextlib import contextmanager


class Guard:
    """Whoever holds keys is the only one to read, decide and write what belongs to them.

    Messages of one learner are usually in one partition, and so with one thread; producers that send without a key put
    them into several. Keys are taken all at once, so nobody waits while holding some.
    """

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._held: set[Hashable] = set()

    @contextmanager
    def holding(self, keys: Collection[Hashable]) -> Iterator[None]:
        """Waits until nobody else holds any of these keys, and holds them meanwhile."""
        mine = set(keys)
        with self._changed:
            self._changed.wait_for(lambda: self._held.isdisjoint(mine))
            self._held |= mine
        try:
            yield
        finally:
            with self._changed:
                self._held -= mine
                self._changed.notify_all()
