"""What jobs write to Redis besides marks: relations, units, and a learner's list of enrolments that is out of date."""

from collections.abc import Iterator, Mapping, Sequence
from itertools import islice

from lern.adapters.redis.connection import EXEC, MULTI, Command, RedisConnection
from lern.job import ForgetEnrolmentList, ReplaceRelation, SetUnit
from lern.settings.model import RedisSettings

_BLOCK = 20_000
"""Members that are written in one transaction, give or take a set: a few milliseconds of the server's time."""

_ARGUMENTS = 10_000
"""Members or keys in one command."""


class RelationWriter:
    """Carries out ReplaceRelation in the relation cache and SetUnit in the collection cache."""

    def __init__(self, relations: RedisSettings, collections: RedisSettings) -> None:
        self._relations = RedisConnection(relations)
        self._collections = RedisConnection(collections)

    def apply(self, writes: Sequence[ReplaceRelation | SetUnit]) -> None:
        """Each set is replaced in one transaction: a reader sees the old one or the new one.

        The last write to a key wins. Raises Unavailable; then some of the writes may be in place.
        """
        sets = {write.key.redis_key: write.members for write in writes if isinstance(write, ReplaceRelation)}
        if sets:
            self._relations.exchange(list(_replacing(sets)))
        units: list[Command] = [
            (b"SET", write.unit, write.json) for write in writes if isinstance(write, SetUnit)
        ]
        if units:
            self._collections.exchange(units)

    def close(self) -> None:
        """Hangs up."""
        self._relations.close()
        self._collections.close()


class EnrolmentLists:
    """The course service's cached lists of enrolments; with None as settings there is no such cache."""

    def __init__(self, settings: RedisSettings | None) -> None:
        self._connection = None if settings is None else RedisConnection(settings)

    def apply(self, writes: Sequence[ForgetEnrolmentList]) -> None:
        """Removes the list of each user, so that the course service reads it anew. Raises Unavailable."""
        keys = list(dict.fromkeys(f"{write.user}:user-enrolments" for write in writes))
        if self._connection is not None and keys:
            self._connection.exchange(_removing(keys))

    def close(self) -> None:
        """Hangs up."""
        if self._connection is not None:
            self._connection.close()


def _replacing(sets: Mapping[str, frozenset[str]]) -> Iterator[Command]:
    for block in _blocks(sets):
        yield MULTI
        yield from _removing(block)
        for key in block:
            members = iter(sets[key])
            for _ in range(0, len(sets[key]), _ARGUMENTS):
                yield (b"SADD", key, *islice(members, _ARGUMENTS))
        yield EXEC


def _blocks(sets: Mapping[str, frozenset[str]]) -> Iterator[list[str]]:
    block: list[str] = []
    size = 0
    for key, members in sets.items():
        block.append(key)
        size += len(members)
        if size >= _BLOCK:
            yield block
            block, size = [], 0
    if block:
        yield block


def _removing(keys: Sequence[str]) -> list[Command]:
    return [(b"UNLINK", *keys[start : start + _ARGUMENTS]) for start in range(0, len(keys), _ARGUMENTS)]
