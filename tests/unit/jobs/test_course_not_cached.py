"""activity-aggregate-updater: courses whose leaf nodes are not in the relation cache (jobs, section 2)."""

import json

import pytest
from tests.events import COLLECTION, update
from tests.fakes import Tables
from tests.one_course import COURSE, WHO, counts, done_counts, handle

from lern.domain.model import (
    Enrolment,
    Relation,
    RelationKey,
)


def test_a_retired_collection_costs_its_events_one_failed_record_each() -> None:
    tables = Tables(collection_statuses={COURSE: "Retired"}, trees={COURSE: _tree("a")})

    done, topic = handle(tables, update("a"), update("a", user="user_2"))

    assert counts(done) == {"total": 2, "failed": 2, "retired": 2}
    assert len(topic.to("failed")) == 2
    assert not any([tables.contents, tables.sets, tables.handled])


@pytest.mark.parametrize("status", ["Live", "Unlisted", None])
def test_a_course_that_is_not_cached_is_rebuilt_from_its_hierarchy(status: str | None) -> None:
    tables = Tables(trees={COURSE: _tree("a", "b")}, enrolled={WHO: Enrolment()})
    if status:
        tables.collection_statuses[COURSE] = status

    done, _ = handle(tables, update("a"), update("a", user="user_2"))

    assert tables.sets[RelationKey(COURSE, COURSE, Relation.LEAF_NODES)] == {"a", "b"}
    assert "unit_1" in tables.units
    assert done_counts(tables, "user_1") == done_counts(tables, "user_2") == {COURSE: 1.0, "unit_1": 1.0}
    assert counts(done)["cache_misses"] == 2
    assert "cache_hits" not in counts(done)

    again, _ = handle(tables, update("b"))

    assert counts(again)["cache_hits"] == 1


@pytest.mark.parametrize("tree", [None, b"{", b"{}"])
def test_a_course_without_leaf_nodes_is_a_failed_record_that_says_so(tree: bytes | None) -> None:
    tables = Tables(trees={COURSE: tree} if tree else {})

    done, topic = handle(tables, update("a"))

    [record] = topic.to("failed")
    info = json.loads(record.value)["failInfo"]
    assert COURSE in info["error"]
    assert counts(done) == {"total": 1, "failed": 1}
    if tree != b"{":
        assert info["errorCode"] == "ERR_LEAF_NODES_MISSING"
        assert "leaf nodes" in info["error"]


def _tree(*resources: str) -> bytes:
    unit = {
        "identifier": "unit_1",
        "mimeType": COLLECTION,
        "visibility": "Parent",
        "children": [{"identifier": name} for name in resources],
    }
    return json.dumps({"identifier": COURSE, "mimeType": COLLECTION, "children": [unit]}).encode()
