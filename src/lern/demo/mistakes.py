"""Messages that no job can handle, one of every common kind, for the topics of scores, merges and repairs."""

from datetime import datetime

from lern.demo.course import Course
from lern.demo.damage import repair
from lern.demo.learners import Learner
from lern.demo.merging import Merge, merged
from lern.demo.quiz_messages import assessed
from lern.demo.quizzes import Attempt

STRANGER = "do_310000000000000000001"
"""A content that stands in no course."""


def malformed_attempts(attempt: Attempt, course: Course, at: datetime) -> list[bytes]:
    """Of a content that is not in the course; of nobody; with answers that are none."""
    good = assessed(attempt, course.identifier, at)
    begin = good.index(b'"events":')
    return [
        good.replace(f'"contentId":"{attempt.quiz.content}"'.encode(), f'"contentId":"{STRANGER}"'.encode()),
        good.replace(f'"userId":"{attempt.learner.user}",'.encode(), b""),
        good[:begin] + b'"events":"none"}',
    ]


def malformed_merges(learner: Learner, at: datetime) -> list[bytes]:
    """Into itself; into nobody."""
    itself = merged(Merge(learner, learner), at)
    return [itself, itself.replace(f'"toAccountId":"{learner.user}",'.encode(), b"")]


def malformed_repairs(learner: Learner, course: Course, at: datetime) -> list[bytes]:
    """Of no batch; and one that was cut off."""
    good = repair(learner, course, at)
    field = b',"batchId":'
    return [good[: good.index(field)] + b"}}", good[: len(good) // 2]]
