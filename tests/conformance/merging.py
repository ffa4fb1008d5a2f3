"""Rows of learners whose accounts are merged, as the platform's services leave them."""

from datetime import UTC, datetime
from typing import Any

from tests.conformance.events import Learner
from tests.conformance.learning import enrolment_key
from tests.conformance.servers import AGGREGATES, ASSESSMENTS, CONSUMPTION, ENROLMENTS, Json, unique
from tests.conformance.site import Site

EARLIER = datetime(2022, 2, 21, 5, 54, 43, 853000, tzinfo=UTC)
LATER = datetime(2023, 5, 9, 10, 38, 57, 232000, tzinfo=UTC)


def persons(*names: str) -> list[str]:
    """New ids, one for each name."""
    return [unique(name) for name in names]


def whole(site: Site, user: str, course: str, batch: str, *activities: str) -> dict[str, Any]:
    """All rows of a learner in one batch, without the learner's id; those that do not exist are missing."""
    aggregates = [
        site.rows(
            AGGREGATES,
            activity_type="Course",
            activity_id=activity,
            user_id=user,
            context_id=f"cb:{batch}",
        )
        for activity in (course, *activities)
    ]
    found = {
        CONSUMPTION: site.rows(CONSUMPTION, userid=user),
        ENROLMENTS: site.rows(ENROLMENTS, userid=user),
        ASSESSMENTS: site.rows(ASSESSMENTS, user_id=user, course_id=course, batch_id=batch),
        AGGREGATES: [row for rows in aggregates for row in rows],
    }
    return {table: [_without_learner(row) for row in rows] for table, rows in found.items()}


def _without_learner(row: Json) -> Json:
    return {column: value for column, value in row.items() if column not in {"userid", "user_id"}}


def counts(site: Site, user: str) -> dict[tuple[str, str, str], tuple[int | None, int | None]]:
    """Views and completions of all that a learner has consumed."""
    return {
        (row["courseid"], row["batchid"], row["contentid"]): (row["viewcount"], row["completedcount"])
        for row in site.rows(CONSUMPTION, userid=user)
    }


def view(site: Site, learner: Learner, content: str, views: int, completions: int = 0) -> None:
    """So many views and completions, as activity-aggregate-updater has written them."""
    site.put(
        CONSUMPTION,
        enrolment_key(learner)
        | {
            "contentid": content,
            "status": 2 if completions else 1,
            "viewcount": views,
            "completedcount": completions,
        },
    )
