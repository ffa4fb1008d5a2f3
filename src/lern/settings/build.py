"""Puts checked values into the typed settings."""

from pathlib import Path
from typing import TypeVar

from lern.settings.key import ASSESSMENT, RELATIONS
from lern.settings.keys import BY_SPELLING
from lern.settings.model import (
    ActivitySettings,
    AssessmentSettings,
    BatchSettings,
    CassandraSettings,
    EmbeddedSettings,
    JobSettings,
    KafkaSettings,
    Profile,
    RedisDatabases,
    RedisSettings,
    Tables,
    Tls,
    Topics,
)
from lern.settings.resolve import Values

T = TypeVar("T")


def build(job: str, profile: Profile, values: Values) -> JobSettings:
    """The settings of `job` from values that `lern.settings.resolve.check` found no problem with."""
    connected = profile is Profile.CONNECTED
    search = _maybe(values, "service.search.basePath", str)
    return JobSettings(
        job=job,
        env=_one(values, "job.env", str),
        profile=profile,
        group=_one(values, "kafka.groupId", str),
        topics=_topics(job, values),
        kafka=_kafka(values) if connected else None,
        cassandra=_cassandra(values) if connected else None,
        redis=_redis(job, values) if connected else None,
        tables=_tables(job, values),
        batch=BatchSettings(
            read_size=_one(values, "threshold.batch.read.size", int),
            read_interval=_one(values, "threshold.batch.read.interval", float),
            write_size=_one(values, "threshold.batch.write.size", int),
        ),
        activity=ActivitySettings(
            module_aggregates=_one(values, "activity.module.aggs.enabled", bool),
            input_dedup=_one(values, "activity.input.dedup.enabled", bool),
            filter_processed_enrolments=_one(values, "activity.filter.processed.enrolments", bool),
            collection_status_expiry=_one(values, "activity.collection.status.cache.expiry", int),
            mark_expiry=_one(values, "dedup-redis.database.expiry", int),
        ),
        assessment=AssessmentSettings(
            skip_missing_records=_one(values, "assessment.skip.missingRecords", bool),
            detail_type=_one(values, "user.activity.agg.type", str),
            content_read_api=_maybe(values, "content.read.api", str),
        ),
        embedded=EmbeddedSettings(
            file=_one(values, "embedded.file", Path),
            partitions=_one(values, "embedded.partitions", int),
            retention_days=_one(values, "embedded.retention.days", float),
        ),
        search_base=search,
        threads=_one(values, "engine.threads", int),
    )


def _topics(job: str, values: Values) -> Topics:
    def output(name: str) -> str:
        return _one(values, name, str) if job in BY_SPELLING[name].jobs else ""

    return Topics(
        input=_one(values, "kafka.input.topic", str),
        failed=_one(values, "kafka.output.failed.topic", str),
        audit=output("kafka.audit.topic"),
        certificate_requests=output("kafka.certissue.topic"),
        enrolment_syncs=output("kafka.output.course.batch.updater.topic"),
    )


def _kafka(values: Values) -> KafkaSettings:
    protocol = _one(values, "kafka.security.protocol", str)
    sasl = protocol.startswith("SASL")
    return KafkaSettings(
        brokers=_one(values, "kafka.broker-servers", str),
        transactional=_one(values, "kafka.transactions.enabled", bool),
        sasl_mechanism=_one(values, "kafka.sasl.mechanism", str) if sasl else None,
        sasl_username=_maybe(values, "kafka.sasl.username", str) if sasl else None,
        sasl_password=_maybe(values, "kafka.sasl.password", str) if sasl else None,
        tls=_tls(values, "kafka", enabled="SSL" in protocol),
    )


def _cassandra(values: Values) -> CassandraSettings:
    return CassandraSettings(
        hosts=_one(values, "lms-cassandra.host", tuple),
        port=_one(values, "lms-cassandra.port", int),
        local_datacenter=_maybe(values, "lms-cassandra.local-datacenter", str),
        username=_maybe(values, "lms-cassandra.username", str),
        password=_maybe(values, "lms-cassandra.password", str),
        tls=_tls(values, "lms-cassandra", enabled=_one(values, "lms-cassandra.ssl.enabled", bool)),
    )


def _tables(job: str, values: Values) -> Tables:
    def table(keyspace: str, name: str) -> str:
        return f"{_one(values, keyspace, str)}.{_one(values, name, str)}"

    if job == RELATIONS:
        return Tables(content_hierarchy=table("lms-cassandra.keyspace", "lms-cassandra.table"))
    if job == ASSESSMENT:
        return Tables(
            user_activity_agg=table("lms-cassandra.keyspace", "lms-cassandra.activityytable"),
            assessment_aggregator=table("lms-cassandra.keyspace", "lms-cassandra.table"),
            question=table("lms-cassandra.keyspace", "lms-cassandra.questionudttype"),
        )
    return Tables(
        content_consumption=table("lms-cassandra.keyspace", "lms-cassandra.content_consumption.table"),
        user_enrolments=table("lms-cassandra.keyspace", "lms-cassandra.user_enrolments.table"),
        user_activity_agg=table("lms-cassandra.keyspace", "lms-cassandra.user_activity_agg.table"),
        assessment_aggregator=table("lms-cassandra.keyspace", "lms-cassandra.assessment_aggregator.table"),
        content_hierarchy=table("lms-cassandra.hierarchy.keyspace", "lms-cassandra.hierarchy.table"),
    )


def _redis(job: str, values: Values) -> RedisDatabases:
    relations = "redis.database.index" if job == RELATIONS else "redis.database.relationCache.id"
    contents = "redis.database.contentCache.id" if job == ASSESSMENT else "dp-redis.database.index"
    enrolments = _maybe(values, "redis.enrolments.cache.index", int)
    return RedisDatabases(
        relations=_database(values, "redis", _one(values, relations, int)),
        collections=_database(values, "dp-redis", _one(values, contents, int)),
        marks=_database(values, "dedup-redis", _one(values, "dedup-redis.database.index", int)),
        enrolments=None if enrolments is None else _database(values, "redis", enrolments),
    )


def _database(values: Values, prefix: str, index: int) -> RedisSettings:
    return RedisSettings(
        host=_one(values, f"{prefix}.host", str),
        port=_one(values, f"{prefix}.port", int),
        database=index,
        username=_maybe(values, f"{prefix}.username", str),
        password=_maybe(values, f"{prefix}.password", str),
        tls=_tls(values, prefix, enabled=_one(values, f"{prefix}.ssl.enabled", bool)),
    )


def _tls(values: Values, prefix: str, *, enabled: bool) -> Tls:
    if not enabled:
        return Tls()
    return Tls(
        enabled=True,
        ca=_maybe(values, f"{prefix}.ssl.ca", Path),
        certificate=_maybe(values, f"{prefix}.ssl.certificate", Path),
        key=_maybe(values, f"{prefix}.ssl.key", Path),
    )


def _one(values: Values, name: str, kind: type[T]) -> T:
    value = values[name]
    if not isinstance(value, kind):
        raise TypeError(f"{name} was not checked: it is no {kind.__name__}")
    return value


def _maybe(values: Values, name: str, kind: type[T]) -> T | None:
    return None if values[name] is None else _one(values, name, kind)
