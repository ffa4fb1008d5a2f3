"""Files in the shape in which installations have them today, resolved without a change to them."""

from collections.abc import Callable
from pathlib import Path

import pytest

from lern.errors import SettingsError
from lern.settings import Loaded, Profile, load

ACTIVITY = "activity-aggregate-updater"
RELATIONS = "relation-cache-updater"

BASE = """
    kafka {
      broker-servers = "10.20.0.4:9092,10.20.0.5:9092"
      zookeeper = "10.20.0.4:2181"
    }

    job {
      env = "sunbirdlern"
      enable.distributed.checkpointing = true
      statebackend {
        blob.storage { account = "lernstate", container = "checkpoints" }
        base.url = "wasbs://"${job.statebackend.blob.storage.container}"@"${job.statebackend.blob.storage.account}
      }
    }

    task {
      checkpointing.compressed = true
      checkpointing.interval = 60000
      parallelism = 1
      restart-strategy.attempts = 3
      restart-strategy.delay = 30000 # milliseconds
    }

    redis {
      host = 10.20.0.8
      port = 6379
      connection { max = 2, idle.min = 1 }
    }

    lms-cassandra {
      host = "10.20.0.11,10.20.0.12"
      port = "9042"
      isMultiDCEnabled = false
    }

    media_download_duration = "300 seconds"
"""

ACTIVITY_FILE = """
    include file("%s")

    kafka {
      input.topic = ${job.env}".coursebatch.job.request"
      output.audit.topic = ${job.env}".telemetry.raw"
      output.failed.topic = ${job.env}".activity.agg.failed"
      output.certissue.topic = ${job.env}".issue.certificate.request"
      groupId = ${job.env}"-activity-aggregate-updater-group"
    }

    task {
      window.shards = 1
      consumer.parallelism = 2
      activity.agg.parallelism = 1
    }

    lms-cassandra {
      keyspace = "sunbird_courses"
      consumption.table = "user_content_consumption"
      user_activity_agg.table = "user_activity_agg"
      user_enrolments.table = "user_enrolments"
    }

    redis {
      database { relationCache.id = 10 }
    }

    dedup-redis {
      host = ${redis.host}
      port = ${redis.port}
      database.index = 3
      database.expiry = 604800
    }

    threshold.batch.read.interval = 60 // In sec
    threshold.batch.read.size = 1
    threshold.batch.write.size = 10

    activity {
      module.aggs.enabled = true
      input.dedup.enabled = "true"
      filter.processed.enrolments = false
      collection.status.cache.expiry = 3600
    }

    service {
      search { basePath = "http://10.20.0.20/search" }
    }
"""

RELATIONS_FILE = """
    include "base-config.conf"

    kafka {
      input.topic = ${job.env}".content.postpublish.request"
      groupId = ${job.env}"-relation-cache-updater-group"
    }

    lms-cassandra {
      keyspace = "sunbirdlern_hierarchy_store"
      table = "content_hierarchy"
    }

    redis.database.index = 10

    dp-redis {
      host = 10.20.0.9
      port = 6380
      database.index = 5
    }
"""

Write = Callable[[str, str], Path]


@pytest.fixture
def both(write: Write) -> Loaded:
    """Both jobs, each from its deployed file."""
    base = write("base-config.conf", BASE)
    write(f"{ACTIVITY}.conf", ACTIVITY_FILE % base)
    write(f"{RELATIONS}.conf", RELATIONS_FILE)
    return load([ACTIVITY, RELATIONS], config_dir=base.parent, environ={})


def test_a_deployed_file_with_an_absolute_include_is_resolved_without_a_warning(both: Loaded) -> None:
    job = both.jobs[ACTIVITY]

    assert both.warnings == []
    assert job.profile is Profile.CONNECTED
    assert job.group == "sunbirdlern-activity-aggregate-updater-group"
    assert job.topics.input == "sunbirdlern.coursebatch.job.request"
    assert job.topics.audit == "sunbirdlern.telemetry.raw"
    assert job.topics.certificate_requests == "sunbirdlern.issue.certificate.request"
    assert job.topics.failed == "sunbirdlern.activity.agg.failed"
    assert job.search_base == "http://10.20.0.20/search"


def test_servers_come_from_the_included_file(both: Loaded) -> None:
    job = both.jobs[ACTIVITY]

    assert job.kafka is not None
    assert job.cassandra is not None
    assert job.redis is not None
    assert job.kafka.brokers == "10.20.0.4:9092,10.20.0.5:9092"
    assert job.cassandra.hosts == ("10.20.0.11", "10.20.0.12")
    assert job.cassandra.port == 9042
    assert (job.redis.relations.host, job.redis.relations.port, job.redis.relations.database) == (
        "10.20.0.8",
        6379,
        10,
    )
    assert (job.redis.marks.host, job.redis.marks.database) == ("10.20.0.8", 3)
    assert job.redis.enrolments is None


