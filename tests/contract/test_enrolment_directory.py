"""What finding the learners of a course promises (`ports.EnrolmentDirectory`)."""

from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest

from lern.domain.model import AggregateKey, BatchId, ContentId, CourseId, EnrolmentKey, UserId
from lern.job import SetAggregates
from lern.ports import Standing

if TYPE_CHECKING:
    from tests.contract.conftest import Installation

_ENROLMENTS = "user_enrolments"
_LEARNERS = 1_200


def row(key: EnrolmentKey, **columns: object) -> dict[str, object]:
    return {"userid": key.user, "courseid": key.course, "batchid": key.batch, **columns}


@pytest.fixture
def keys(installation: "Installation", enrolment: EnrolmentKey) -> list[EnrolmentKey]:
    """Many learners in two batches of a course (every third in both), who are in another course as well."""
    users = [UserId(f"{enrolment.user}-{number}") for number in range(_LEARNERS)]
    keys = [enrolment._replace(user=user) for user in users]
    keys += [key._replace(batch=BatchId(f"{key.batch}-2")) for key in keys[::3]]
    elsewhere = [key._replace(course=CourseId(f"{key.course}-2")) for key in keys]
    installation.put(_ENROLMENTS, map(row, keys + elsewhere))
    return keys


def test_everybody_in_a_course_or_a_batch_is_found_once(
    installation: "Installation", keys: list[EnrolmentKey]
) -> None:
    course, batch = keys[0].course, keys[0].batch
    for wanted, its in ((None, keys), (batch, [key for key in keys if key.batch == batch])):
        found = [key for page in installation.directory.enrolled(course, wanted) for key in page.enrolments]
        assert len(found) == len(its)
        assert set(found) == set(its)


def test_reading_goes_on_behind_any_page_and_says_how_far_it_is(
    installation: "Installation", keys: list[EnrolmentKey]
) -> None:
    pages = list(installation.directory.enrolled(keys[0].course, None, at_once=100))
    assert len(pages) >= len(keys) // 102
    assert max(len(page.enrolments) for page in pages) <= 102
    shares = [page.share for page in pages]
    assert shares == sorted(shares)
    assert shares[0] > 0
    assert shares[-1] == 1
    for number in (0, len(pages) // 2, len(pages) - 1):
        rest = installation.directory.enrolled(keys[0].course, None, after=pages[number].position, at_once=70)
        expected = {key for page in pages[number + 1 :] for key in page.enrolments}
        assert {key for page in rest for key in page.enrolments} == expected


def test_nobody_is_found_in_a_course_that_is_not_there(
    installation: "Installation", enrolment: EnrolmentKey
) -> None:
    directory = installation.directory
    assert not [key for page in directory.enrolled(enrolment.course, None) for key in page.enrolments]
    assert not directory.enrolments_of(*enrolment)
    assert not directory.standings([enrolment])
    assert not directory.standings([])
    assert not directory.completed_counts([AggregateKey(enrolment.course, enrolment.user, enrolment.context)])
    assert not directory.completed_counts([])


def test_a_learner_is_found_in_all_batches_or_in_one(
    installation: "Installation", keys: list[EnrolmentKey]
) -> None:
    user, course, batch = keys[0]
    other = keys[0]._replace(batch=BatchId(f"{batch}-2"))
    assert set(installation.directory.enrolments_of(user, course, None)) == {keys[0], other}
    assert installation.directory.enrolments_of(user, course, other.batch) == [other]
    assert not installation.directory.enrolments_of(user, course, BatchId("another"))


def test_a_standing_is_what_the_row_says(installation: "Installation", enrolment: EnrolmentKey) -> None:
    completed = datetime(2026, 2, 28, 23, 59, 59, 123000, UTC)
    bare = enrolment._replace(user=UserId(f"{enrolment.user}-bare"))
    contents = {ContentId("do_1"): 2, ContentId("do_2"): 1}
    columns = {"progress": 3, "status": 2, "completedon": completed, "contentstatus": contents}
    installation.put(_ENROLMENTS, [row(enrolment, **columns)])
    installation.put(_ENROLMENTS, [row(bare)])

    assert installation.directory.standings([enrolment, bare, enrolment]) == {
        enrolment: Standing(3, 2, completed, contents),
        bare: Standing(None, None, None, {}),
    }


def test_counts_are_those_of_the_course_and_its_units_of_each_learner(
    installation: "Installation", enrolment: EnrolmentKey
) -> None:
    at = datetime(2026, 2, 28, tzinfo=UTC)
    keys = [
        AggregateKey(activity, UserId(f"{enrolment.user}-{number}"), f"cb:{batch}")
        for activity in (enrolment.course, f"{enrolment.course}-unit")
        for number in range(60)
        for batch in (enrolment.batch, "other")
    ]
    stored = {key: float(number) for number, key in enumerate(keys) if number % 7}
    installation.apply(
        [SetAggregates(*key, {"completedCount": count, "score:x": 1.5}, at) for key, count in stored.items()]
    )
    scores = keys[0]
    installation.apply([SetAggregates(*scores, {"score:x": 1.5}, at)])

    assert installation.directory.completed_counts(keys) == stored
    some = keys[::5]
    assert installation.directory.completed_counts(some) == {k: stored[k] for k in some if k in stored}


def test_ids_may_hold_anything(installation: "Installation", enrolment: EnrolmentKey, odd: str) -> None:
    key = EnrolmentKey(UserId(enrolment.user + odd), CourseId(enrolment.course + odd), BatchId(odd))
    installation.put(_ENROLMENTS, [row(key, progress=1)])
    aggregate = AggregateKey(key.course, key.user, key.context)
    installation.apply([SetAggregates(*aggregate, {"completedCount": 1.0}, datetime(2026, 1, 1, tzinfo=UTC))])
    directory = installation.directory

    assert [k for page in directory.enrolled(key.course, key.batch) for k in page.enrolments] == [key]
    assert directory.enrolments_of(*key) == [key]
    assert directory.standings([key])[key].progress == 1
    assert directory.completed_counts([aggregate]) == {aggregate: 1.0}
