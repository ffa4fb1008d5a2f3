"""What the counts of merged learners are made of, in Redis: a hash for each learner, which never expires."""

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from typing import cast

import msgspec

from lern.adapters.redis.connection import Argument, RedisConnection
from lern.domain.model import ContentKey, Counts, UserId
from lern.errors import Unavailable
from lern.job import SetContributions
from lern.settings.model import RedisSettings

_encode = msgspec.json.Encoder().encode
_content = msgspec.json.Decoder(ContentKey).decode
_counts = msgspec.json.Decoder(dict[UserId, Counts]).decode

_FIELDS = 2_000
"""Contents in one command, give or take one."""


class RedisContributions:
    """Port `Contributions`, and how they are set: `lern:merged:<user>`, in the database of the marks.

    A field of the hash is `["<course>","<batch>","<content>"]`, its value `{"<user>":[views,completions],...}`.
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
        """Carries out all writes; of two for one content the later one wins. Raises Unavailable."""
        fields: defaultdict[UserId, list[Argument]] = defaultdict(list)
        for write in writes:
            fields[write.user] += _encode(write.content), _encode(write.counts)
        commands = [
            (b"HSET", _key(user), *values[start : start + 2 * _FIELDS])
            for user, values in fields.items()
            for start in range(0, len(values), 2 * _FIELDS)
        ]
        if commands:
            self._connection.exchange(commands)

    def close(self) -> None:
        """Hangs up."""
        self._connection.close()


def _read(user: UserId, answer: Sequence[bytes]) -> dict[ContentKey, Mapping[UserId, Counts]]:
    try:
        return {
            _content(field): _counts(value) for field, value in zip(answer[::2], answer[1::2], strict=True)
        }
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        # To go on without would add counts a second time.
        raise Unavailable("redis", f"{_key(user)} does not hold what was written there") from error


def _key(user: UserId) -> str:
    return f"lern:merged:{user}"
