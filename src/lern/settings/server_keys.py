"""The settings of the servers: Kafka, Cassandra, Redis."""

from lern.settings.key import (
    ASSESSMENT,
    JOBS,
    MERGE,
    ONLY_ACTIVITY,
    ONLY_ASSESSMENT,
    ONLY_MERGE,
    ONLY_RELATIONS,
    PROGRESS,
    RECONCILIATION,
    RELATIONS,
    ROWS,
    Key,
    by_job,
)
from lern.settings.values import Kind

_CONTENTS = (RELATIONS, ASSESSMENT)
"""Those that use the cache of contents and collections."""

KAFKA = (
    Key(
        "kafka.broker-servers",
        Kind.BROKERS,
        None,
        "The Kafka brokers. Without it (and without `--profile`) everything runs embedded.",
        required=True,
    ),
    Key(
        "kafka.input.topic",
        Kind.WORD,
        by_job(
            relation_cache_updater="{env}.content.postpublish.request",
            activity_aggregate_updater="{env}.coursebatch.job.request",
            assessment_aggregator="{env}.telemetry.assess",
            enrolment_reconciliation="{env}.batch.enrolment.sync.request",
            merge_user_courses="{env}.lms.user.account.merge",
        ),
        "The topic that the job reads.",
    ),
    Key(
        "kafka.output.failed.topic",
        Kind.WORD,
        by_job(
            relation_cache_updater="{env}.content.postpublish.failed",
            activity_aggregate_updater="{env}.activity.agg.failed",
            assessment_aggregator="{env}.telemetry.assess.failed",
            enrolment_reconciliation="{env}.enrolment.reconciliation.failed",
            merge_user_courses="{env}.learning.events.failed",
        ),
        "The topic for events that cannot be handled, with the reason.",
        aliases=("kafka.failed.topic",),
    ),
    Key(
        "kafka.audit.topic",
        Kind.WORD,
        "{env}.telemetry.raw",
        "The topic for AUDIT telemetry.",
        jobs=PROGRESS,
        aliases=("kafka.output.audit.topic",),
    ),
    Key(
        "kafka.certissue.topic",
        Kind.WORD,
        "{env}.issue.certificate.request",
        "The topic on which a certificate is asked for when a course is completed or a score has changed.",
        jobs=(*PROGRESS, ASSESSMENT),
        aliases=("kafka.output.certissue.topic",),
    ),
    Key(
        "kafka.output.course.batch.updater.topic",
        Kind.WORD,
        "{env}.coursebatch.job.request",
        "The topic on which progress of a merged account is asked to be computed again.",
        jobs=ONLY_MERGE,
    ),
    Key(
        "kafka.groupId",
        Kind.TEXT,
        by_job(
            relation_cache_updater="{env}-relation-cache-updater-group",
            activity_aggregate_updater="{env}-activity-aggregate-updater-group",
            assessment_aggregator="{env}-assessment-aggregator-group",
            enrolment_reconciliation="{env}-enrolment-reconciliation-group",
            merge_user_courses="{env}-merge-user-courses-group",
        ),
        "The consumer group, under which offsets are kept.",
    ),
    Key(
        "kafka.transactions.enabled",
        Kind.BOOLEAN,
        "true",
        "Outputs and offsets of a batch are committed in one Kafka transaction; false for brokers or ACLs that do not allow it.",
    ),
    Key(
        "kafka.security.protocol",
        Kind.CHOICE,
        "PLAINTEXT",
        "How brokers are spoken to: with SSL in it encrypted, with SASL in it with user and password.",
        choices=("PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"),
    ),
    Key(
        "kafka.sasl.mechanism",
        Kind.CHOICE,
        "PLAIN",
        "How user and password are sent (with a SASL protocol).",
        choices=("PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"),
    ),
    Key(
        "kafka.sasl.username",
        Kind.TEXT,
        None,
        "The Kafka user (with a SASL protocol, then required).",
        optional=True,
    ),
    Key(
        "kafka.sasl.password",
        Kind.SECRET,
        None,
        "Its password (with a SASL protocol, then required).",
        optional=True,
    ),
    Key(
        "kafka.ssl.ca",
        Kind.PEM,
        None,
        "Certificates that are trusted; unset: those of the system.",
        optional=True,
    ),
    Key(
        "kafka.ssl.certificate",
        Kind.PEM,
        None,
        "The client's certificate, where brokers ask for one.",
        optional=True,
    ),
    Key("kafka.ssl.key", Kind.PEM, None, "The key of the client's certificate.", optional=True),
)

