"""How consumption of contents becomes progress: one implementation for every job that computes it.

Source: jobs, section 2 steps 5 to 9, and section 3.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from lern.domain.model import Consumption, ContentId, Enrolment, Status

Statuses = Mapping[ContentId, int]


@dataclass(frozen=True, slots=True)
class Course:
    """The shape of a course, as far as progress needs it."""

    leaves: frozenset[str] = frozenset()
    required: frozenset[str] = frozenset()
    """The leaf nodes that are not optional."""
    ancestors: Mapping[ContentId, frozenset[str]] = field(default_factory=dict)
    """The units above each content; the course itself is not among them."""
    units: Mapping[str, frozenset[str]] = field(default_factory=dict)
    """The required leaf nodes of each unit."""


@dataclass(frozen=True, slots=True)
class CourseProgress:
    """How many required leaf nodes are completed, in the course and in each unit the learner has touched."""

    completed: int
    units: dict[str, int]
    is_complete: bool


@dataclass(frozen=True, slots=True)
class EnrolmentChange:
    """What becomes of an enrolment's status; None as `completed_on` leaves the column as it is."""

    status: int
    completed_on: datetime | None
    newly_completed: bool


_NOTHING = Consumption(status=Status.NOT_STARTED)


def add_completions(stored: Consumption | None, times: int) -> Consumption:
    """A content after `times` more completions: each adds one view and one completion, the status never falls."""
    before = stored or _NOTHING
    return Consumption(
        status=max(before.status, Status.COMPLETED),
        views=before.views + times,
        completions=before.completions + times,
    )


def course_progress(course: Course, statuses: Statuses) -> CourseProgress:
    """Progress of a learner whose contents have these statuses.

    A course without leaf nodes is never complete; one whose leaf nodes are all optional is.
    """
    completed = {content for content, status in statuses.items() if status >= Status.COMPLETED}
    touched = {unit for content in statuses for unit in course.ancestors.get(content, ())}
    done = len(course.required & completed)
    return CourseProgress(
        completed=done,
        units={unit: len(course.units.get(unit, frozenset()) & completed) for unit in sorted(touched)},
        is_complete=bool(course.leaves) and done == len(course.required),
    )


def enrolment_change(
    before: Enrolment | None, is_complete: bool, now: datetime, *, filter_processed: bool
) -> EnrolmentChange | None:
    """What to write to an enrolment; None: leave the row alone.

    With `filter_processed` a missing or completed enrolment is left alone. A completed one is never reopened, and a
    completion date that is set never changes.
    """
    was_complete = before is not None and before.status == Status.COMPLETED
    if filter_processed and (before is None or was_complete):
        return None
    if was_complete:
        return EnrolmentChange(Status.COMPLETED, None, newly_completed=False)
    if not is_complete:
        return EnrolmentChange(Status.IN_PROGRESS, None, newly_completed=False)
    first = before is None or before.completed_on is None
    return EnrolmentChange(Status.COMPLETED, now if first else None, newly_completed=True)
