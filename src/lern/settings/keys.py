"""Every setting that means something: one table (those of servers are in `lern.settings.server_keys`).

`lern settings docs`, the checks of files and the environment, and the resolved settings all come from here. A key stands
here only when the engine acts on it; deployed keys without a meaning here are in `lern.settings.ignored`.
"""

from collections.abc import Mapping
from types import MappingProxyType

from lern.settings.key import ONLY_ACTIVITY, ONLY_ASSESSMENT, PROGRESS, ROWS, Key
from lern.settings.server_keys import CASSANDRA, KAFKA, REDIS
from lern.settings.values import Kind

_GENERAL = (
    Key(
        "job.env",
        Kind.WORD,
        "dev",
        "The installation's name: the first part of topics, groups and some keyspaces.",
    ),
)

_BATCHES = (
    Key(
        "threshold.batch.read.size",
        Kind.COUNT,
        "1000",
        "So many waiting events are handled at once; more, up to a thousand, if they are there.",
    ),
    Key(
        "threshold.batch.read.interval",
        Kind.SECONDS,
        "1",
        "Seconds after which a batch is handled though it is not full; may be a fraction. Progress is shown that much later.",
    ),
    Key(
        "threshold.batch.write.size",
        Kind.COUNT,
        "10",
        "Rows of one table that go to Cassandra in one statement batch.",
        jobs=ROWS,
    ),
)

_ENGINE = (
    Key(
        "engine.threads",
        Kind.COUNT,
        "1",
        "Connected: consumers of the job in one process; while one waits for a server, another works.",
    ),
)

_PROGRESS = (
    Key(
        "activity.module.aggs.enabled",
        Kind.BOOLEAN,
        "true",
        "Progress is computed for the units of a course too.",
        jobs=PROGRESS,
    ),
    Key(
        "activity.input.dedup.enabled",
        Kind.BOOLEAN,
        "true",
        "A content completion that was handled before is dropped.",
        jobs=ONLY_ACTIVITY,
    ),
    Key(
        "activity.filter.processed.enrolments",
        Kind.BOOLEAN,
        "true",
        "Enrolments that do not exist or are completed are left alone.",
        jobs=PROGRESS,
    ),
    Key(
        "activity.collection.status.cache.expiry",
        Kind.COUNT,
        "3600",
        "Seconds for which the status of a collection is remembered.",
        jobs=PROGRESS,
    ),
    Key(
        "service.search.basePath",
        Kind.URL,
        None,
        "The search service, asked for the status of a course without leaf nodes; unset: the status is unknown.",
        jobs=PROGRESS,
        optional=True,
    ),
)

_ASSESSMENTS = (
    Key(
        "assessment.skip.missingRecords",
        Kind.BOOLEAN,
        "false",
        "An attempt with more answers than its assessment has questions fails.",
        jobs=ONLY_ASSESSMENT,
    ),
    Key(
        "user.activity.agg.type",
        Kind.WORD,
        "attempt_metrics",
        "What each attempt in `agg_details` says its type is.",
        jobs=ONLY_ASSESSMENT,
    ),
    Key(
        "content.read.api",
        Kind.URL,
        None,
        "The content service's read API, the content's id appended: asked for the number of questions that the cache "
        "does not have; unset: unknown.",
        jobs=ONLY_ASSESSMENT,
        optional=True,
    ),
)

_EMBEDDED = (
    Key("embedded.file", Kind.PATH, "lern.db", "The SQLite file of the embedded profile."),
    Key("embedded.partitions", Kind.COUNT, "4", "Partitions of a topic in that file."),
    Key("embedded.retention.days", Kind.DAYS, "30", "Days for which handled events stay in that file."),
)

GROUPS: Mapping[str, tuple[Key, ...]] = MappingProxyType(
    {
        "The installation": _GENERAL,
        "Kafka": KAFKA,
        "Cassandra": CASSANDRA,
        "Redis": REDIS,
        "Engine": _ENGINE,
        "Batches": _BATCHES,
        "Progress rules": _PROGRESS,
        "Assessments": _ASSESSMENTS,
        "Embedded": _EMBEDDED,
    }
)
"""All keys, by subject."""

KEYS: tuple[Key, ...] = tuple(key for group in GROUPS.values() for key in group)

BY_SPELLING: Mapping[str, Key] = MappingProxyType(
    {spelling: key for key in KEYS for spelling in key.spellings}
)
"""Each key under its name and its aliases."""