CASSANDRA = (
    Key(
        "lms-cassandra.host",
        Kind.HOSTS,
        None,
        "Contact points of Cassandra, YugabyteDB or ScyllaDB.",
        required=True,
    ),
    Key("lms-cassandra.port", Kind.PORT, "9042", "The port of all of them."),
    Key(
        "lms-cassandra.local-datacenter",
        Kind.TEXT,
        None,
        "The data centre whose nodes are asked; unset: that of the first node that answers.",
        optional=True,
    ),
    Key("lms-cassandra.username", Kind.TEXT, None, "The Cassandra user.", optional=True),
    Key("lms-cassandra.password", Kind.SECRET, None, "Its password.", optional=True),
    Key("lms-cassandra.ssl.enabled", Kind.BOOLEAN, "false", "Connections are encrypted."),
    Key("lms-cassandra.ssl.ca", Kind.PEM, None, "Certificates that are trusted.", optional=True),
    Key("lms-cassandra.ssl.certificate", Kind.PEM, None, "The client's certificate.", optional=True),
    Key("lms-cassandra.ssl.key", Kind.PEM, None, "The key of the client's certificate.", optional=True),
    Key(
        "lms-cassandra.keyspace",
        Kind.NAME,
        by_job(
            relation_cache_updater="{env}_hierarchy_store",
            activity_aggregate_updater="sunbird_courses",
            assessment_aggregator="sunbird_courses",
            enrolment_reconciliation="sunbird_courses",
            merge_user_courses="sunbird_courses",
        ),
        "The keyspace of the job's tables.",
    ),
    Key(
        "lms-cassandra.table",
        Kind.NAME,
        by_job(relation_cache_updater="content_hierarchy", assessment_aggregator="assessment_aggregator"),
        "The table of collection hierarchies; for assessment-aggregator that of attempts.",
        jobs=(RELATIONS, ASSESSMENT),
    ),
    Key(
        "lms-cassandra.assessment_aggregator.table",
        Kind.NAME,
        "assessment_aggregator",
        "The table of attempts at assessments.",
        jobs=(RECONCILIATION, MERGE),
    ),
    Key(
        "lms-cassandra.questionudttype",
        Kind.NAME,
        "question",
        "The type of an answered question in the table of attempts.",
        jobs=ONLY_ASSESSMENT,
    ),
    Key(
        "lms-cassandra.activityytable",
        Kind.NAME,
        "user_activity_agg",
        "The table of aggregates.",
        jobs=ONLY_ASSESSMENT,
        aliases=("lms-cassandra.activitytable",),
    ),
    Key(
        "lms-cassandra.content_consumption.table",
        Kind.NAME,
        "user_content_consumption",
        "The table of what learners have consumed.",
        jobs=(*PROGRESS, MERGE),
        aliases=("lms-cassandra.consumption.table",),
    ),
    Key(
        "lms-cassandra.user_enrolments.table",
        Kind.NAME,
        "user_enrolments",
        "The table of enrolments.",
        jobs=(*PROGRESS, MERGE),
    ),
    Key(
        "lms-cassandra.user_activity_agg.table",
        Kind.NAME,
        "user_activity_agg",
        "The table of aggregates.",
        jobs=(*PROGRESS, MERGE),
    ),
    Key(
        "lms-cassandra.hierarchy.keyspace",
        Kind.NAME,
        "{env}_hierarchy_store",
        "Where hierarchies are, to rebuild the leaf nodes of a course that the relation cache has lost.",
        jobs=PROGRESS,
    ),
    Key(
        "lms-cassandra.hierarchy.table",
        Kind.NAME,
        "content_hierarchy",
        "The table of hierarchies in that keyspace.",
        jobs=PROGRESS,
    ),
)


