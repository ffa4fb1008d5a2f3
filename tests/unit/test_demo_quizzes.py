"""The quizzes of the demo: reproducible, plausible, and told as the contracts say (section 2)."""

import json
from datetime import UTC, datetime
from typing import Any

import pytest

from lern.demo.course import BATCH, Course, load_course
from lern.demo.learners import Learner, learners, weeks
from lern.demo.quiz_messages import assessed, rescored
from lern.demo.quizzes import Answer, Attempt, Question, Quiz, attempts, quizzes
from lern.domain.model import Status

AT = datetime(2026, 3, 1, 9, 30, tzinfo=UTC)


@pytest.fixture(scope="module")
def course() -> Course:
    """The bundled course."""
    return load_course()


def all_attempts(course: Course, count: int = 60, seed: int = 5) -> dict[Learner, list[list[Attempt]]]:
    """What each learner tries in each week."""
    known = quizzes(seed, course)
    return {
        learner: [attempts(seed, studies, known) for studies in weeks(seed, learner, course)]
        for learner in learners(seed, count)
    }


def test_the_course_has_quizzes_whose_questions_have_one_right_answer(course: Course) -> None:
    known = quizzes(1, course)

    assert len(known) == 7
    for quiz in known.values():
        assert 4 <= len(quiz.questions) <= 7
        for question in quiz.questions:
            assert len(set(question.choices)) == 4
            first, second = (int(word.rstrip("?")) for word in question.title.split()[-3::2])
            assert question.choices[question.right] == str(first * second)


def test_same_seed_gives_the_same_attempts_and_another_seed_others(course: Course) -> None:
    assert all_attempts(course, 10) == all_attempts(course, 10)
    assert all_attempts(course, 10) != all_attempts(course, 10, seed=6)
    assert quizzes(1, course) == quizzes(1, course) != quizzes(2, course)


def test_a_learner_tries_alike_however_many_others_there_are(course: Course) -> None:
    few, more = all_attempts(course, 3), all_attempts(course, 30)

    assert few.items() <= {learner: more[learner] for learner in few}.items()


def test_a_quiz_is_tried_before_it_is_completed_and_in_that_week(course: Course) -> None:
    known = quizzes(5, course)
    for learner in learners(5, 60):
        for studies in weeks(5, learner, course):
            completed = {
                content: study.at
                for study in reversed(studies)
                for content, status in study.contents
                if status is Status.COMPLETED and content in known
            }
            tried = attempts(5, studies, known)
            assert {attempt.quiz.content for attempt in tried} == completed.keys()
            assert all(0 < attempt.at <= completed[attempt.quiz.content] for attempt in tried)
            assert [attempt.at for attempt in tried] == sorted(attempt.at for attempt in tried)


def test_some_try_a_quiz_several_times_and_mostly_get_better(course: Course) -> None:
    tries: dict[tuple[int, str], list[Attempt]] = {}
    for learner, all_weeks in all_attempts(course, 300).items():
        for attempt in (one for week in all_weeks for one in week):
            tries.setdefault((learner.number, attempt.quiz.content), []).append(attempt)

    assert {len(each) for each in tries.values()} == {1, 2, 3}
    several = [each for each in tries.values() if len(each) > 1]
    better = sum(each[-1].score > each[0].score for each in several)
    worse = sum(each[-1].score < each[0].score for each in several)
    assert better > 2 * worse > 0
    assert all(each[0].score < each[0].quiz.best for each in several)
    identifiers = [attempt.identifier for each in tries.values() for attempt in each]
    assert len(set(identifiers)) == len(identifiers)


def test_an_attempt_counts_the_later_answer_to_a_question() -> None:
    questions = tuple(Question(f"q{number}", "", ("a", "b"), 0, number) for number in (1, 2))
    answers = tuple(
        Answer(questions[which], choice, 1, 1) for which, choice in [(0, 0), (1, 1), (0, 1), (1, 0)]
    )

    attempt = Attempt(1.0, learners(1, 1)[0], Quiz("do_1", "", questions), "x", answers)

    assert (attempt.score, attempt.quiz.best) == (2, 3)


def test_an_attempt_is_told_as_the_contracts_say(course: Course) -> None:
    [attempt, *_] = [one for all_weeks in all_attempts(course).values() for week in all_weeks for one in week]

    message: dict[str, Any] = json.loads(assessed(attempt, course.identifier, AT))

    events = message.pop("events")
    assert message == {
        "assessmentTs": 1772357400000,
        "batchId": BATCH,
        "courseId": course.identifier,
        "userId": attempt.learner.user,
        "attemptId": attempt.identifier,
        "contentId": attempt.quiz.content,
    }
    assert [event["edata"]["item"]["id"] for event in events] == [
        a.question.identifier for a in attempt.answers
    ]
    assert [event["ets"] for event in events] == sorted({event["ets"] for event in events})
    assert events[-1]["ets"] == message["assessmentTs"]
    latest = {event["edata"]["item"]["id"]: event["edata"] for event in events}
    assert sum(edata["score"] for edata in latest.values()) == attempt.score
    assert sum(edata["item"]["maxscore"] for edata in latest.values()) == attempt.quiz.best
    for event in events:
        assert event["eid"] == "ASSESS"
        for texts in (*event["edata"]["resvalues"], *event["edata"]["item"]["params"]):
            assert all(isinstance(json.loads(text), dict) for text in texts.values())


def test_scores_are_asked_for_again_by_a_message_without_answers(course: Course) -> None:
    [quiz, *_] = quizzes(1, course).values()

    message = json.loads(rescored(learners(1, 1)[0].user, course.identifier, quiz, AT))

    assert message.pop("attemptId")
    assert message == {
        "assessmentTs": 1772357400000,
        "batchId": BATCH,
        "courseId": course.identifier,
        "userId": learners(1, 1)[0].user,
        "contentId": quiz.content,
        "events": [],
    }
