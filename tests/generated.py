"""Courses and histories of learners, generated."""

from itertools import count

from hypothesis import strategies as st
from tests.model import Content, Enrolment, Node, Update, Who, World

RESOURCES = [f"do_{number}" for number in range(6)]
STRANGERS = ["do_elsewhere"]
"""Contents that a learner may have although the course does not."""
LEARNERS = [Who("user_1", "batch_1"), Who("user_1", "batch_2"), Who("user_2", "batch_1")]


@st.composite
def courses(draw: st.DrawFn, identifier: str = "course_1", *, own_leaves: bool = True) -> Node:
    """A course of a few units, up to four deep; a resource may stand in several places."""
    numbers = count(1)

    def node(depth: int) -> Node:
        optional = draw(st.integers(0, 3)) == 0
        if depth == 3 or draw(st.booleans()):
            return Node(draw(st.sampled_from(RESOURCES)), optional=optional)
        unit = Node(f"unit_{next(numbers)}", optional=optional)
        unit.children = [node(depth + 1) for _ in range(draw(st.integers(0, 3)))]
        if own_leaves and draw(st.integers(0, 5)) == 0:
            unit.own_leaves = draw(st.lists(st.sampled_from(RESOURCES), max_size=3))
        return unit

    return Node(identifier, [node(1) for _ in range(draw(st.integers(1, 4)))])


def contents() -> st.SearchStrategy[list[str]]:
    """Some contents, one perhaps twice."""
    return st.lists(st.sampled_from([*RESOURCES, *STRANGERS]), max_size=4)


def updates() -> st.SearchStrategy[Update]:
    """One event of one learner: completed contents, or a request to compute again."""
    return st.builds(Update, st.sampled_from(LEARNERS), st.one_of(contents(), contents(), st.none()))


@st.composite
def worlds(draw: st.DrawFn) -> World:
    """A course with leaf nodes, and learners who have done something of it already."""
    world = World(
        draw(courses().filter(lambda course: bool(course.leaves()))),
        dedup=draw(st.booleans()),
        filtered=draw(st.booleans()),
        modules=draw(st.booleans()),
    )
    for who in LEARNERS:
        known = draw(st.sets(st.sampled_from([*RESOURCES, *STRANGERS]), max_size=3))
        if known:
            world.consumption[who] = {content: draw(_rows()) for content in sorted(known)}
        match draw(st.sampled_from(["none", "new", "new", "begun", "completed"])):
            case "new":
                world.enrolments[who] = Enrolment()
            case "begun":
                world.enrolments[who] = Enrolment(1, 1)
            case "completed":
                world.enrolments[who] = Enrolment(2, 3, completed=0)
            case _:
                pass
    return world


def _rows() -> st.SearchStrategy[Content]:
    """As the course service writes them (no counts), or an earlier turn."""
    return st.builds(
        lambda status, times: Content(status, times, times if status == 2 else 0),
        st.sampled_from([None, 0, 1, 2]),
        st.integers(0, 2),
    )


histories = st.lists(updates(), min_size=1, max_size=12)
cuts = st.lists(st.integers(1, 5), min_size=12, max_size=12)
"""How a history is cut into batches."""
