"""What an app tells of an attempt at a quiz: one message with an ASSESS event for each answer (contracts, section 2)."""

from datetime import datetime, timedelta

import msgspec

from lern.demo.course import BATCH
from lern.demo.quizzes import Answer, Attempt, Question, Quiz
from lern.domain.model import UserId
from lern.wire.outgoing import milliseconds

_encode = msgspec.json.Encoder().encode

_Json = dict[str, object]


def assessed(attempt: Attempt, course: str, at: datetime) -> bytes:
    """The message about an attempt that was handed in at this time."""
    began = at - timedelta(seconds=attempt.answers[-1].after)
    events = [_event(attempt, course, answer, began) for answer in attempt.answers]
    return _message(attempt.learner.user, course, attempt.quiz, attempt.identifier, events, at)


def rescored(user: UserId, course: str, quiz: Quiz, at: datetime) -> bytes:
    """A message without answers: by it the scores of a learner are computed again (jobs, section 4 step 2)."""
    return _message(user, course, quiz, f"{quiz.content}_{milliseconds(at)}", [], at)


def _message(user: UserId, course: str, quiz: Quiz, attempt: str, events: list[_Json], at: datetime) -> bytes:
    return _encode(
        {
            "assessmentTs": milliseconds(at),
            "batchId": BATCH,
            "courseId": course,
            "userId": user,
            "attemptId": attempt,
            "contentId": quiz.content,
            "events": events,
        }
    )


def _event(attempt: Attempt, course: str, answer: Answer, began: datetime) -> _Json:
    at = milliseconds(began + timedelta(seconds=answer.after))
    question = answer.question
    return {
        "eid": "ASSESS",
        "ver": "3.1",
        "ets": at,
        "mid": f"ASSESS:{attempt.identifier}:{at}",
        "actor": {"id": attempt.learner.user, "type": "User"},
        "context": {
            "channel": "in.sunbird",
            "env": "contentplayer",
            "pdata": {"id": "demo.portal", "ver": "1.0", "pid": "sunbird-portal.contentplayer"},
            "cdata": [
                {"id": course, "type": "course"},
                {"id": BATCH, "type": "batch"},
                {"id": attempt.identifier, "type": "AttemptId"},
            ],
        },
        "object": {"id": attempt.quiz.content, "type": "Content", "ver": "1", "rollup": {"l1": course}},
        "edata": {
            "item": {
                "id": question.identifier,
                "maxscore": question.worth,
                "type": "mcq",
                "title": question.title,
                "desc": "",
                "params": _params(question),
            },
            "index": attempt.quiz.questions.index(question) + 1,
            "pass": "Yes" if answer.score else "No",
            "score": answer.score,
            "duration": answer.took,
            "resvalues": [{str(answer.choice + 1): _text(question.choices[answer.choice])}],
        },
        "tags": [],
    }


def _params(question: Question) -> list[dict[str, str]]:
    """The choices and the right one: maps of texts that hold JSON themselves, as the players send them."""
    choices = [{str(number): _text(choice)} for number, choice in enumerate(question.choices, 1)]
    return [*choices, {"answer": _encode({"correct": [str(question.right + 1)]}).decode()}]


def _text(choice: str) -> str:
    return _encode({"text": choice}).decode()
