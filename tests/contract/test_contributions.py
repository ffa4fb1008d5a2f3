"""What is promised of what merged counts are made of (`ports.Contributions`, `job.SetContributions`)."""

import uuid
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import msgspec
import pytest
from redis import Redis

from lern.adapters.embedded import Embedded
from lern.adapters.redis import RedisContributions
from lern.domain.model import BatchId, ContentId, ContentKey, Counts, CourseId, UserId
from lern.errors import Unavailable
from lern.job import SetContributions, Write
from lern.ports import Contributions
from lern.settings.model import JobSettings, Profile, RedisSettings, Topics

CONTENT = ContentKey(CourseId("course"), BatchId("batch"), ContentId("do_1"))
OLD, OLDER = UserId("old"), UserId("older")

_decode = msgspec.msgpack.Decoder(list[Write]).decode


class Ledger(NamedTuple):
    """The port, and how it is written to."""

    read: Contributions
    apply: Callable[[Sequence[SetContributions]], None]


@pytest.fixture
def redis_settings(redis_address: str) -> RedisSettings:
    host, _, port = redis_address.rpartition(":")
    return RedisSettings(host, int(port), database=13)


@pytest.fixture(params=["embedded", "redis"])
def ledger(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Ledger]:
    if request.param == "redis":
        redis = RedisContributions(request.getfixturevalue("redis_settings"))
        yield Ledger(redis, redis.apply)
        redis.close()
    else:
        settings = JobSettings(
            "any", "test", Profile.EMBEDDED, "any", Topics("in", "failed"), None, None, None
        )
        embedded = Embedded(tmp_path / "lern.db")
        yield Ledger(embedded.facts().contributions, embedded.stores(settings).apply)
        embedded.close()


@pytest.fixture
def user() -> UserId:
    return UserId(f"user-{uuid.uuid4().hex}")


def test_nothing_is_known_of_a_learner_without_merges(ledger: Ledger, user: UserId) -> None:
    assert not ledger.read.contributions([user]).get(user)
    assert ledger.read.contributions([]) == {}


def test_what_is_set_is_read(ledger: Ledger, user: UserId) -> None:
    another = UserId(f"{user}-another")
    other = CONTENT._replace(content=ContentId("do_2"))
    writes = [
        SetContributions(user, CONTENT, {OLD: Counts(3, 1), user: Counts(0, 2)}),
        SetContributions(user, other, {OLDER: Counts(2**31, 0)}),
        SetContributions(another, CONTENT, {OLDER: Counts(1, 1)}),
    ]

    ledger.apply(_decode(msgspec.msgpack.encode(writes)))  # type: ignore[arg-type]  # they are of one kind

    assert ledger.read.contributions([user, another]) == {
        user: {CONTENT: {OLD: Counts(3, 1), user: Counts(0, 2)}, other: {OLDER: Counts(2**31, 0)}},
        another: {CONTENT: {OLDER: Counts(1, 1)}},
    }


def test_what_is_set_takes_the_place_of_what_was_and_other_accounts_stay(
    ledger: Ledger, user: UserId
) -> None:
    other = CONTENT._replace(batch=BatchId("other"))
    ledger.apply([SetContributions(user, content, {OLD: Counts(3, 1)}) for content in (CONTENT, other)])

    ledger.apply([SetContributions(user, CONTENT, {OLDER: Counts(5, 5)})] * 2)
    ledger.apply([SetContributions(user, CONTENT, {OLDER: Counts(6, 5)})])

    assert ledger.read.contributions([user])[user] == {
        CONTENT: {OLD: Counts(3, 1), OLDER: Counts(6, 5)},
        other: {OLD: Counts(3, 1)},
    }


def test_ids_may_hold_anything(ledger: Ledger, user: UserId, odd: str) -> None:
    content = ContentKey(CourseId(odd), BatchId(odd), ContentId(odd))
    who = UserId(user + odd)

    ledger.apply([SetContributions(who, content, {UserId(odd): Counts(1, 2)})])

    assert ledger.read.contributions([who]) == {who: {content: {odd: Counts(1, 2)}}}


def test_thousands_of_contents(ledger: Ledger, user: UserId) -> None:
    contents = [CONTENT._replace(content=ContentId(f"do_{number}")) for number in range(5_000)]

    ledger.apply([SetContributions(user, content, {OLD: Counts(1, 1)}) for content in contents])

    assert ledger.read.contributions([user])[user] == {key: {OLD: Counts(1, 1)} for key in contents}


def test_it_is_never_forgotten_by_time(redis_settings: RedisSettings, user: UserId) -> None:
    redis = RedisContributions(redis_settings)
    redis.apply([SetContributions(user, CONTENT, {OLD: Counts(3, 1)})])

    with Redis(redis_settings.host, redis_settings.port, redis_settings.database) as server:
        assert server.ttl(f"lern:merged:{user}") == -1
        assert server.hgetall(f"lern:merged:{user}") == {b'["course","batch","do_1","old"]': b"[3,1]"}
    redis.close()


@pytest.mark.parametrize("value", [b"", b"3", b'{"old": 3}', b"[1]", b"\xff"])
def test_without_knowing_what_is_there_nothing_goes_on(
    redis_settings: RedisSettings, user: UserId, value: bytes
) -> None:
    redis = RedisContributions(redis_settings)
    with Redis(redis_settings.host, redis_settings.port, redis_settings.database) as server:
        server.hset(f"lern:merged:{user}", '["course","batch","do_1","old"]', value)

    with pytest.raises(Unavailable, match=f"lern:merged:{user}"):
        redis.contributions([user])
    redis.close()
