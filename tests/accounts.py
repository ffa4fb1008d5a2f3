"""Whole rows of two learners' accounts in memory, and merges of them."""

from datetime import UTC, datetime
from typing import Any

from tests.events import context, merge, records
from tests.fakes import KEYS, Tables, Topic, platform, turn

from lern.domain.model import Row
from lern.engines.turn import Plan
from lern.jobs import merge_user_courses
from lern.settings.model import JobSettings

CONSUMPTION, ENROLMENTS = "user_content_consumption", "user_enrolments"
ATTEMPTS, AGGREGATES = "assessment_aggregator", "user_activity_agg"

EARLIER = datetime(2022, 2, 21, 5, 54, 43, 853000, UTC)
LATER = datetime(2023, 5, 9, 10, 38, 57, 232000, UTC)


def consumed(
    user: str, content: str = "do_1", course: str = "course_1", batch: str = "batch_1", **columns: Any
) -> Row:
    """A row of `user_content_consumption`."""
    return {"userid": user, "courseid": course, "batchid": batch, "contentid": content, **columns}


def enrolled(user: str, course: str = "course_1", batch: str = "batch_1", **columns: Any) -> Row:
    """A row of `user_enrolments`."""
    return {"userid": user, "courseid": course, "batchid": batch, **columns}


def attempt(user: str, attempt_id: str, content: str = "do_1", **columns: Any) -> Row:
    """A row of `assessment_aggregator`."""
    key = {"user_id": user, "course_id": "course_1", "batch_id": "batch_1"}
    return {**key, "content_id": content, "attempt_id": attempt_id, **columns}


def aggregate(user: str, activity: str = "course_1", batch: str = "batch_1", **columns: Any) -> Row:
    """A row of `user_activity_agg`."""
    key = {"activity_type": "Course", "activity_id": activity, "user_id": user, "context_id": f"cb:{batch}"}
    return {**key, **columns}


def of(**rows: list[Row]) -> Tables:
    """Tables that hold these rows, by the names of the tables."""
    tables = Tables()
    for table, its in rows.items():
        tables.rows[table] = {tuple(row[column] for column in KEYS[table]): row for row in its}
    return tables


def merged(
    tables: Tables, *pairs: tuple[str, str], settings: JobSettings | None = None
) -> tuple[list[Plan], Topic]:
    """Merges one account into the other, pair after pair, each in a turn of its own."""
    topic = Topic()
    plans = [
        turn(
            merge_user_courses.JOB, records([merge(*pair)], first), platform(tables, topic), context(settings)
        )
        for first, pair in enumerate(pairs)
    ]
    return plans, topic


def row(tables: Tables, table: str, *key: str) -> Row:
    """The one row whose key begins like that, without the key."""
    [found] = tables.whole(table, *key)
    return {column: value for column, value in found.items() if column not in KEYS[table]}


def counts(tables: Tables, user: str) -> dict[tuple[str, ...], tuple[int, int]]:
    """Views and completions of all that a learner has consumed."""
    return {
        (one["courseid"], one["batchid"], one["contentid"]): (
            one.get("viewcount", 0),
            one.get("completedcount", 0),
        )
        for one in tables.whole(CONSUMPTION, user)
    }
