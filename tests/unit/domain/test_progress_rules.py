"""How completions become progress, and progress an enrolment (jobs, section 2, steps 5 to 9)."""

from datetime import UTC, datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.events import NOW

from lern.domain.model import Consumption, ContentId, Enrolment
from lern.domain.progress import Course, add_completions, course_progress, enrolment_change

EARLIER = datetime(2023, 1, 1, tzinfo=UTC)
CONTENTS = [ContentId(f"do_{number}") for number in range(5)]

statuses = st.dictionaries(st.sampled_from(CONTENTS), st.integers(0, 2))


@st.composite
def shapes(draw: st.DrawFn) -> Course:
    leaves = frozenset(draw(st.sets(st.sampled_from(CONTENTS))))
    optional = frozenset(draw(st.sets(st.sampled_from(CONTENTS))))
    above = {content: frozenset(draw(st.sets(st.sampled_from(["u1", "u2"])))) for content in CONTENTS}
    units = {
        unit: frozenset(c for c in leaves - optional if unit in above[ContentId(c)]) for unit in ("u1", "u2")
    }
    return Course(leaves, leaves - optional, above, units)


@pytest.mark.parametrize("status", [0, 1, 2])
def test_a_completion_adds_a_view_and_a_completion_and_completes(status: int) -> None:
    assert add_completions(Consumption(status, 3, 1), 1) == Consumption(2, 4, 2)


def test_the_first_completion_of_a_content_creates_it() -> None:
    assert add_completions(None, 1) == Consumption(2, 1, 1)


@given(st.integers(0, 2), st.integers(0, 9), st.integers(0, 9), st.integers(1, 5), st.integers(1, 5))
@settings(deadline=None)
def test_completions_add_up_however_they_are_cut(
    status: int, views: int, completions: int, one: int, other: int
) -> None:
    stored = Consumption(status, views, completions)

    together = add_completions(stored, one + other)

    assert add_completions(add_completions(stored, one), other) == together
    assert together.views == views + one + other


@given(shapes(), statuses, st.sampled_from(CONTENTS))
@settings(deadline=None)
def test_one_more_completion_never_lowers_any_count(
    course: Course, before: dict[ContentId, int], content: ContentId
) -> None:
    first = course_progress(course, before)
    then = course_progress(course, {**before, content: 2})

    assert then.completed >= first.completed
    assert then.is_complete >= first.is_complete
    assert all(then.units[unit] >= count for unit, count in first.units.items())


@given(shapes(), statuses)
@settings(deadline=None)
def test_counts_never_exceed_the_required_leaves(course: Course, contents: dict[ContentId, int]) -> None:
    progress = course_progress(course, contents)

    assert 0 <= progress.completed <= len(course.required)
    assert all(0 <= count <= len(course.units[unit]) for unit, count in progress.units.items())


@given(shapes(), statuses)
@settings(deadline=None)
def test_only_units_above_a_touched_content_are_counted(
    course: Course, contents: dict[ContentId, int]
) -> None:
    touched = {unit for content in contents for unit in course.ancestors[content]}

    assert course_progress(course, contents).units.keys() == touched


def test_optional_leaves_do_not_count() -> None:
    course = Course(frozenset({"a", "b"}), frozenset({"a"}))

    assert course_progress(course, {ContentId("b"): 2}).completed == 0
    assert course_progress(course, {ContentId("a"): 2}).is_complete


def test_a_course_whose_leaves_are_all_optional_is_complete_at_once() -> None:
    assert course_progress(Course(leaves=frozenset({"a"})), {}).is_complete


def test_a_course_without_leaves_is_never_complete() -> None:
    assert not course_progress(Course(), {ContentId("a"): 2}).is_complete


@pytest.mark.parametrize("filtered", [True, False])
def test_the_last_required_leaf_completes_the_enrolment_now(filtered: bool) -> None:
    change = enrolment_change(Enrolment(1), True, NOW, filter_processed=filtered)

    assert change
    assert (change.status, change.completed_on, change.newly_completed) == (2, NOW, True)


@pytest.mark.parametrize("before", [Enrolment(0), Enrolment(1)])
def test_an_enrolment_with_something_left_to_do_is_in_progress(before: Enrolment) -> None:
    change = enrolment_change(before, False, NOW, filter_processed=True)

    assert change
    assert (change.status, change.completed_on, change.newly_completed) == (1, None, False)


@pytest.mark.parametrize("before", [None, Enrolment(2, EARLIER), Enrolment(2)])
@pytest.mark.parametrize("complete", [True, False])
def test_missing_and_completed_enrolments_are_left_alone_with_the_filter(
    before: Enrolment | None, complete: bool
) -> None:
    assert enrolment_change(before, complete, NOW, filter_processed=True) is None


@given(
    st.one_of(st.none(), st.builds(Enrolment, st.integers(0, 2), st.sampled_from([None, EARLIER]))),
    st.booleans(),
    st.booleans(),
)
@settings(deadline=None)
def test_a_completed_enrolment_is_never_reopened_and_a_completion_date_never_changes(
    before: Enrolment | None, complete: bool, filtered: bool
) -> None:
    change = enrolment_change(before, complete, NOW, filter_processed=filtered)

    if change and before and before.status == 2:
        assert change.status == 2
        assert not change.newly_completed
    if change and before and before.completed_on:
        assert change.completed_on is None


def test_without_the_filter_a_missing_enrolment_is_completed_too() -> None:
    change = enrolment_change(None, True, NOW, filter_processed=False)

    assert change
    assert change.newly_completed
    assert change.completed_on == NOW
