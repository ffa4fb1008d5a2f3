"""The bundled course of the demo: what it promises to show."""

import json
from collections import Counter
from collections.abc import Iterator
from importlib.resources import files
from typing import Any

import pytest

from lern.demo.course import load_course

_COLLECTION = "application/vnd.ekstep.content-collection"
_RESOURCES = {
    "video/mp4",
    "application/pdf",
    "application/vnd.ekstep.ecml-archive",
    "application/vnd.sunbird.questionset",
}


@pytest.fixture(scope="module")
def root() -> dict[str, Any]:
    """The course as JSON, read without any code of the package."""
    found = json.loads(files("lern.demo").joinpath("course.json").read_text(encoding="utf-8"))
    assert isinstance(found, dict)
    return found


def _walk(node: dict[str, Any], level: int = 1) -> Iterator[tuple[dict[str, Any], int]]:
    yield node, level
    for child in node.get("children", ()):
        yield from _walk(child, level + 1)


def _is_optional(node: dict[str, Any]) -> bool:
    metadata = node.get("relationalMetadata", {})
    metadata = json.loads(metadata) if isinstance(metadata, str) else metadata
    return metadata.get("optional") is True


def test_course_has_four_levels_and_about_sixty_nodes(root: dict[str, Any]) -> None:
    nodes = list(_walk(root))

    assert max(level for _, level in nodes) == 4
    assert 55 <= len({node["identifier"] for node, _ in nodes}) <= 65


def test_only_one_content_stands_twice_and_that_in_two_units(root: dict[str, Any]) -> None:
    times = Counter(node["identifier"] for node, _ in _walk(root))
    [twice] = [identifier for identifier, number in times.items() if number > 1]

    holders = [unit for unit in root["children"] if twice in {node["identifier"] for node, _ in _walk(unit)}]
    assert times[twice] == len(holders) == 2


def test_some_contents_and_one_lesson_are_optional_in_both_spellings(root: dict[str, Any]) -> None:
    optional = [node for node, _ in _walk(root) if _is_optional(node)]

    assert {node["mimeType"] == _COLLECTION for node in optional} == {True, False}
    assert {type(node["relationalMetadata"]) for node in optional} == {dict, str}


def test_nodes_have_the_fields_of_a_platform(root: dict[str, Any]) -> None:
    for node, level in _walk(root):
        assert node["identifier"].startswith("do_")
        assert node["name"].strip() == node["name"] != ""
        assert node["contentType"]
        assert node["primaryCategory"]
        assert node["depth"] == level - 1
        assert node["status"] == "Live"
        assert node["visibility"] == (
            "Parent" if node["mimeType"] == _COLLECTION and level > 1 else "Default"
        )
        assert (node["mimeType"] == _COLLECTION) == bool(node.get("children"))
        assert node["mimeType"] in _RESOURCES | {_COLLECTION}
        for index, child in enumerate(node.get("children", ()), 1):
            assert (child["index"], child["parent"]) == (index, node["identifier"])


def test_root_names_every_content_once_as_leaf_node(root: dict[str, Any]) -> None:
    contents = {node["identifier"] for node, _ in _walk(root) if node["mimeType"] != _COLLECTION}

    assert len(root["leafNodes"]) == len(set(root["leafNodes"])) == root["leafNodesCount"]
    assert set(root["leafNodes"]) == contents


def test_all_mime_types_of_resources_occur(root: dict[str, Any]) -> None:
    assert {node["mimeType"] for node, _ in _walk(root)} == _RESOURCES | {_COLLECTION}


def test_loaded_course_counts_required_contents_of_units_and_course() -> None:
    course = load_course()

    assert course.required == 34
    assert [unit.required for unit in course.units] == [7, 7, 5, 5, 6, 5]
    assert sum(unit.required for unit in course.units) == course.required + len(course.shared)
    assert course.contents[-1].identifier not in course.optional
