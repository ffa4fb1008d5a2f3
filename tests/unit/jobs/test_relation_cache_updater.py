"""relation-cache-updater: a published course's tree goes to the caches (jobs, section 1)."""

import json

from tests.events import COLLECTION, context, publish, records, settings
from tests.fakes import Tables, Topic, platform, turn

from lern.counts import Count
from lern.domain.model import CourseId, Relation, RelationKey
from lern.engines.turn import Plan
from lern.job import Context
from lern.jobs.relation_cache_updater import JOB

COURSE = CourseId("course_1")
LEAVES = RelationKey(COURSE, COURSE, Relation.LEAF_NODES)
OPTIONAL = RelationKey(COURSE, COURSE, Relation.OPTIONAL_NODES)


def tree(*resources: str, optional: tuple[str, ...] = ()) -> bytes:
    children: list[object] = [
        {"identifier": name, "relationalMetadata": {"optional": name in optional}} for name in resources
    ]
    unit = {"identifier": "unit_1", "mimeType": COLLECTION, "visibility": "Parent", "children": children}
    return json.dumps({"identifier": COURSE, "mimeType": COLLECTION, "children": [unit]}).encode()


def made() -> Context:
    return context(settings("relation-cache-updater"))


def handle(tables: Tables, *values: bytes) -> tuple[Plan, Topic]:
    topic = Topic()
    return turn(JOB, records(values), platform(tables, topic), made()), topic


def test_all_sets_and_units_of_the_course_are_written() -> None:
    tables = Tables(trees={COURSE: tree("a", "b", optional=("b",))})

    done, topic = handle(tables, publish())

    assert tables.sets == {
        LEAVES: {"a", "b"},
        OPTIONAL: {"b"},
        RelationKey(COURSE, "unit_1", Relation.LEAF_NODES): {"a", "b"},
        RelationKey(COURSE, "unit_1", Relation.OPTIONAL_NODES): {"b"},
        RelationKey(COURSE, "a", Relation.ANCESTORS): {"course_1", "unit_1"},
        RelationKey(COURSE, "b", Relation.ANCESTORS): {"course_1", "unit_1"},
    }
    assert json.loads(tables.units["unit_1"])["children"][0]["identifier"] == "a"
    assert done.counts() == {Count.TOTAL: 1, Count.SUCCESS: 1, Count.DB_READS: 1, Count.CACHE_WRITES: 7}
    assert not topic.sent


def test_a_list_that_is_empty_now_loses_its_old_key() -> None:
    tables = Tables(trees={COURSE: tree("a", optional=("a",))})
    handle(tables, publish())

    tables.trees[COURSE] = tree("a")
    handle(tables, publish())

    assert OPTIONAL not in tables.sets
    assert RelationKey(COURSE, "unit_1", Relation.OPTIONAL_NODES) not in tables.sets

    tables.trees[COURSE] = tree()
    handle(tables, publish())

    assert LEAVES not in tables.sets


def test_handling_twice_writes_the_same() -> None:
    tables = Tables(trees={COURSE: tree("a", "b")})
    handle(tables, publish())
    before = dict(tables.sets)

    done, _ = handle(tables, publish(), publish())

    assert tables.sets == before
    assert done.counts()[Count.SUCCESS] == 2


def test_a_course_without_hierarchy_is_skipped_with_a_warning() -> None:
    done, topic = handle(Tables(), publish(), publish())

    assert done.counts()[Count.SKIPPED] == 2
    assert [warning for step in done.steps for warning in step.outcome.warnings]
    assert not topic.sent


def test_a_cycle_and_a_broken_hierarchy_cost_only_their_own_course() -> None:
    below_itself = tree("a").replace(b'"a"', b'"unit_1", "mimeType": "%s"' % COLLECTION.encode())
    tables = Tables(trees={"cycle": below_itself, "broken": b"{", COURSE: tree("a")})

    done, topic = handle(
        tables, publish("cycle"), publish(), publish("broken"), publish(mime_type="video/mp4")
    )

    codes = [dict(message.headers)["lern-error-code"] for message in topic.to("failed")]
    assert sorted(codes) == [b"ERR_HIERARCHY_CYCLE", b"ERR_HIERARCHY_INVALID"]
    assert tables.sets[LEAVES] == {"a"}
    counts = done.counts()
    assert (counts[Count.SUCCESS], counts[Count.FAILED], counts[Count.SKIPPED]) == (1, 2, 1)
    assert counts[Count.TOTAL] == 4


def test_nothing_is_journalled_since_twice_is_once() -> None:
    tables = Tables(trees={COURSE: tree("a")})

    handle(tables, publish())

    assert not JOB.journalled
    assert not tables.journal
