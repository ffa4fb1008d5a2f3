"""Leaf nodes, optional nodes, ancestors and units of a course (jobs, section 1)."""

import json

import pytest
from hypothesis import given, settings
from tests.events import COLLECTION
from tests.generated import courses
from tests.model import Node, hierarchy

from lern.domain.hierarchy import CourseRelations, relations
from lern.domain.model import CourseId, Relation, RelationKey

COURSE = CourseId("course")

Tree = dict[str, object]


def collection(identifier: str, *children: Tree, **more: object) -> Tree:
    return {"identifier": identifier, "mimeType": COLLECTION, "children": list(children), **more}


def resource(identifier: str, **more: object) -> Tree:
    return {"identifier": identifier, "mimeType": "application/pdf", **more}


def optional(value: object = True) -> object:
    return {"optional": value}


def of(tree: Tree) -> CourseRelations:
    return relations(COURSE, json.dumps(tree).encode())


def leaves(found: CourseRelations, node: str = COURSE) -> frozenset[str]:
    return found.sets[RelationKey(COURSE, node, Relation.LEAF_NODES)]


def left_out(found: CourseRelations, node: str = COURSE) -> frozenset[str]:
    return found.sets[RelationKey(COURSE, node, Relation.OPTIONAL_NODES)]


def ancestors(found: CourseRelations, node: str) -> frozenset[str]:
    return found.sets[RelationKey(COURSE, node, Relation.ANCESTORS)]


def test_leaves_of_a_unit_are_leaves_of_all_above() -> None:
    found = of(collection("course", collection("unit", collection("part", resource("a"))), resource("b")))

    assert leaves(found) == {"a", "b"}
    assert leaves(found, "unit") == leaves(found, "part") == {"a"}


def test_own_leaf_nodes_take_the_place_of_composed_ones() -> None:
    found = of(collection("course", resource("a"), leafNodes=["x", "y", "x"]))

    assert leaves(found) == {"x", "y"}


def test_own_leaf_nodes_of_a_unit_do_not_reach_the_course() -> None:
    """What is above is composed from the children of the unit."""
    found = of(collection("course", collection("unit", resource("a"), leafNodes=["x"])))

    assert leaves(found, "unit") == {"x"}
    assert leaves(found) == {"a"}


def test_an_own_list_that_is_empty_is_a_list() -> None:
    found = of(collection("course", collection("unit", resource("a"), leafNodes=[])))

    assert leaves(found, "unit") == frozenset()


def test_a_resource_in_several_places_is_named_once_and_has_all_ancestors() -> None:
    found = of(
        collection("course", collection("u1", resource("a")), collection("u2", resource("a"), resource("a")))
    )

    assert leaves(found) == {"a"}
    assert ancestors(found, "a") == {"course", "u1", "u2"}


def test_a_resource_right_below_the_course_has_the_course_as_ancestor() -> None:
    assert ancestors(of(collection("course", resource("a"))), "a") == {"course"}


@pytest.mark.parametrize("mime_type", [COLLECTION.upper(), "Application/Vnd.Ekstep.Content-Collection"])
def test_the_mime_type_of_collections_may_be_in_any_case(mime_type: str) -> None:
    found = of(collection("course", collection("unit", resource("a")) | {"mimeType": mime_type}))

    assert leaves(found, "unit") == {"a"}


@pytest.mark.parametrize(
    "metadata",
    [
        {"optional": True},
        {"optional": "true"},
        {"optional": "TRUE"},
        {"optional": "True", "other": [1]},
        '{"optional": true}',
        '{"optional": "tRuE"}',
    ],
)
def test_optional_children_are_named(metadata: object) -> None:
    found = of(collection("course", resource("a", relationalMetadata=metadata), resource("b")))

    assert left_out(found) == {"a"}
    assert leaves(found) == {"a", "b"}


@pytest.mark.parametrize(
    "metadata",
    [
        None,
        {},
        "",
        "null",
        "no JSON",
        "[]",
        7,
        [],
        {"optional": False},
        {"optional": "false"},
        {"optional": "yes"},
        {"optional": None},
        {"optional": 1},
        '{"optional": "false"}',
        '{"optional": {}}',
    ],
)
def test_whatever_else_the_metadata_holds_is_required(metadata: object) -> None:
    assert left_out(of(collection("course", resource("a", relationalMetadata=metadata)))) == frozenset()


