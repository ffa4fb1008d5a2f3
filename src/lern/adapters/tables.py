"""The tables of an installation, once: CQL and SQLite definitions are both derived from these (contracts, Cassandra).

A real installation may have more columns than are listed, or lack the newer ones.
"""

from dataclasses import dataclass
from enum import StrEnum


class Keyspace(StrEnum):
    """What a keyspace is for; its name comes from the settings."""

    COURSES = "courses"
    HIERARCHY = "hierarchy"
    REGISTRY = "registry"


@dataclass(frozen=True, slots=True)
class Table:
    """One table: columns map names to CQL types; the key columns are a prefix of them."""

    name: str
    keyspace: Keyspace
    partition_key: tuple[str, ...]
    clustering: tuple[str, ...]
    columns: dict[str, str]
    other_key: tuple[tuple[str, ...], tuple[str, ...]] | None = None
    """Partition key and clustering that some installations have instead."""

    @property
    def primary_key(self) -> tuple[str, ...]:
        """All key columns, in order."""
        return self.partition_key + self.clustering


CONTENT_CONSUMPTION = Table(
    "user_content_consumption",
    Keyspace.COURSES,
    ("userid",),
    ("courseid", "batchid", "contentid"),
    {
        "userid": "text",
        "courseid": "text",
        "batchid": "text",
        "contentid": "text",
        "completedcount": "int",
        "completionpercentage": "float",
        "datetime": "timestamp",
        "last_access_time": "timestamp",
        "last_completed_time": "timestamp",
        "last_updated_time": "timestamp",
        "lastaccesstime": "text",
        "lastcompletedtime": "text",
        "lastupdatedtime": "text",
        "progress": "int",
        "progressdetails": "text",
        "status": "int",
        "viewcount": "int",
    },
)

USER_ENROLMENTS = Table(
    "user_enrolments",
    Keyspace.COURSES,
    ("userid",),
    ("courseid", "batchid"),
    {
        "userid": "text",
        "courseid": "text",
        "batchid": "text",
        "active": "boolean",
        "addedby": "text",
        "certificates": "list<frozen<map<text, text>>>",
        "certstatus": "int",
        "completedon": "timestamp",
        "completionpercentage": "int",
        "contentstatus": "map<text, int>",
        "datetime": "timestamp",
        "enrolled_date": "timestamp",
        "enrolleddate": "text",
        "issued_certificates": "list<frozen<map<text, text>>>",
        "lastcontentaccesstime": "timestamp",
        "lastreadcontentid": "text",
        "lastreadcontentstatus": "int",
        "progress": "int",
        "status": "int",
    },
)

USER_ACTIVITY_AGG = Table(
    "user_activity_agg",
    Keyspace.COURSES,
    ("activity_type", "activity_id", "user_id"),
    ("context_id",),
    {
        "activity_type": "text",
        "activity_id": "text",
        "user_id": "text",
        "context_id": "text",
        "agg": "map<text, int>",
        "agg_details": "list<text>",
        "agg_last_updated": "map<text, timestamp>",
        "aggregates": "map<text, double>",
    },
)

QUESTION: dict[str, str] = {
    "id": "text",
    "assess_ts": "timestamp",
    "max_score": "double",
    "score": "double",
    "type": "text",
    "title": "text",
    "resvalues": "list<frozen<map<text, text>>>",
    "params": "list<frozen<map<text, text>>>",
    "description": "text",
    "duration": "decimal",
}
"""The fields of the type `question`; in YugabyteDB the lists are `frozen<list<...>>`."""

ASSESSMENT_AGGREGATOR = Table(
    "assessment_aggregator",
    Keyspace.COURSES,
    ("user_id", "course_id"),
    ("batch_id", "content_id", "attempt_id"),
    {
        "user_id": "text",
        "course_id": "text",
        "batch_id": "text",
        "content_id": "text",
        "attempt_id": "text",
        "created_on": "timestamp",
        "grand_total": "text",
        "last_attempted_on": "timestamp",
        "question": "list<frozen<question>>",
        "total_max_score": "double",
        "total_score": "double",
        "updated_on": "timestamp",
    },
    other_key=(("course_id",), ("batch_id", "user_id", "content_id", "attempt_id")),
)

CONTENT_HIERARCHY = Table(
    "content_hierarchy",
    Keyspace.HIERARCHY,
    ("identifier",),
    (),
    {"identifier": "text", "hierarchy": "text", "relational_metadata": "text"},
)

TABLES = (
    CONTENT_CONSUMPTION,
    USER_ENROLMENTS,
    USER_ACTIVITY_AGG,
    ASSESSMENT_AGGREGATOR,
    CONTENT_HIERARCHY,
)
"""Those that the jobs of this version use."""
