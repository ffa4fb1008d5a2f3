"""Two accounts of one person become one: what was begun with the old one goes on with the new one."""

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple

from lern.demo.course import Course
from lern.demo.learners import Learner, weeks
from lern.demo.messages import request
from lern.domain.model import Status

WEEK = 10
"""The week in which accounts are merged: the new one has been studying for some time, and the old one has not."""

_OLD, _NEW = "drops out", "late starter"


class Merge(NamedTuple):
    """The learner whose account goes, and the one who stays."""

    old: Learner
    new: Learner


def merge_of(learners: Sequence[Learner]) -> Merge | None:
    """The pair that turns out to be one person: who dropped out, and came back late; None in a demo without such two."""
    old = next((one for one in learners if one.pace.name == _OLD), None)
    new = next((one for one in learners if one.pace.name == _NEW), None)
    return Merge(old, new) if old and new else None


def done_with_the_old(seed: int, merge: Merge, course: Course) -> frozenset[str]:
    """What was completed with the old account, and need not be done again with the new one."""
    return frozenset(
        content
        for studies in weeks(seed, merge.old, course)
        for study in studies
        for content, status in study.contents
        if status is Status.COMPLETED
    )


def merged(merge: Merge, at: datetime) -> bytes:
    """What the user service sends when somebody has merged two accounts."""
    edata = {
        "action": "merge-user-courses-and-cert",
        "iteration": 1,
        "fromAccountId": merge.old.user,
        "toAccountId": merge.new.user,
        "rootOrgId": "0126796199493140480",
    }
    return request("Merge User Courses", merge.new.user, "MergeUserCourses", edata, at)
