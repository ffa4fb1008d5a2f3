"""All or nothing, on everything in the file and on what is remembered of it."""

import resource
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path

import pytest
from tests.embedded_file import everything
from tests.events import NOW, settings

from lern.adapters.embedded import Embedded
from lern.adapters.embedded.database import Database
from lern.domain.model import BatchId, CourseId, EnrolmentKey, Relation, RelationKey, UserId
from lern.errors import SettingsError, Unavailable
from lern.job import Message, ReplaceRelation, SetAggregates, SetConsumption, SetEnrolment, SetUnit
from lern.ports import Partition

COURSE = CourseId("course_1")
WHO = EnrolmentKey(UserId("user_1"), COURSE, BatchId("batch_1"))
LEAVES = RelationKey(COURSE, COURSE, Relation.LEAF_NODES)


class Interrupted(Exception):
    """What ends a transaction."""


@contextmanager
def interrupted(embedded: Embedded) -> Iterator[None]:
    """A transaction that ends badly."""
    with suppress(Interrupted), embedded.transaction():
        yield
        raise Interrupted


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "lern.db"


@pytest.fixture
def embedded(file: Path) -> Iterator[Embedded]:
    embedded = Embedded(file)
    yield embedded
    embedded.close()


def do_everything(embedded: Embedded) -> None:
    stores, consumer = embedded.stores(settings()), embedded.consumer("in", "group")
    stores.apply(
        [
            SetConsumption(WHO, "do_1", 2, 1, 1),  # type: ignore[arg-type]  # a plain text will do
            SetAggregates(COURSE, WHO.user, WHO.context, {"completedCount": 1.0}, NOW),
            SetEnrolment(WHO, 1, NOW, {}, 2, NOW),
            ReplaceRelation(LEAVES, frozenset({"new"})),
            SetUnit("unit_1", b"{}"),
        ]
    )
    consumer.stage([Message("out", b"key", b"value"), Message("never seen before", b"key", b"value")])
    stores.mark(["MARK"])
    consumer.commit(Partition("in", 0), 7)


def test_a_transaction_that_ends_well_leaves_everything(embedded: Embedded, file: Path) -> None:
    before = everything(file)

    with embedded.transaction():
        do_everything(embedded)

    changed = {table for table, rows in everything(file).items() if rows != before[table]}
    assert changed == {
        *("user_content_consumption", "user_activity_agg", "user_enrolments"),
        *("relation_cache", "collection_cache", "dedup_marks"),
        *("messages", "ends", "topics", "positions"),
    }


def test_a_transaction_that_is_interrupted_leaves_nothing(embedded: Embedded, file: Path) -> None:
    embedded.consumer("in", "group")
    before = everything(file)

    with interrupted(embedded):
        do_everything(embedded)

    assert everything(file) == before
    assert not embedded.facts().marks.seen(["MARK"])
    assert not embedded.facts().progress.enrolments([WHO])


def test_an_interrupted_transaction_inside_of_another_ends_both(embedded: Embedded, file: Path) -> None:
    embedded.consumer("in", "group")
    before = everything(file)

    with interrupted(embedded):
        do_everything(embedded)
        with embedded.transaction():
            raise Interrupted

    assert everything(file) == before


def test_a_transaction_after_an_interrupted_one_is_as_any_other(embedded: Embedded, file: Path) -> None:
    with interrupted(embedded):
        do_everything(embedded)
    with embedded.transaction():
        do_everything(embedded)
    topics = dict(embedded.log().topics())

    with closing(Embedded(file.with_name("other.db"))) as other:
        other.consumer("in", "group")
        with other.transaction():
            do_everything(other)
        assert topics == other.log().topics()

    assert everything(file) == everything(file.with_name("other.db"))


def test_a_set_of_the_relation_cache_is_remembered_only_when_it_was_committed(embedded: Embedded) -> None:
    stores, relations = embedded.stores(settings()), embedded.facts().relations
    stores.apply([ReplaceRelation(LEAVES, frozenset({"old"}))])
    assert relations.members([LEAVES]) == {LEAVES: {"old"}}

    with interrupted(embedded):
        stores.apply([ReplaceRelation(LEAVES, frozenset({"new"}))])
        assert relations.members([LEAVES]) == {LEAVES: {"new"}}

    assert relations.members([LEAVES]) == {LEAVES: {"old"}}


