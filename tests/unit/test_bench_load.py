"""The loads of the benchmarks: repeatable, and what they say of themselves."""

import json
from collections import Counter

import pytest
from bench.load import Load
from bench.place import own
from bench.seed import mark
from bench.trees import tree

from lern.domain.hierarchy import relations
from lern.domain.model import CourseId
from lern.job import Skipped
from lern.jobs import activity_aggregate_updater
from lern.wire import course_batch

LOAD = Load("0a1b2c3d", learners=40)


def test_the_same_load_is_the_same_in_every_byte() -> None:
    again = Load("0a1b2c3d", learners=40)

    assert [LOAD.event(each) for each in LOAD.completions] == [
        again.event(each) for each in again.completions
    ]


def test_another_seed_completes_other_contents() -> None:
    assert Load("0a1b2c3d", learners=40, seed=2).completions != LOAD.completions


def test_no_id_of_two_runs_is_the_same() -> None:
    other = Load("0a1b2c3e", learners=40)

    assert not set(LOAD.users) & set(other.users)
    assert not set(LOAD.contents) & set(other.contents)
    assert LOAD.course != other.course
    assert LOAD.batch != other.batch


def test_every_learner_completes_twenty_different_contents_in_random_order() -> None:
    assert LOAD.size == len(LOAD.completions) == 800
    assert len(set(LOAD.completions)) == 800
    assert set(Counter(user for user, _ in LOAD.completions).values()) == {20}
    assert [user for user, _ in LOAD.completions[:20]] != [LOAD.completions[0].user] * 20
    assert {content for _, content in LOAD.completions} <= set(LOAD.contents)


def test_nobody_completes_the_course() -> None:
    with pytest.raises(ValueError, match="not all"):
        Load("0a1b2c3d", learners=1, units=2, leaves=10, each=20)


def test_the_job_reads_its_events() -> None:
    completion = LOAD.completions[0]
    event = course_batch.decode(LOAD.event(completion))

    assert not isinstance(event, Skipped)
    assert event.enrolment == (completion.user, LOAD.course, LOAD.batch)
    assert isinstance(event, course_batch.UpdateEvent)
    assert event.completed == [completion.content]


def test_its_marks_are_those_of_the_job() -> None:
    completion = LOAD.completions[0]
    event = course_batch.decode(LOAD.event(completion))
    assert isinstance(event, course_batch.UpdateEvent)

    known = activity_aggregate_updater._mark(event.enrolment, event.completed[0])  # noqa: SLF001  # the rule

    assert mark(LOAD, completion) == known


def test_progress_in_the_end_adds_up() -> None:
    for counts in LOAD.progress().values():
        assert counts.pop(LOAD.course) == 20
        assert counts.total() == 20
        assert set(counts) <= set(LOAD.tree)


def test_all_names_of_a_place_hold_its_token() -> None:
    place = own("0a1b2c3d")

    names = [*place.topics, *place.groups, place.group, place.courses, place.hierarchies]

    assert all(name.startswith("bench0a1b2c3d") for name in names)
    assert place.group in place.groups


@pytest.mark.parametrize("depth", [3, 5, 20])
def test_a_large_course_has_as_many_nodes_levels_and_bytes_as_asked(depth: int) -> None:
    course = tree("do_1", nodes=3_000, depth=depth, node_bytes=600)
    nodes, levels = _measured(json.loads(course.json))

    assert (nodes, levels) == (3_000, depth)
    assert len(course.json) / nodes == pytest.approx(600, rel=0.1)


@pytest.mark.parametrize("depth", [3, 5, 20])
def test_a_large_course_leads_to_the_sets_and_units_that_it_says(depth: int) -> None:
    course = tree("do_1", nodes=3_000, depth=depth, node_bytes=500)

    found = relations(CourseId("do_1"), course.json)

    assert {key.redis_key: members for key, members in found.sets.items() if members} == course.sets
    assert found.units.keys() == course.units


def test_a_tree_with_too_few_nodes_for_its_levels_is_refused() -> None:
    with pytest.raises(ValueError, match="too few"):
        tree("do_1", nodes=100, depth=5, node_bytes=500)


def _measured(node: dict[str, object]) -> tuple[int, int]:
    children = node.get("children")
    assert children is None or isinstance(children, list)
    below = [_measured(child) for child in children or ()]
    return 1 + sum(count for count, _ in below), 1 + max((level for _, level in below), default=0)
