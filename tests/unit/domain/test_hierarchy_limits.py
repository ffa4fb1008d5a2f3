"""Hierarchies that are wrong, deep or large."""

import json
import time

import pytest
from tests.events import COLLECTION

from lern.domain.hierarchy import relations
from lern.domain.model import CourseId, Relation, RelationKey
from lern.errors import Refused

COURSE = CourseId("course")

Tree = dict[str, object]


def collection(identifier: str, children: list[Tree]) -> Tree:
    return {"identifier": identifier, "mimeType": COLLECTION, "children": children}


def refusal(hierarchy: bytes) -> Refused:
    with pytest.raises(Refused) as refused:
        relations(COURSE, hierarchy)
    return refused.value


@pytest.mark.parametrize(
    "hierarchy",
    [
        b"",
        b"no JSON",
        b'{"identifier": "course"',
        b"null",
        b"[]",
        b"7",
        b"\xff\xfe",
        b'{"identifier": "\xff"}',
        b'{"identifier": "\\ud800"}',
        b'{"identifier": 7}',
        b'{"mimeType": []}',
        b'{"mimeType": "' + COLLECTION.encode() + b'", "children": {}}',
        b'{"mimeType": "' + COLLECTION.encode() + b'", "children": [null]}',
        b'{"mimeType": "' + COLLECTION.encode() + b'", "children": ["do_1"]}',
        b'{"mimeType": "' + COLLECTION.encode() + b'", "leafNodes": "do_1"}',
        b'{"mimeType": "' + COLLECTION.encode() + b'", "leafNodes": [1]}',
        b'{"mimeType": "' + COLLECTION.encode() + b'", "leafNodes": [null]}',
        b'{"visibility": 1}',
    ],
)
def test_a_hierarchy_that_cannot_be_read_is_refused_with_its_course(hierarchy: bytes) -> None:
    refused = refusal(hierarchy)

    assert refused.code == "ERR_HIERARCHY_INVALID"
    assert "course" in refused.reason


@pytest.mark.parametrize("depth", [1, 2, 5])
def test_a_node_below_itself_is_refused(depth: int) -> None:
    tree = collection("again", [])
    for number in range(depth - 1):
        tree = collection(f"between_{number}", [tree])
    refused = refusal(json.dumps(collection("course", [collection("again", [tree])])).encode())

    assert refused.code == "ERR_HIERARCHY_CYCLE"
    assert "again" in refused.reason


def test_a_course_below_itself_is_refused() -> None:
    tree = collection("course", [collection("unit", [collection("course", [])])])

    assert refusal(json.dumps(tree).encode()).code == "ERR_HIERARCHY_CYCLE"


def test_the_same_unit_in_two_places_is_no_cycle() -> None:
    unit = collection("unit", [{"identifier": "a"}])
    tree = collection("course", [unit, collection("other", [unit])])

    found = relations(COURSE, json.dumps(tree).encode())

    assert found.sets[RelationKey(COURSE, "a", Relation.ANCESTORS)] == {"course", "unit", "other"}


@pytest.mark.parametrize("depth", [10_000, 100_000])
def test_a_hierarchy_without_end_is_refused(depth: int) -> None:
    opening = b'{"identifier":"n","mimeType":"' + COLLECTION.encode() + b'","children":['
    numbered = [opening.replace(b'"n"', b'"n%d"' % number) for number in range(depth)]

    assert refusal(b"".join(numbered) + b"]}" * depth).code == "ERR_HIERARCHY_INVALID"


def test_metadata_without_end_is_refused_or_ignored() -> None:
    """Never a fault: the text is nested 10,000 deep inside a string."""
    metadata = "[" * 10_000
    tree = collection("course", [{"identifier": "a", "relationalMetadata": metadata}])
    try:
        found = relations(COURSE, json.dumps(tree).encode())
    except Refused:
        return
    assert found.sets[RelationKey(COURSE, COURSE, Relation.OPTIONAL_NODES)] == frozenset()


def test_a_hierarchy_twenty_deep_is_normal() -> None:
    tree: Tree = {"identifier": "leaf", "relationalMetadata": {"optional": True}}
    for number in range(20):
        tree = collection(f"unit_{number}", [tree, {"identifier": f"do_{number}"}])

    found = relations(COURSE, json.dumps(collection("course", [tree])).encode())

    assert len(found.sets[RelationKey(COURSE, COURSE, Relation.LEAF_NODES)]) == 21
    assert found.sets[RelationKey(COURSE, COURSE, Relation.OPTIONAL_NODES)] == {"leaf"}
    assert len(found.sets[RelationKey(COURSE, "leaf", Relation.ANCESTORS)]) == 21


def test_fifty_thousand_nodes_twenty_deep_are_read_in_seconds() -> None:
    branches: list[Tree] = []
    for branch in range(100):
        tree = collection(f"unit_{branch}_bottom", [])
        for depth in range(18):
            resources: list[Tree] = [
                {"identifier": f"do_{branch}_{depth}_{number}", "mimeType": "video/mp4", "name": "x" * 100}
                for number in range(27)
            ]
            tree = collection(f"unit_{branch}_{depth}", [tree, *resources])
        branches.append(tree)
    text = json.dumps(collection("course", branches)).encode()
    started = time.process_time()

    found = relations(COURSE, text)

    assert time.process_time() - started < 20
    assert len(found.sets[RelationKey(COURSE, COURSE, Relation.LEAF_NODES)]) == 100 * 18 * 27
    assert len(found.sets[RelationKey(COURSE, "do_7_0_3", Relation.ANCESTORS)]) == 19
