"""Courses and learners as the other services have left them, before the jobs come."""

import hashlib
from collections.abc import Collection, Mapping, Sequence
from typing import Any, cast

from tests.conformance.events import Learner
from tests.conformance.servers import (
    AGGREGATES,
    CONSUMPTION,
    ENROLMENTS,
    MARKS,
    RELATION_CACHE,
    Json,
    unique,
)
from tests.conformance.site import Site


def cached_course(
    site: Site, units: Mapping[str, Sequence[str]], optional: Collection[str] = (), course: str | None = None
) -> str:
    """A course of units with their contents, as published to the relation cache. Returns its id."""
    course = course or unique("do")
    pipe = site.servers.redis(RELATION_CACHE).pipeline()
    above: dict[str, set[str]] = {}
    for unit, contents in units.items():
        _add(pipe, f"{course}:{unit}:leafnodes", contents)
        _add(pipe, f"{course}:{unit}:optionalnodes", set(contents) & set(optional))
        for content in contents:
            above.setdefault(content, {course}).add(unit)
    for content, ancestors in above.items():
        _add(pipe, f"{course}:{content}:ancestors", ancestors)
    _add(pipe, f"{course}:{course}:leafnodes", above)
    _add(pipe, f"{course}:{course}:optionalnodes", optional)
    pipe.execute()
    return course


def _add(pipe: Any, key: str, members: Collection[str]) -> None:
    if members:
        pipe.sadd(key, *members)


def enrol(site: Site, course: str, **columns: object) -> Learner:
    """A new learner, enrolled in a new batch of the course."""
    learner = Learner(unique("user"), course, unique("batch"))
    site.put(ENROLMENTS, enrolment_key(learner) | {"active": True, "status": 0, "progress": 0} | columns)
    return learner


def enrolment_key(learner: Learner) -> dict[str, object]:
    """The key of a learner's enrolment, and the first part of that of what is consumed."""
    return {"userid": learner.user, "courseid": learner.course, "batchid": learner.batch}


def has_consumed(site: Site, learner: Learner, content: str, **columns: object) -> None:
    """A row of the learner's consumption, as another service or an earlier event has left it."""
    site.put(CONSUMPTION, enrolment_key(learner) | {"contentid": content} | columns)


def consumption(site: Site, learner: Learner) -> dict[str, tuple[int | None, int | None, int | None]]:
    """Status, view count and completed count of each content that has a row."""
    return {
        row["contentid"]: (row["status"], row["viewcount"], row["completedcount"])
        for row in consumption_rows(site, learner).values()
    }


def consumption_rows(site: Site, learner: Learner) -> dict[str, Json]:
    """The whole rows by content."""
    rows = site.rows(CONSUMPTION, userid=learner.user, courseid=learner.course, batchid=learner.batch)
    return {row["contentid"]: row for row in rows}


def enrolment(site: Site, learner: Learner) -> Json | None:
    """The row of the enrolment."""
    rows = site.rows(ENROLMENTS, userid=learner.user, courseid=learner.course, batchid=learner.batch)
    return rows[0] if rows else None


def aggregate(site: Site, learner: Learner, activity: str) -> Json | None:
    """The row of a learner's aggregates of a course or unit."""
    rows = site.rows(
        AGGREGATES,
        activity_type="Course",
        activity_id=activity,
        user_id=learner.user,
        context_id=f"cb:{learner.batch}",
    )
    return rows[0] if rows else None


def completed_counts(site: Site, learner: Learner, *activities: str) -> dict[str, float]:
    """`completedCount` of those activities that have one."""
    rows = {activity: aggregate(site, learner, activity) for activity in activities}
    return {name: row["aggregates"]["completedCount"] for name, row in rows.items() if row}


def mark(learner: Learner, content: str) -> str:
    """The key under which it is remembered that a completion was handled."""
    text = f"{learner.course}|{learner.batch}|{learner.user}|{content}|2"
    return hashlib.md5(text.encode(), usedforsecurity=False).hexdigest().upper()


def marks(site: Site, learner: Learner, *contents: str) -> set[str]:
    """Those of the contents that have a mark."""
    values = site.servers.redis(MARKS).mget([mark(learner, content) for content in contents])
    return {
        c for c, value in zip(contents, cast("list[str | None]", values), strict=True) if value is not None
    }