def test_batches_and_switches_are_read_whatever_they_are_written_as(both: Loaded) -> None:
    job = both.jobs[ACTIVITY]

    assert (job.batch.read_size, job.batch.read_interval, job.batch.write_size) == (1, 60.0, 10)
    assert job.activity.input_dedup is True
    assert job.activity.filter_processed_enrolments is False
    assert job.activity.mark_expiry == 604800


def test_the_publish_job_has_its_own_keyspace_and_a_second_redis(both: Loaded) -> None:
    job = both.jobs[RELATIONS]

    assert job.redis is not None
    assert job.tables.content_hierarchy == "sunbirdlern_hierarchy_store.content_hierarchy"
    assert job.topics.failed == "sunbirdlern.content.postpublish.failed"
    assert (job.redis.relations.host, job.redis.relations.database) == ("10.20.0.8", 10)
    assert (job.redis.collections.host, job.redis.collections.port, job.redis.collections.database) == (
        "10.20.0.9",
        6380,
        5,
    )


def test_an_origin_names_file_and_line_and_the_spelling_that_was_used(both: Loaded, tmp_path: Path) -> None:
    origins = {origin.key: (origin.value, origin.source) for origin in both.origins[ACTIVITY]}

    file = tmp_path / f"{ACTIVITY}.conf"
    assert origins["kafka.groupId"] == ("sunbirdlern-activity-aggregate-updater-group", f"{file}:8")
    assert origins["kafka.audit.topic"] == (
        "sunbirdlern.telemetry.raw",
        f"{file}:5 (as kafka.output.audit.topic)",
    )
    assert origins["redis.host"] == ("10.20.0.8", f"{tmp_path / 'base-config.conf'}:24")
    assert origins["embedded.file"] == ("lern.db", "default")


def test_the_collection_cache_is_on_redis_meta_where_there_is_no_dp_redis(write: Write) -> None:
    file = write(
        f"{RELATIONS}.conf",
        """
        kafka.broker-servers = "k:9092"
        lms-cassandra.host = c
        redis { host = relations }
        redis-meta { host = content, port = 6381 }
        """,
    )

    redis = load([RELATIONS], config=file, environ={}).jobs[RELATIONS].redis

    assert redis is not None
    assert (redis.relations.host, redis.relations.port) == ("relations", 6379)
    assert (redis.collections.host, redis.collections.port) == ("content", 6381)


def test_a_missing_include_is_a_warning_as_long_as_nothing_in_it_is_needed(write: Write) -> None:
    file = write("a.conf", 'include "base-config.conf"\njob.env = "x"\n')

    loaded = load([ACTIVITY], config=file, environ={})

    assert loaded.warnings == [
        f'{file}:1: include "base-config.conf": there is no such file, nothing is included'
    ]
    assert loaded.jobs[ACTIVITY].topics.input == "x.coursebatch.job.request"


def test_what_a_missing_include_should_have_defined_is_an_error_that_names_the_include(write: Write) -> None:
    file = write("a.conf", '\ninclude file("/no/base-config.conf")\nkafka.input.topic = ${job.env}".x"\n')

    with pytest.raises(SettingsError) as raised:
        load([ACTIVITY], config=file, environ={})

    assert str(raised.value) == (
        f"{file}:2: kafka.input.topic needs ${{job.env}}, which is not defined; "
        f'not found: include "/no/base-config.conf" ({file}:1)'
    )


def test_environment_variables_fill_substitutions_and_unset_optional_ones_change_nothing(
    write: Write,
) -> None:
    file = write(
        "a.conf",
        """
        kafka.broker-servers = ${BROKERS}
        lms-cassandra.host = "one"
        lms-cassandra.host = ${?CASSANDRA_HOST}
        lms-cassandra.host = ${?CASSANDRA_HOSTS}
        redis { host = "two" }
        redis { host = ${?REDIS_HOST}, port = ${?REDIS_PORT} }
        """,
    )

    job = load([ACTIVITY], config=file, environ={"BROKERS": "k:9092", "REDIS_HOST": "three"}).jobs[ACTIVITY]

    assert job.kafka is not None
    assert job.cassandra is not None
    assert job.redis is not None
    assert job.kafka.brokers == "k:9092"
    assert job.cassandra.hosts == ("one",)
    assert (job.redis.relations.host, job.redis.relations.port) == ("three", 6379)


def test_a_whole_object_can_be_taken_over_and_changed(write: Write) -> None:
    file = write(
        "a.conf",
        """
        kafka.broker-servers = "k:9092"
        lms-cassandra.host = c
        redis { host = h, port = 7000 }
        dedup-redis = ${redis} { database.index = 12 }
        dedup-redis.port = 7001
        """,
    )

    redis = load([ACTIVITY], config=file, environ={}).jobs[ACTIVITY].redis

    assert redis is not None
    assert (redis.marks.host, redis.marks.port, redis.marks.database) == ("h", 7001, 12)