def test_optional_nodes_below_required_units_reach_the_course() -> None:
    found = of(collection("course", collection("unit", resource("a", relationalMetadata=optional()))))

    assert left_out(found, "unit") == left_out(found) == {"a"}


def test_an_optional_unit_makes_its_leaves_optional_above_it_and_not_inside() -> None:
    unit = collection("unit", collection("part", resource("a")), resource("b"), relationalMetadata=optional())
    found = of(collection("course", unit, resource("c")))

    assert left_out(found) == {"unit", "a", "b"}
    assert left_out(found, "unit") == left_out(found, "part") == frozenset()


def test_an_optional_unit_with_own_leaf_nodes_makes_those_optional() -> None:
    unit = collection("unit", resource("a"), leafNodes=["x"], relationalMetadata=optional())

    assert left_out(of(collection("course", unit))) == {"unit", "x"}


def test_optional_metadata_of_the_course_itself_means_nothing() -> None:
    assert left_out(of(collection("course", resource("a"), relationalMetadata=optional()))) == frozenset()


def test_collections_without_leaves_have_empty_sets_so_that_old_ones_are_removed() -> None:
    found = of(collection("course", collection("unit")))

    assert leaves(found) == leaves(found, "unit") == left_out(found, "unit") == frozenset()


def test_blank_identifiers_are_dropped() -> None:
    found = of(
        collection(
            "course",
            resource(" "),
            resource(""),
            collection("\t", resource("a")),
            resource("b"),
            leafNodes=None,
        )
    )

    assert leaves(found) == {"b"}
    assert {key.node for key in found.sets} == {"course", "b"}


def test_blank_own_leaf_nodes_are_dropped() -> None:
    assert leaves(of(collection("course", leafNodes=["", " ", "a"]))) == {"a"}


def test_nodes_without_identifier_or_children_are_in_order() -> None:
    found = of(
        collection(
            "course",
            {"mimeType": COLLECTION},
            {},
            {"identifier": None},
            collection("unit") | {"children": None},
        )
    )

    assert leaves(found) == frozenset()


def test_units_are_collections_with_parent_visibility_and_children() -> None:
    found = of(
        collection(
            "course",
            collection("u1", resource("a"), visibility="Parent"),
            collection("u2", resource("a"), visibility="PARENT"),
            collection("empty", visibility="Parent"),
            collection("linked", resource("a"), visibility="Default"),
            resource("a", visibility="Parent"),
        )
    )

    assert found.units.keys() == {"u1", "u2"}


def test_a_unit_is_kept_as_it_stands_in_the_hierarchy() -> None:
    unit = '{"identifier":"u1", "mimeType":"' + COLLECTION + '","visibility":"Parent",'
    unit += '  "children":[{"identifier":"a"}], "score": 1.50, "name": "\\u0917\\u0923\\u093f\\u0924"}'
    tree = f'{{"identifier": "course", "mimeType": "{COLLECTION}", "children": [{unit}]}}'

    assert relations(COURSE, tree.encode()).units == {"u1": unit.encode()}


def test_the_root_goes_by_the_identifier_it_was_asked_for() -> None:
    assert leaves(of(collection("course.img", resource("a")))) == {"a"}


@given(courses())
@settings(max_examples=150, deadline=None)
def test_relations_of_any_course_are_those_of_the_model(course: Node) -> None:
    found = relations(CourseId(course.id), hierarchy(course))

    expected: dict[RelationKey, frozenset[str]] = {}
    resources: set[str] = set()
    for node in course.collections():
        expected[RelationKey(CourseId(course.id), node.id, Relation.LEAF_NODES)] = frozenset(node.leaves())
        expected[RelationKey(CourseId(course.id), node.id, Relation.OPTIONAL_NODES)] = frozenset(
            node.left_out()
        )
        resources |= node.composed()
    for resource_id in resources:
        above = frozenset(node.id for node in course.collections() if node.holds(resource_id))
        expected[RelationKey(CourseId(course.id), resource_id, Relation.ANCESTORS)] = above
    assert found.sets == expected
    assert found.units.keys() == {
        node.id for node in course.collections() if node is not course and node.children
    }
