"""What is to be told: who studies what and when, and what was sent of it."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from lern.demo.course import Course
from lern.demo.learners import WEEKS, Learner
from lern.demo.merging import Merge, merge_of


@dataclass(frozen=True, slots=True)
class Repair:
    """Progress that was lost, and is there again."""

    learner: Learner
    before: int
    after: int


@dataclass(frozen=True, slots=True)
class Merged:
    """Two accounts that became one: the progress of both, and what it came to."""

    merge: Merge
    old: int
    before: int
    after: int


@dataclass(slots=True)
class Sent:
    """What the learners' apps told, what else befell the learners, and how long the jobs had to do with it."""

    reports: int = 0
    completed: int = 0
    """Contents completed for the first time."""
    repeated: int = 0
    """Contents that were completed once more."""
    opened: int = 0
    """Contents that were opened."""
    malformed: int = 0
    """Reports that cannot be handled."""
    attempts: int = 0
    """Attempts at quizzes."""
    repair: Repair | None = None
    merged: Merged | None = None
    messages: int = 0
    """All that lay in the inputs of all jobs."""
    seconds: float = 0.0
    """For how long they did, until all their effects were in place."""


@dataclass(frozen=True, slots=True)
class Story:
    """Who studies what, and when."""

    seed: int
    course: Course
    learners: Sequence[Learner]
    begin: datetime = field(default_factory=lambda: _midnight() - timedelta(weeks=WEEKS))

    @property
    def merge(self) -> Merge | None:
        """The two accounts of one person."""
        return merge_of(self.learners)

    def moment(self, week: int, seconds: float = 0.0) -> datetime:
        """A time in a week, counted from 1; whole milliseconds."""
        return self.begin + timedelta(weeks=week - 1, milliseconds=round(seconds * 1000))

    def week(self, moment: datetime) -> int:
        """The week in which a time is, counted from 1."""
        return (moment - self.begin) // timedelta(weeks=1) + 1


def _midnight() -> datetime:
    return datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
