"""The rows that the course service writes itself; view counts, progress and scores are the jobs' business."""

from collections.abc import Callable, Iterator, Sequence
from datetime import datetime

from lern.demo.course import BATCH, Course
from lern.demo.learners import Learner, Study
from lern.domain.model import Status

Row = dict[str, object]

_PROGRESS = {Status.IN_PROGRESS: 40, Status.COMPLETED: 100}


def enrolment_key(learner: Learner, course: Course) -> dict[str, str]:
    """Which enrolment of the batch is a learner's."""
    return {"userid": learner.user, "courseid": course.identifier, "batchid": BATCH}


def enrolled(learner: Learner, course: Course, at: datetime) -> Row:
    """A new enrolment."""
    return {
        **enrolment_key(learner, course),
        "active": True,
        "addedby": learner.user,
        "enrolled_date": at,
        "enrolleddate": _text(at),
        "progress": 0,
        "status": int(Status.NOT_STARTED),
    }


def studied_rows(
    studies: Sequence[Study], course: Course, moment: Callable[[float], datetime]
) -> Iterator[tuple[str, Row]]:
    """Tables and rows as they are at the end of a week; `moment` is a time in it."""
    contents: dict[tuple[str, str], Row] = {}
    enrolments: dict[str, Row] = {}
    for study in studies:
        user, at = study.learner.user, moment(study.at)
        key = enrolment_key(study.learner, course)
        for content, status in study.contents:
            contents[user, content] = contents.get((user, content), {}) | _consumed(content, status, at) | key
        content, status = study.contents[-1]
        enrolments[user] = {
            **key,
            "lastreadcontentid": content,
            "lastreadcontentstatus": int(status),
            "lastcontentaccesstime": at,
        }
    yield from (("user_content_consumption", row) for row in contents.values())
    yield from (("user_enrolments", row) for row in enrolments.values())


def _consumed(content: str, status: Status, at: datetime) -> Row:
    row: Row = {
        "contentid": content,
        "status": int(status),
        "progress": _PROGRESS[status],
        "datetime": at,
        "last_access_time": at,
        "lastaccesstime": _text(at),
        "last_updated_time": at,
        "lastupdatedtime": _text(at),
    }
    if status is Status.COMPLETED:
        row |= {"last_completed_time": at, "lastcompletedtime": _text(at)}
    return row


def _text(moment: datetime) -> str:
    """A time as the course service writes it into its text columns (contracts, section 4)."""
    return f"{moment:%Y-%m-%d %H:%M:%S}:{moment.microsecond // 1000:03d}+0000"
