"""What `SetUnit` of `ports.Stores` promises, wherever the collection cache is."""

import sqlite3
import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from pathlib import Path
from typing import NamedTuple

import pytest
from redis import Redis

from lern.adapters.embedded import Embedded
from lern.adapters.redis import RelationWriter
from lern.job import SetUnit
from lern.settings.model import JobSettings, Profile, RedisSettings, Topics


class Cache(NamedTuple):
    """One collection cache; `read` looks at it as other programs do."""

    apply: Callable[[Sequence[SetUnit]], None]
    read: Callable[[str], bytes | None]


@pytest.fixture(params=["embedded", "redis"])
def cache(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Cache]:
    if request.param == "embedded":
        settings = JobSettings(
            "any", "test", Profile.EMBEDDED, "any", Topics("in", "failed"), None, None, None
        )
        embedded = Embedded(file := tmp_path / "lern.db")

        def look(unit: str) -> bytes | None:
            with closing(sqlite3.connect(file)) as other:
                row = other.execute(
                    "SELECT json FROM collection_cache WHERE identifier = ?", [unit]
                ).fetchone()
            return None if row is None else str(row[0]).encode()

        yield Cache(embedded.stores(settings).apply, look)
        embedded.close()
        return
    host, _, port = request.getfixturevalue("redis_address").rpartition(":")
    writer = RelationWriter(
        RedisSettings(host, int(port), database=10), RedisSettings(host, int(port), database=5)
    )
    with Redis(host=host, port=int(port), db=5) as other:
        yield Cache(writer.apply, other.get)
    writer.close()


@pytest.fixture
def unit() -> str:
    return f"do_{uuid.uuid4().hex}"


def test_a_unit_is_kept_byte_for_byte(cache: Cache, unit: str) -> None:
    json = '{"identifier": "do_1", "name": "पाठ \\" 1", "children": [ ]}'.encode()

    cache.apply([SetUnit(unit, json)])

    assert cache.read(unit) == json


def test_a_unit_takes_the_place_of_its_earlier_version(cache: Cache, unit: str) -> None:
    cache.apply([SetUnit(unit, b'{"version": 1, "more": true}')])
    cache.apply([SetUnit(unit, b'{"version": 2}')])

    assert cache.read(unit) == b'{"version": 2}'


def test_a_unit_of_several_megabytes_is_kept(cache: Cache, unit: str) -> None:
    json = b'"' + b"x" * 5_000_000 + b'"'

    cache.apply([SetUnit(unit, json), SetUnit(f"{unit}_small", b"{}")])

    assert cache.read(unit) == json
    assert cache.read(f"{unit}_small") == b"{}"


def test_writing_again_changes_nothing(cache: Cache, unit: str) -> None:
    for _ in range(2):
        cache.apply([SetUnit(unit, b"{}")])

    assert cache.read(unit) == b"{}"


def test_other_units_stay(cache: Cache, unit: str) -> None:
    cache.apply([SetUnit(unit, b"{}")])
    cache.apply([SetUnit(f"{unit}_2", b"[]")])

    assert cache.read(unit) == b"{}"