def _access(prefix: str, server: str, jobs: tuple[str, ...], base: str | None = None) -> tuple[Key, ...]:
    """User, password and TLS of one Redis server; what is not set is taken from `base`."""

    def key(name: str, kind: Kind, text: str, own: str | None = None) -> Key:
        default = f"{{{base}.{name}}}" if base else own
        return Key(f"{prefix}.{name}", kind, default, f"{text} ({server}).", jobs, optional=own is None)

    return (
        key("username", Kind.TEXT, "The Redis user"),
        key("password", Kind.SECRET, "The Redis password"),
        key("ssl.enabled", Kind.BOOLEAN, "Connections are encrypted", "false"),
        key("ssl.ca", Kind.PEM, "Certificates that are trusted"),
        key("ssl.certificate", Kind.PEM, "The client's certificate"),
        key("ssl.key", Kind.PEM, "The key of the client's certificate"),
    )


REDIS = (
    Key("redis.host", Kind.HOST, None, "The Redis server of the relation cache.", required=True),
    Key("redis.port", Kind.PORT, "6379", "Its port."),
    *_access("redis", "every server below that has none of its own", JOBS),
    Key(
        "redis.database.index",
        Kind.INDEX,
        "10",
        "The database of the relation cache: leaf nodes, optional nodes, ancestors.",
        jobs=ONLY_RELATIONS,
    ),
    Key(
        "redis.database.relationCache.id",
        Kind.INDEX,
        "10",
        "The database of the relation cache: leaf nodes, optional nodes, ancestors.",
        jobs=ROWS,
    ),
    Key(
        "redis.database.contentCache.id",
        Kind.INDEX,
        "5",
        "The database of content metadata (on `dp-redis`), where the number of an assessment's questions is looked up.",
        jobs=ONLY_ASSESSMENT,
    ),
    Key(
        "redis.enrolments.cache.index",
        Kind.INDEX,
        None,
        "The database in which the course service keeps each learner's list of enrolments (on `redis.host`); "
        "set, the learner's list is deleted when progress or enrolments change; unset, it is left alone.",
        jobs=(*PROGRESS, MERGE),
        optional=True,
    ),
    # The collection cache: `dp-redis` where the seed's table for relation-cache-updater has it (the platform's content
    # cache). Installations without `dp-redis` that run `redis-meta` keep the same data there, in the same database 5:
    # the other jobs read content metadata from `redis-meta`. Both fall back to the one Redis of small installations.
    Key(
        "redis-meta.host",
        Kind.HOST,
        "{redis.host}",
        "The Redis server of content metadata: the default of `dp-redis`.",
        _CONTENTS,
    ),
    Key("redis-meta.port", Kind.PORT, "{redis.port}", "Its port.", _CONTENTS),
    Key(
        "dp-redis.host",
        Kind.HOST,
        "{redis-meta.host}",
        "The Redis server of the collection cache.",
        _CONTENTS,
    ),
    Key("dp-redis.port", Kind.PORT, "{redis-meta.port}", "Its port.", _CONTENTS),
    Key(
        "dp-redis.database.index",
        Kind.INDEX,
        "5",
        "The database of the collection cache: the units of a course.",
        ONLY_RELATIONS,
    ),
    *_access("dp-redis", "`dp-redis`", _CONTENTS, base="redis"),
    Key(
        "dedup-redis.host",
        Kind.HOST,
        "{redis.host}",
        "The Redis server of de-duplication marks, of the journal, and of what merged counts are made of.",
        jobs=ROWS,
    ),
    Key("dedup-redis.port", Kind.PORT, "{redis.port}", "Its port.", jobs=ROWS),
    Key(
        "dedup-redis.database.index",
        Kind.INDEX,
        "13",
        "The database of de-duplication marks, of the journal, and of what merged counts are made of.",
        jobs=ROWS,
    ),
    Key(
        "dedup-redis.database.expiry",
        Kind.COUNT,
        "604800",
        "Seconds for which a content completion already handled is remembered.",
        jobs=ONLY_ACTIVITY,
    ),
    *_access("dedup-redis", "`dedup-redis`", ROWS, base="redis"),
)
