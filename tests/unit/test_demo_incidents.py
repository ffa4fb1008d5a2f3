"""What befalls the demo's learners: merged accounts, damaged progress, and messages that nobody can handle."""

import json
from collections.abc import Callable, Collection
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import pytest

from lern.adapters.embedded import Embedded
from lern.demo import damage, merging
from lern.demo.course import BATCH, Course, load_course
from lern.demo.learners import WEEKS, Learner, learners, weeks
from lern.demo.mistakes import STRANGER, malformed_attempts, malformed_merges, malformed_repairs
from lern.demo.quizzes import attempts, quizzes
from lern.domain.model import Status

AT = datetime(2026, 3, 1, 9, 30, tzinfo=UTC)


@pytest.fixture(scope="module")
def course() -> Course:
    """The bundled course."""
    return load_course()


# --- Two accounts become one -----------------------------------------------------------------------------------------


def test_who_dropped_out_and_who_came_late_are_one_person() -> None:
    merge = merging.merge_of(learners(3, 40))

    assert merge is not None
    assert (merge.old.pace.name, merge.new.pace.name) == ("drops out", "late starter")


def test_a_small_demo_merges_nobody_and_five_learners_are_enough() -> None:
    assert merging.merge_of(learners(3, 4)) is None
    assert merging.merge_of(learners(3, 5)) is not None


@pytest.mark.parametrize("seed", range(5))
def test_both_accounts_have_studied_before_they_are_merged(course: Course, seed: int) -> None:
    merge = merging.merge_of(learners(seed, 5))
    assert merge is not None

    for learner in merge:
        assert any(list(weeks(seed, learner, course))[: merging.WEEK - 1])


@pytest.mark.parametrize("seed", range(5))
def test_with_the_new_account_nothing_is_done_again(course: Course, seed: int) -> None:
    merge = merging.merge_of(learners(seed, 5))
    assert merge is not None

    done = merging.done_with_the_old(seed, merge, course)

    assert done == _completed(seed, merge.old, course)
    assert done.isdisjoint(_completed(seed, merge.new, course, done))
    assert _completed(seed, merge.new, course, done)


def _completed(seed: int, learner: Learner, course: Course, done: Collection[str] = ()) -> set[str]:
    return {
        content
        for week in weeks(seed, learner, course, done)
        for study in week
        for content, status in study.contents
        if status is Status.COMPLETED
    }


def test_a_merge_is_told_as_the_contracts_say() -> None:
    merge = merging.merge_of(learners(3, 5))
    assert merge is not None

    edata = json.loads(merging.merged(merge, AT))["edata"]

    assert edata["action"] == "merge-user-courses-and-cert"
    assert (edata["fromAccountId"], edata["toAccountId"]) == (merge.old.user, merge.new.user)
    assert edata["rootOrgId"]


# --- Damaged progress ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(8))
def test_nobody_can_have_completed_the_course_when_progress_is_damaged(course: Course, seed: int) -> None:
    required = {node.identifier for node in course.contents} - course.optional
    for learner in learners(seed, 60):
        done = {
            content
            for week in list(weeks(seed, learner, course))[: damage.WEEK]
            for study in week
            for content, status in study.contents
            if status is Status.COMPLETED
        }
        assert required - done


def test_it_happens_to_a_learner_who_has_studied(course: Course) -> None:
    victim = damage.victim(learners(3, 40))

    assert victim.pace.name == "unhurried"
    assert any(list(weeks(3, victim, course))[: damage.WEEK])
    assert damage.victim(learners(3, 1)) == learners(3, 1)[0]
    assert damage.WEEK < WEEKS


def test_the_damage_takes_the_progress_and_leaves_what_was_consumed(course: Course, tmp_path: Path) -> None:
    victim = damage.victim(learners(3, 5))
    key = {"userid": victim.user, "courseid": course.identifier, "batchid": BATCH}
    with closing(Embedded(tmp_path / "lern.db")) as embedded:
        embedded.put("user_enrolments", {**key, "progress": 7, "status": 1, "active": True})
        embedded.put("user_content_consumption", {**key, "contentid": "do_1", "status": 2})

        for table, row in damage.damaged_rows(victim, course, AT):
            embedded.put(table, row)

        enrolment = embedded.row("user_enrolments", **key)
        assert enrolment is not None
        assert (enrolment["progress"], enrolment["status"], enrolment["active"]) == (0, 0, True)
        consumed = embedded.row("user_content_consumption", **key, contentid="do_1")
        assert consumed is not None
        assert consumed["status"] == 2
        units = [course.identifier, *(unit.identifier for unit in course.units)]
        for activity in units:
            aggregate = embedded.row(
                "user_activity_agg",
                activity_type="Course",
                activity_id=activity,
                user_id=victim.user,
                context_id=f"cb:{BATCH}",
            )
            assert aggregate is not None
            assert aggregate["aggregates"] == {"completedCount": 0.0}
            assert aggregate["agg_last_updated"] == {"completedCount": AT}


def test_a_repair_is_asked_for_as_the_contracts_say(course: Course) -> None:
    victim = learners(3, 1)[0]

    edata = json.loads(damage.repair(victim, course, AT))["edata"]

    assert edata == {
        "action": "user-enrolment-sync",
        "iteration": 1,
        "userId": victim.user,
        "courseId": course.identifier,
        "batchId": BATCH,
    }


# --- Messages that nobody can handle ---------------------------------------------------------------------------------


def test_malformed_attempts_are_wrong_in_one_thing_each(course: Course) -> None:
    known = quizzes(3, course)
    learner = learners(3, 2)[1]
    [attempt, *_] = [one for week in weeks(3, learner, course) for one in attempts(3, week, known)]

    stranger, nobody, answers = map(json.loads, malformed_attempts(attempt, course, AT))

    assert stranger["contentId"] == STRANGER
    assert STRANGER not in {node.identifier for node in course.contents}
    assert stranger["userId"] == learner.user
    assert "userId" not in nobody
    assert nobody["contentId"] == attempt.quiz.content
    assert answers["events"] == "none"
    assert answers["userId"] == learner.user


def test_malformed_merges_lead_nowhere() -> None:
    learner = learners(3, 1)[0]

    itself, nobody = (json.loads(message)["edata"] for message in malformed_merges(learner, AT))

    assert itself["fromAccountId"] == itself["toAccountId"] == learner.user
    assert nobody["fromAccountId"] == learner.user
    assert "toAccountId" not in nobody


def test_malformed_repairs_name_no_batch_or_end_in_the_middle(course: Course) -> None:
    batchless, cut = malformed_repairs(learners(3, 1)[0], course, AT)

    edata = json.loads(batchless)["edata"]
    assert "batchId" not in edata
    assert edata["courseId"] == course.identifier
    read: Callable[[bytes], object] = json.loads
    with pytest.raises(ValueError, match=r"Unterminated|Expecting"):
        read(cut)
