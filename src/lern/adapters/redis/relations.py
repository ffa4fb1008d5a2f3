"""The relation cache as jobs read it: sets of ids in Redis, kept in memory until they change."""

import math
import threading
import time
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import cast

from lern.adapters.redis.connection import Command
from lern.adapters.redis.tracking import TrackingConnection
from lern.domain.model import RelationKey
from lern.settings.model import RedisSettings

Sets = dict[RelationKey, frozenset[str]]

_LIFETIME = 1.0
"""Seconds for which a set may be kept when the server does not announce changes."""

_OVERHEAD = 4
"""How many members weigh in memory what an empty set does (its keys and its places in two dictionaries)."""


@dataclass(slots=True)
class _Kept:
    """One set in memory."""

    name: str
    members: frozenset[str]
    until: float
    used: int
    """The number of the call that asked for it last."""


class RelationSets:
    """Port `RelationCache` over the database of the relation cache. Threads take turns.

    Every call sees what was written and acknowledged before it began, at the price of one round trip: the server's
    answer comes after its announcements. Where the server announces nothing (before Redis 6, or not allowed to
    this user), sets are kept for a second and need no round trip in that time.

    At most `limit` members are kept (a set itself counts as four): 60 to 100 MB for a million.
    """

    def __init__(
        self,
        settings: RedisSettings,
        *,
        limit: int = 1_000_000,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.hits = 0
        """How many sets were answered from memory."""
        self.misses = 0
        """How many were read from the server."""
        self._connection = TrackingConnection(settings)
        self._generation = 0
        self._clock = clock
        self._limit = limit
        self._weight = 0
        self._calls = 0
        self._memory: dict[RelationKey, _Kept] = {}
        self._keys: dict[str, RelationKey] = {}
        self._lock = threading.Lock()

    def members(self, keys: Collection[RelationKey]) -> Mapping[RelationKey, frozenset[str]]:
        """The set of every key; one that is not there is empty, and remembered as such.

        Raises Unavailable, and Refused when a key holds something else than a set.
        """
        if not keys:
            return {}
        with self._lock:
            self._calls += 1
            kept = self._recall(keys)
            read: Sets = {}
            absent = [key for key in keys if key not in kept]
            if absent or self._connection.tracked:
                read, void = self._read(absent)
                if void:
                    kept = self._recall(key for key in keys if key not in read)
                    lost = [key for key in keys if key not in kept and key not in read]
                    if lost:  # what else becomes void by now was still true when this call began
                        read |= self._read(lost)[0]
            self.hits += len(kept)
            self.misses += len(read)
            return kept | read

    def close(self) -> None:
        """Hangs up; what is in memory is void with the next connection."""
        self._connection.close()

    def _recall(self, keys: Iterable[RelationKey]) -> Sets:
        now = self._clock()
        found = {}
        for key in keys:
            kept = self._memory.get(key)
            if kept is not None and kept.until > now:
                kept.used = self._calls
                found[key] = kept.members
        return found

    def _read(self, keys: Sequence[RelationKey]) -> tuple[Sets, bool]:
        """The sets of `keys` from the server, and whether anything in memory proved to be void."""
        names = [key.redis_key for key in keys]
        commands: list[Command] = [(b"SMEMBERS", name) for name in names]
        begun = self._clock()
        answers = self._connection.exchange(commands or [(b"PING",)])
        changed = set(self._connection.changed())
        void = self._forget(changed)
        until = math.inf if self._connection.tracked else begun + _LIFETIME
        found: Sets = {}
        ids: dict[str, str] = {}
        sets: dict[frozenset[str], frozenset[str]] = {}
        # There may be one answer more than keys: to PING.
        for key, name, answer in zip(keys, names, answers, strict=False):
            # The same ids come again and again, and contents of one unit have the same ancestors.
            members = frozenset(ids.setdefault(member, member) for member in cast("list[str]", answer))
            found[key] = members = sets.setdefault(members, members)
            if None not in changed and name not in changed:
                self._keep(key, _Kept(name, members, until, self._calls))
        if self._weight > self._limit:
            self._shrink()
        return found, void

    def _forget(self, changed: Collection[str | None]) -> bool:
        """Drops what was announced as changed, or everything when it stems from an earlier connection."""
        before = len(self._memory)
        if None in changed or self._generation != self._connection.generation:
            self._generation = self._connection.generation
            self._memory.clear()
            self._keys.clear()
            self._weight = 0
        for name in changed:
            if name in self._keys:
                self._drop(self._keys[name])
        return len(self._memory) < before

    def _keep(self, key: RelationKey, kept: _Kept) -> None:
        if kept.name in self._keys:  # of this key, or of another one that colons in ids give the same name
            self._drop(self._keys[kept.name])
        self._memory[key] = kept
        self._keys[kept.name] = key
        self._weight += len(kept.members) + _OVERHEAD

    def _drop(self, key: RelationKey) -> None:
        kept = self._memory.pop(key)
        del self._keys[kept.name]
        self._weight -= len(kept.members) + _OVERHEAD

    def _shrink(self) -> None:
        """Drops the sets that nobody asked for the longest time, a quarter of all, so that this is rare."""
        for key, _ in sorted(self._memory.items(), key=lambda item: item[1].used):
            if self._weight <= self._limit * 3 // 4:
                break
            self._drop(key)
