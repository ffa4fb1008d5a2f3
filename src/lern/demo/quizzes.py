"""Quizzes of the course, and how learners fare in them: several attempts, the later ones better as a rule."""

import random
import uuid
from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

from lern.demo.course import Course
from lern.demo.learners import Learner, Study, chance
from lern.domain.model import Status

QUESTION_SET = "application/vnd.sunbird.questionset"
"""The mime type of a quiz."""

_QUESTIONS = (4, 7)
"""How many questions a quiz has, at least and at most."""
_TRIES = {1: 55, 2: 30, 3: 15}
"""How many of a hundred learners try a quiz so often, as long as they have not got everything right."""
_GAINS = 0.15
"""By how much another attempt makes a right answer more probable."""
_CHANGES_MIND = 0.1
"""How often a question is answered twice in an attempt; the later answer counts."""
_BREAK = 900.0
"""Seconds between two attempts, at least."""


class Question(NamedTuple):
    """One question with four choices, one of them right."""

    identifier: str
    title: str
    choices: tuple[str, ...]
    right: int
    worth: int
    """The score of the right answer; every other one gives none."""


class Quiz(NamedTuple):
    """One content that asks questions."""

    content: str
    name: str
    questions: tuple[Question, ...]

    @property
    def best(self) -> int:
        """The highest score."""
        return sum(question.worth for question in self.questions)


class Answer(NamedTuple):
    """What was chosen, after how many seconds of the attempt."""

    question: Question
    choice: int
    after: int
    took: int

    @property
    def score(self) -> int:
        """What it gives."""
        return self.question.worth if self.choice == self.question.right else 0


class Attempt(NamedTuple):
    """One learner's way through one quiz."""

    at: float
    """When it was handed in, in seconds since the begin of the week."""
    learner: Learner
    quiz: Quiz
    identifier: str
    answers: tuple[Answer, ...]
    """In the order in which they were given; of two to one question the later one counts."""

    @property
    def score(self) -> int:
        """What the answers that count give together."""
        return score_of(self.answers)


def score_of(answers: Sequence[Answer]) -> int:
    """What the last answer to each question gives, together."""
    return sum({answer.question.identifier: answer.score for answer in answers}.values())


def quizzes(seed: int, course: Course) -> dict[str, Quiz]:
    """The quizzes of the course by content; their questions are invented."""
    return {
        node.identifier: _quiz(random.Random(f"{seed} {node.identifier}"), node.identifier, node.name)  # noqa: S311  # play, no secret
        for node in course.contents
        if node.mime_type == QUESTION_SET
    }


def attempts(seed: int, studies: Sequence[Study], known: Mapping[str, Quiz]) -> list[Attempt]:
    """The attempts that lead to what one learner completed in one week, in the order of time.

    A quiz that was completed before, and is once more, is not tried again.
    """
    found: list[Attempt] = []
    for study in studies:
        if study.repeated == len(study.contents):
            continue
        for content in dict.fromkeys(name for name, status in study.contents if status is Status.COMPLETED):
            if content in known:
                found += _attempts(seed, study, known[content])
    return sorted(found, key=lambda attempt: attempt.at)


def _quiz(own: random.Random, content: str, name: str) -> Quiz:
    questions = []
    for number in range(1, own.randint(*_QUESTIONS) + 1):
        first, second = own.randint(11, 30), own.randint(2, 9)
        right = own.randrange(4)
        wrong = own.sample([first * second + off for off in (-10, -second, -1, 1, second, 10)], 3)
        choices = [*wrong[:right], first * second, *wrong[right:]]
        questions.append(
            Question(
                f"{content}_q{number}",
                f"How much is {first} times {second}?",
                tuple(map(str, choices)),
                right,
                own.choice((1, 1, 1, 2)),
            )
        )
    return Quiz(content, name, tuple(questions))


def _attempts(seed: int, study: Study, quiz: Quiz) -> Iterator[Attempt]:
    """One learner's attempts at a quiz; the last one completes it."""
    own = chance(seed, study.learner.number, f"quiz {quiz.content}")
    knows = own.uniform(0.4, 0.95)
    wanted = own.choices(list(_TRIES), list(_TRIES.values()))[0]
    tries: list[tuple[Answer, ...]] = []
    for number in range(wanted):
        tries.append(tuple(_answers(own, quiz, knows + number * _GAINS)))
        if score_of(tries[-1]) == quiz.best:
            break
    for number, answers in enumerate(tries):
        before = (len(tries) - 1 - number) * (_BREAK + own.uniform(0, 300))
        identifier = uuid.UUID(int=own.getrandbits(128), version=4).hex
        yield Attempt(max(1.0, study.at - before), study.learner, quiz, identifier, answers)


def _answers(own: random.Random, quiz: Quiz, knows: float) -> Iterator[Answer]:
    after = 0
    for question in quiz.questions:
        for _ in range(2 if own.random() < _CHANGES_MIND else 1):
            took = own.randint(4, 60)
            after += took
            others = [choice for choice in range(len(question.choices)) if choice != question.right]
            choice = question.right if own.random() < knows else own.choice(others)
            yield Answer(question, choice, after, took)
