"""The settings as the rest of the program sees them: typed, complete, resolved.

How they get here (defaults, HOCON files, environment, `--set`) is the business of the other modules of this package.
"""

from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path


class Profile(StrEnum):
    """Where topics and tables are: in one SQLite file, or on Kafka, Cassandra and Redis."""

    EMBEDDED = "embedded"
    CONNECTED = "connected"


@dataclass(frozen=True, slots=True)
class Tls:
    """How a connection is encrypted; all paths are PEM files."""

    enabled: bool = False
    ca: Path | None = None
    certificate: Path | None = None
    key: Path | None = None


@dataclass(frozen=True, slots=True)
class KafkaSettings:
    """One Kafka cluster (`kafka.*`)."""

    brokers: str
    transactional: bool = True
    sasl_mechanism: str | None = None
    sasl_username: str | None = None
    sasl_password: str | None = field(default=None, repr=False)
    tls: Tls = Tls()


@dataclass(frozen=True, slots=True)
class CassandraSettings:
    """One Cassandra cluster (`lms-cassandra.*`), whatever keyspaces are used on it."""

    hosts: tuple[str, ...]
    port: int = 9042
    local_datacenter: str | None = None
    username: str | None = None
    password: str | None = field(default=None, repr=False)
    tls: Tls = Tls()


@dataclass(frozen=True, slots=True)
class Tables:
    """Where the rows are, each as `keyspace.table`."""

    content_consumption: str = "sunbird_courses.user_content_consumption"
    user_enrolments: str = "sunbird_courses.user_enrolments"
    user_activity_agg: str = "sunbird_courses.user_activity_agg"
    assessment_aggregator: str = "sunbird_courses.assessment_aggregator"
    question: str = "sunbird_courses.question"
    """A type, not a table: one answered question."""
    content_hierarchy: str = "dev_hierarchy_store.content_hierarchy"


@dataclass(frozen=True, slots=True)
class RedisSettings:
    """One database of one Redis server."""

    host: str
    port: int = 6379
    database: int = 0
    username: str | None = None
    password: str | None = field(default=None, repr=False)
    tls: Tls = Tls()


@dataclass(frozen=True, slots=True)
class RedisDatabases:
    """The Redis databases by what they hold (they are often on different servers)."""

    relations: RedisSettings
    collections: RedisSettings
    marks: RedisSettings
    enrolments: RedisSettings | None = None
    """The course service's lists of enrolments; None: not configured, left alone."""


@dataclass(frozen=True, slots=True)
class Topics:
    """The topics of one job; empty where the job has no such output."""

    input: str
    failed: str
    audit: str = ""
    certificate_requests: str = ""
    enrolment_syncs: str = ""


@dataclass(frozen=True, slots=True)
class BatchSettings:
    """When a batch is handled (`threshold.batch.*`)."""

    read_size: int = 1000
    """So many waiting messages are handled without waiting for more."""
    read_interval: float = 1.0
    """Seconds after which an unfilled batch is handled."""
    write_size: int = 10
    """Rows of one table that are sent to Cassandra in one statement batch."""


@dataclass(frozen=True, slots=True)
class ActivitySettings:
    """The switches of the progress rules (`activity.*`, `dedup-redis.database.expiry`)."""

    module_aggregates: bool = True
    input_dedup: bool = True
    filter_processed_enrolments: bool = True
    collection_status_expiry: int = 3600
    mark_expiry: int = 604800


@dataclass(frozen=True, slots=True)
class AssessmentSettings:
    """How attempts become scores."""

    skip_missing_records: bool = False
    """An attempt with more answers than its assessment has questions fails."""
    detail_type: str = "attempt_metrics"
    content_read_api: str | None = None
    """URL to which the id of a content is appended; None: what the cache does not know is unknown."""


@dataclass(frozen=True, slots=True)
class EmbeddedSettings:
    """The SQLite file of the embedded profile (`embedded.*`)."""

    file: Path = Path("lern.db")
    partitions: int = 4
    retention_days: float = 30.0


@dataclass(frozen=True, slots=True)
class JobSettings:
    """All settings of one job."""

    job: str
    env: str
    profile: Profile
    group: str
    """The Kafka consumer group, and the name under which the embedded log keeps the job's offsets."""
    topics: Topics
    kafka: KafkaSettings | None
    cassandra: CassandraSettings | None
    redis: RedisDatabases | None
    tables: Tables = Tables()
    batch: BatchSettings = BatchSettings()
    activity: ActivitySettings = ActivitySettings()
    assessment: AssessmentSettings = AssessmentSettings()
    embedded: EmbeddedSettings = EmbeddedSettings()
    threads: int = 1
    """Consumers of the job in one connected process, each on a thread of its own."""
    search_base: str | None = None
    """Base URL of the search service (`service.search.basePath`); None: the status of a collection is unknown."""
