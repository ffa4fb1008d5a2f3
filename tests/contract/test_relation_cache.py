"""What every relation cache promises (`ports.RelationCache`, and `ReplaceRelation` of `ports.Stores`)."""

import uuid
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import pytest

from lern.adapters.embedded import Embedded
from lern.adapters.redis import RelationSets, RelationWriter
from lern.domain.model import CourseId, Relation, RelationKey
from lern.job import ReplaceRelation
from lern.ports import RelationCache
from lern.settings.model import JobSettings, Profile, RedisSettings, Topics


class Cache(NamedTuple):
    """One relation cache, as its reader and its writer see it."""

    reader: RelationCache
    apply: Callable[[Sequence[ReplaceRelation]], None]

    def read(self, *keys: RelationKey) -> list[frozenset[str]]:
        found = self.reader.members(keys)
        return [found[key] for key in keys]


@pytest.fixture(params=["embedded", "redis"])
def cache(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Cache]:
    if request.param == "embedded":
        settings = JobSettings(
            "any", "test", Profile.EMBEDDED, "any", Topics("in", "failed"), None, None, None
        )
        embedded = Embedded(tmp_path / "lern.db")
        yield Cache(embedded.facts().relations, embedded.stores(settings).apply)
        embedded.close()
        return
    host, _, port = request.getfixturevalue("redis_address").rpartition(":")
    relations = RedisSettings(host, int(port), database=10)
    reader, writer = (
        RelationSets(relations),
        RelationWriter(relations, RedisSettings(host, int(port), database=5)),
    )
    yield Cache(reader, writer.apply)
    reader.close()
    writer.close()


@pytest.fixture
def course() -> CourseId:
    return CourseId(f"do_{uuid.uuid4().hex}")


def leaves(course: CourseId, node: str | None = None) -> RelationKey:
    return RelationKey(course, node or course, Relation.LEAF_NODES)


def test_a_set_that_was_never_written_is_empty(cache: Cache, course: CourseId) -> None:
    assert cache.read(leaves(course)) == [frozenset()]


def test_nothing_asked_is_nothing_answered(cache: Cache) -> None:
    assert cache.reader.members([]) == {}


def test_what_was_written_is_read(cache: Cache, course: CourseId) -> None:
    cache.apply([ReplaceRelation(leaves(course), frozenset({"do_1", "do_2"}))])

    assert cache.read(leaves(course)) == [{"do_1", "do_2"}]


def test_nodes_kinds_and_courses_have_sets_of_their_own(cache: Cache, course: CourseId) -> None:
    keys = [RelationKey(course, "do_1", relation) for relation in Relation]
    keys += [leaves(course), leaves(CourseId(f"{course}_2"), "do_1")]

    cache.apply([ReplaceRelation(key, frozenset({f"member_{number}"})) for number, key in enumerate(keys)])

    assert cache.read(*keys) == [{f"member_{number}"} for number in range(len(keys))]


def test_a_written_set_takes_the_place_of_the_one_read_before(cache: Cache, course: CourseId) -> None:
    cache.apply([ReplaceRelation(leaves(course), frozenset({"do_1", "do_2"}))])
    cache.read(leaves(course))

    cache.apply([ReplaceRelation(leaves(course), frozenset({"do_2", "do_3"}))])

    assert cache.read(leaves(course)) == [{"do_2", "do_3"}]


def test_a_set_that_was_missing_is_seen_once_it_is_written(cache: Cache, course: CourseId) -> None:
    assert cache.read(leaves(course)) == [frozenset()]

    cache.apply([ReplaceRelation(leaves(course), frozenset({"do_1"}))])

    assert cache.read(leaves(course)) == [{"do_1"}]


def test_an_empty_set_removes_what_was_there(cache: Cache, course: CourseId) -> None:
    cache.apply([ReplaceRelation(leaves(course), frozenset({"do_1"}))])
    cache.read(leaves(course))

    cache.apply([ReplaceRelation(leaves(course), frozenset())])

    assert cache.read(leaves(course)) == [frozenset()]


def test_writing_again_changes_nothing(cache: Cache, course: CourseId) -> None:
    writes = [ReplaceRelation(leaves(course), frozenset({"do_1", "do_2"}))]

    cache.apply(writes)
    cache.apply(writes)

    assert cache.read(leaves(course)) == [{"do_1", "do_2"}]


def test_of_two_writes_to_one_set_the_later_counts(cache: Cache, course: CourseId) -> None:
    cache.apply(
        [
            ReplaceRelation(leaves(course), frozenset({"do_1"})),
            ReplaceRelation(leaves(course), frozenset({"do_2"})),
        ]
    )

    assert cache.read(leaves(course)) == [{"do_2"}]


def test_a_large_tree_is_read_as_it_was_written(cache: Cache, course: CourseId) -> None:
    contents = [f"do_{number:022d}" for number in range(20_000)]
    tree = {leaves(course): frozenset(contents)}
    for number, content in enumerate(contents):
        tree[RelationKey(course, content, Relation.ANCESTORS)] = frozenset(
            {course, f"do_unit_{number % 500}"}
        )

    cache.apply([ReplaceRelation(key, members) for key, members in tree.items()])

    assert cache.reader.members(tree.keys()) == tree
