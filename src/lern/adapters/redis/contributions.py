"""What the counts of merged learners are made of, in Redis: a hash for each learner, which never expires."""

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from typing import cast

import msgspec

from lern.adapters.redis.connection import Argument, Command, RedisConnection
from lern.domain.model import BatchId, ContentId, ContentKey, Counts, CourseId, UserId
from lern.errors import Unavailable
from lern.job import SetContributions
from lern.settings.model import RedisSettings

_encode = msgspec.json.Encoder().encode
_origin = msgspec.json.Decoder(tuple[CourseId, BatchId, ContentId, UserId]).decode
_counts = msgspec.json.Decoder(Counts).decode

_CONTENTS = 1_000
"""So many in one command, which the server carries out as a whole."""


class RedisContributions:
    """Port `Contributions`, and how they are set: `lern:merged:<user>`, in the database of the marks.

    A field of the hash is `["<course>","<batch>","<content>","<account>"]`, its value `[views,completions]`.
    """

    def __init__(self, settings: RedisSettings) -> None:
        self._connection = RedisConnection(settings)

    def contributions(
        self, users: Collection[UserId]
    ) -> Mapping[UserId, Mapping[ContentKey, Mapping[UserId, Counts]]]:
        """As `ports.Contributions.contributions`."""
        asked = list(users)
        if not asked:
            return {}
        answers = cast(
            "list[list[bytes]]", self._connection.exchange([(b"HGETALL", _key(user)) for user in asked])
        )
        return {user: _read(user, answer) for user, answer in zip(asked, answers, strict=True)}

    def apply(self, writes: Sequence[SetContributions]) -> None:
        """Carries out all writes, each of them as a whole or not at all. Raises Unavailable."""
        by_user: defaultdict[UserId, list[SetContributions]] = defaultdict(list)
        for write in writes:
            by_user[write.user].append(write)
        commands: list[Command] = [
            (b"HSET", _key(user), *_fields(own[start : start + _CONTENTS]))
            for user, own in by_user.items()
            for start in range(0, len(own), _CONTENTS)
        ]
        if commands:
            self._connection.exchange(commands)

    def close(self) -> None:
        """Hangs up."""
        self._connection.close()


def _fields(writes: Iterable[SetContributions]) -> Iterator[Argument]:
    for write in writes:
        for account, counts in write.counts.items():
            yield _encode((*write.content, account))
            yield _encode(counts)


def _read(user: UserId, answer: Sequence[bytes]) -> dict[ContentKey, dict[UserId, Counts]]:
    found: defaultdict[ContentKey, dict[UserId, Counts]] = defaultdict(dict)
    try:
        for field, value in zip(answer[::2], answer[1::2], strict=True):
            course, batch, content, account = _origin(field)
            found[ContentKey(course, batch, content)][account] = _counts(value)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        # To go on without would add counts a second time.
        raise Unavailable("redis", f"{_key(user)} does not hold what was written there") from error
    return dict(found)


def _key(user: UserId) -> str:
    return f"lern:merged:{user}"
