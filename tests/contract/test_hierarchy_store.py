"""What the reads of hierarchies promise (`ports.HierarchyStore`)."""

import json
import uuid
from typing import TYPE_CHECKING

import pytest

from lern.domain.model import CourseId

if TYPE_CHECKING:
    from tests.contract.conftest import Installation

_TABLE = "content_hierarchy"


@pytest.fixture
def course() -> CourseId:
    """One that nobody else has."""
    return CourseId(f"do_{uuid.uuid4().hex}")


def test_asking_for_nothing_finds_nothing(installation: "Installation") -> None:
    assert not installation.hierarchies.hierarchies([])


def test_a_course_that_is_not_there_has_no_hierarchy(installation: "Installation", course: CourseId) -> None:
    assert not installation.hierarchies.hierarchies([course, CourseId("")])


def test_the_hierarchy_comes_as_it_is_stored(installation: "Installation", course: CourseId) -> None:
    hierarchy = json.dumps({"identifier": course, "name": "गणित 'और' \"विज्ञान\" 🧮"}, ensure_ascii=False)
    installation.put(_TABLE, [{"identifier": course, "hierarchy": hierarchy}])

    assert installation.hierarchies.hierarchies([course]) == {course: hierarchy.encode()}


def test_blank_and_missing_hierarchies_count_as_none(installation: "Installation", course: CourseId) -> None:
    blank = {CourseId(f"{course}-{number}"): text for number, text in enumerate(("", "  \n\t ", None))}
    installation.put(
        _TABLE, [{"identifier": each, "hierarchy": hierarchy} for each, hierarchy in blank.items()]
    )
    installation.put(_TABLE, [{"identifier": course, "hierarchy": "{}"}])

    assert installation.hierarchies.hierarchies([*blank, course]) == {course: b"{}"}


def test_many_hierarchies_at_once(installation: "Installation", course: CourseId) -> None:
    texts = {CourseId(f"{course}-{number}"): f'{{"n":{number}}}' for number in range(300)}
    installation.put(_TABLE, [{"identifier": each, "hierarchy": text} for each, text in texts.items()])

    assert installation.hierarchies.hierarchies([*texts, *texts]) == {
        each: text.encode() for each, text in texts.items()
    }


def test_a_hierarchy_of_many_megabytes(installation: "Installation", course: CourseId) -> None:
    hierarchy = json.dumps({"identifier": course, "description": "क" * 2_500_000}, ensure_ascii=False)
    installation.put(_TABLE, [{"identifier": course, "hierarchy": hierarchy}])

    assert installation.hierarchies.hierarchies([course]) == {course: hierarchy.encode()}


def test_every_identifier_is_listed_once(installation: "Installation", course: CourseId) -> None:
    stored = {CourseId(f"{course}-{number}") for number in range(1_200)}
    installation.put(_TABLE, [{"identifier": each, "hierarchy": "{}"} for each in stored])

    listed = [each for each in installation.hierarchies.courses() if each.startswith(course)]

    assert len(listed) == len(stored)
    assert set(listed) == stored
