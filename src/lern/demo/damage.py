"""Progress that was damaged, as by a restored backup, and the request to compute it again from what is stored."""

from collections.abc import Sequence
from datetime import datetime

from lern.demo.course import BATCH, Course
from lern.demo.learners import Learner
from lern.demo.messages import request
from lern.domain.model import Status

WEEK = 6
"""The week at whose end it happens: much has been done, and nobody can have completed the course, so that no
certificate is asked for twice."""

_KIND = "unhurried"


def victim(learners: Sequence[Learner]) -> Learner:
    """The learner it happens to."""
    return next((one for one in learners if one.pace.name == _KIND), learners[0])


def damaged_rows(learner: Learner, course: Course, at: datetime) -> list[tuple[str, dict[str, object]]]:
    """Tables and rows as the damage leaves them: the progress is lost, what the learner has consumed is still there."""
    enrolment: dict[str, object] = {
        "userid": learner.user,
        "courseid": course.identifier,
        "batchid": BATCH,
        "progress": 0,
        "status": int(Status.NOT_STARTED),
        "contentstatus": {},
        "datetime": at,
    }
    activities = [course.identifier, *(unit.identifier for unit in course.units)]
    return [("user_enrolments", enrolment)] + [
        (
            "user_activity_agg",
            {
                "activity_type": "Course",
                "activity_id": activity,
                "user_id": learner.user,
                "context_id": f"cb:{BATCH}",
                "aggregates": {"completedCount": 0.0},
                "agg_last_updated": {"completedCount": at.isoformat(timespec="milliseconds")},
            },
        )
        for activity in activities
    ]


def repair(learner: Learner, course: Course, at: datetime) -> bytes:
    """What the course service sends when a learner says that the progress shown is wrong."""
    edata = {
        "action": "user-enrolment-sync",
        "iteration": 1,
        "userId": learner.user,
        "courseId": course.identifier,
        "batchId": BATCH,
    }
    return request("Course Batch Updater", f"{BATCH}_{learner.user}", "CourseBatchEnrolment", edata, at)
