"""Learners who take assessments: what is stored of their attempts, and what is told."""

from collections.abc import Mapping
from decimal import Decimal

from tests.conformance.events import Learner
from tests.conformance.servers import AGGREGATES, ASSESSMENTS, Json, unique
from tests.conformance.site import Site, plain

START = 1672931045000
"""Jan 05, 2023, 3:04:05 PM, UTC."""


def new_learner() -> Learner:
    """A learner in a course that nobody has published."""
    return Learner(unique("user"), unique("do"), unique("batch"))


def attempt_key(learner: Learner) -> dict[str, str]:
    """What all attempts of an enrolment have in common."""
    return {"user_id": learner.user, "course_id": learner.course, "batch_id": learner.batch}


def attempts(site: Site, learner: Learner) -> dict[tuple[str, str], Json]:
    """The whole rows, by content and attempt; questions as dicts."""
    rows = site.rows(ASSESSMENTS, **attempt_key(learner))
    return {(row["content_id"], row["attempt_id"]): row | {"question": questions(row)} for row in rows}


def questions(row: Json) -> list[Json]:
    """The questions of a row by the names of their fields."""
    found = []
    for question in row["question"] or ():
        fields = {name: plain(value) for name, value in question._asdict().items()}
        for name in ("resvalues", "params"):
            fields[name] = [dict(each) for each in fields[name] or ()]
        assert isinstance(fields["duration"], Decimal)
        found.append(fields)
    return found


def totals(site: Site, learner: Learner) -> dict[tuple[str, str], str]:
    """The grand total of each attempt."""
    return {which: row["grand_total"] for which, row in attempts(site, learner).items()}


def aggregate(site: Site, learner: Learner) -> Json | None:
    """The learner's aggregates in the course."""
    key = {"activity_type": "Course", "activity_id": learner.course, "user_id": learner.user}
    rows = site.rows(AGGREGATES, **key, context_id=f"cb:{learner.batch}")
    return rows[0] if rows else None


def scores(site: Site, learner: Learner) -> Mapping[str, float]:
    """The map of aggregates."""
    row = aggregate(site, learner)
    return row["aggregates"] if row else {}


def told(site: Site, learner: Learner) -> list[str]:
    """The attempts that certificate requests name, in the order in which they were sent."""
    return [message.value["edata"]["attemptId"] for message in site.certificate_requests(learner.user)]