def test_the_lag_after_an_interrupted_commit_is_what_it_was(embedded: Embedded) -> None:
    consumer = embedded.consumer("in", "group")
    embedded.log().send([Message("in", b"key", b"value")] * 3)
    before = dict(consumer.lag())
    [place] = [place for place, messages in before.items() if messages]

    with interrupted(embedded):
        consumer.commit(place, 3)

    assert consumer.lag() == before


def test_a_position_that_was_not_committed_is_read_again_by_the_next_process(
    embedded: Embedded, file: Path
) -> None:
    embedded.log().send([Message("in", b"key", b"1"), Message("in", b"key", b"2")])
    first = embedded.consumer("in", "group")
    [one, two] = first.poll(10, 0.0)
    with embedded.transaction():
        first.commit(Partition(one.topic, one.partition), one.offset + 1)
    with interrupted(embedded):
        first.commit(Partition(two.topic, two.partition), two.offset + 1)

    assert [record.value for record in embedded.consumer("in", "group").poll(10, 0.0)] == [b"2"]


def test_readers_see_what_was_committed_beside_a_writer_and_wait_for_nothing(
    embedded: Embedded, file: Path
) -> None:
    embedded.consumer("in", "group")
    before = everything(file)
    with embedded.transaction():
        do_everything(embedded)
        assert everything(file) == before
        with closing(Embedded(file)) as reader:
            assert reader.row("user_enrolments", userid="user_1", courseid=COURSE, batchid="batch_1") is None

    assert everything(file) != before


def test_a_file_that_another_program_writes_to_is_unavailable_for_a_while(file: Path) -> None:
    database = Database(file)
    database.connection.execute("PRAGMA busy_timeout = 20")
    with closing(sqlite3.connect(file, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(Unavailable):
            database.put("content_hierarchy", {"identifier": "do_1"})
        other.execute("ROLLBACK")

    with database.transaction():
        database.connection.execute("INSERT INTO collection_cache VALUES ('a', '{}')")
    assert database.rows("SELECT identifier FROM collection_cache") == [("a",)]
    database.close()


def test_a_full_disk_is_unavailable_and_usable_again_when_there_is_room(file: Path) -> None:
    """SQLite takes the transaction back by itself when it cannot write a page on the way."""
    database = Database(file)
    [(pages,)] = database.rows("PRAGMA page_count")
    database.connection.execute(f"PRAGMA max_page_count = {pages}")
    row = {"identifier": "do_1", "hierarchy": "x" * 20_000}

    def write() -> None:
        with database.transaction():
            database.put("user_enrolments", {"userid": "u", "courseid": "c", "batchid": "b"})
            database.put("content_hierarchy", row)

    with pytest.raises(Unavailable):
        write()
    assert database.row("user_enrolments", userid="u") is None

    database.connection.execute("PRAGMA max_page_count = 1000000")
    write()
    assert database.row("content_hierarchy", identifier="do_1")
    database.close()


def test_a_disk_that_is_full_at_the_commit_is_unavailable_and_usable_again_when_there_is_room(
    file: Path,
) -> None:
    """Every statement has succeeded by then."""
    database = Database(file)
    database.put("content_hierarchy", {"identifier": "do_1", "hierarchy": "old"})

    with full_disk(), pytest.raises(Unavailable):
        database.put("content_hierarchy", {"identifier": "do_1", "hierarchy": "x" * 20_000})

    found = database.row("content_hierarchy", identifier="do_1")
    assert found
    assert found["hierarchy"] == "old"
    database.put("content_hierarchy", {"identifier": "do_1", "hierarchy": "new"})
    with closing(Database(file)) as other:
        found = other.row("content_hierarchy", identifier="do_1")
        assert found
        assert found["hierarchy"] == "new"
    database.close()


@contextmanager
def full_disk() -> Iterator[None]:
    """Files of this process cannot grow."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_a_file_that_is_no_database_is_a_settings_error(file: Path) -> None:
    file.write_bytes(b"this is no database, and long enough to be sure of it" * 100)

    with pytest.raises(SettingsError, match=r"embedded\.file"):
        Embedded(file)
