"""The invented learners: reproducible, and plausible enough for the story."""

import pytest

from lern.demo.course import Course, load_course
from lern.demo.learners import WEEKS, Learner, Study, learners, weeks
from lern.domain.model import Status


@pytest.fixture(scope="module")
def course() -> Course:
    """The bundled course."""
    return load_course()


def _all(learner: Learner, course: Course, seed: int = 5) -> list[list[Study]]:
    return list(weeks(seed, learner, course))


def _completed(studies: list[Study]) -> list[str]:
    return [content for study in studies for content, status in study.contents if status is Status.COMPLETED]


def test_same_seed_gives_the_same_learners_and_studies(course: Course) -> None:
    first, second = learners(5, 30), learners(5, 30)

    assert first == second
    assert [_all(one, course) for one in first] == [_all(one, course) for one in second]


def test_other_seed_gives_other_learners() -> None:
    assert {one.user for one in learners(5, 30)}.isdisjoint(one.user for one in learners(6, 30))


def test_learner_is_the_same_however_many_others_there_are() -> None:
    assert learners(5, 3) == learners(5, 300)[:3]


def test_users_are_unique_even_when_names_repeat() -> None:
    many = learners(5, 500)

    assert len({one.user for one in many}) == 500


@pytest.mark.parametrize("seed", range(20))
def test_first_learner_lacks_exactly_the_last_content(course: Course, seed: int) -> None:
    studies = [study for week in weeks(seed, learners(seed, 1)[0], course) for study in week]

    required = {node.identifier for node in course.contents} - course.optional
    assert required - set(_completed(studies)) == {course.contents[-1].identifier}


def test_small_class_has_a_learner_of_every_kind() -> None:
    assert {one.pace.name for one in learners(5, 7)} == {one.pace.name for one in learners(5, 500)}


def test_contents_are_repeated_in_the_week_of_their_completion_only(course: Course) -> None:
    repeated = 0
    for learner in learners(5, 100):
        before: set[str] = set()
        for week in _all(learner, course):
            now = _completed(week)
            assert before.isdisjoint(now)
            assert len(now) - len(set(now)) == sum(study.repeated for study in week)
            repeated += sum(study.repeated for study in week)
            before |= set(now)
    assert repeated > 20


def test_everything_happens_within_its_week_and_the_term(course: Course) -> None:
    for learner in learners(5, 50):
        diary = _all(learner, course)
        assert len(diary) == WEEKS
        assert all(0 <= study.at < 7 * 86400 for week in diary for study in week)


def test_optional_contents_are_skipped_by_many_and_taken_by_some(course: Course) -> None:
    taken = [
        len(
            course.optional.intersection(
                content for week in _all(one, course) for content in _completed(week)
            )
        )
        for one in learners(5, 100)
    ]

    assert 0 < sum(taken) < 100 * len(course.optional) / 2
