"""Settings files in the shape in which installations have them."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tests.conformance.site import Site

_BASE = """\
kafka {{
  broker-servers = "{kafka}"
  zookeeper = "127.0.0.1:2181"
}}

job {{
  env = "{env}"
  enable.distributed.checkpointing = true
  statebackend {{
    blob {{
      storage {{
        account = "lernstate.blob.core.windows.net"
        container = "flink-state"
        checkpointing.dir = "flink-jobs"
      }}
    }}
    base.url = "wasbs://"${{job.statebackend.blob.storage.container}}"@"${{job.statebackend.blob.storage.account}}"/"${{job.statebackend.blob.storage.checkpointing.dir}}
  }}
}}

task {{
  parallelism = 1
  consumer.parallelism = 1
  checkpointing.compressed = true
  checkpointing.interval = 60000
  checkpointing.pause.between.seconds = 30000
  restart-strategy.attempts = 3
  restart-strategy.delay = 30000 # in milli-seconds
}}

redis {{
  host = {redis_host}
  port = {redis_port}
  connection {{
    max = 2
    min.idle = 1
  }}
}}

redis-meta {{
  host = ${{redis.host}}
  port = ${{redis.port}}
}}

lms-cassandra {{
  host = "{cassandra_host}"
  port = "{cassandra_port}"
  isMultiDCEnabled = false
}}
"""

_RELATIONS = """\
include "base-config.conf"

kafka {{
  input.topic = ${{job.env}}".content.postpublish.request"
  groupId = ${{job.env}}"-relation-cache-updater-group"
}}

task {{
  consumer.parallelism = 1
}}

lms-cassandra {{
  keyspace = "{hierarchy}"
  table = "content_hierarchy"
}}

redis {{
  database.index = 10
}}

dp-redis {{
  host = {redis_host}
  port = {redis_port}
  database.index = 5
}}

threshold.batch.read.interval = 0.2
"""

_ACTIVITY = """\
include file("{base}")

kafka {{
  input.topic = ${{job.env}}".coursebatch.job.request"
  output.audit.topic = ${{job.env}}".telemetry.raw"
  output.failed.topic = ${{job.env}}".activity.agg.failed"
  output.certissue.topic = ${{job.env}}".issue.certificate.request"
  groupId = ${{job.env}}"-activity-aggregate-updater-group"
}}

task {{
  window.shards = 1
  consumer.parallelism = 1
  dedup.parallelism = 1
  activity.agg.parallelism = 1
  enrolment.complete.parallelism = 1
}}

lms-cassandra {{
  keyspace = "{courses}"
  consumption.table = "user_content_consumption"
  user_activity_agg.table = "user_activity_agg"
  user_enrolments.table = "user_enrolments"
  hierarchy.keyspace = "{hierarchy}"
}}

redis {{
  database {{
    relationCache.id = 10
  }}
}}

dedup-redis {{
  host = ${{redis.host}}
  port = ${{redis.port}}
  database.index = 13
  database.expiry = 604800
}}

threshold.batch.read.interval = 0.2 // In sec
threshold.batch.read.size = 1000
threshold.batch.write.size = 10

activity {{
  module.aggs.enabled = true
  input.dedup.enabled = true
  filter.processed.enrolments = true
  collection.status.cache.expiry = 3600
}}
"""

_ASSESSMENT = """\
include "base-config.conf"

kafka {{
  input.topic = ${{job.env}}".telemetry.assess"
  failed.topic = ${{job.env}}".telemetry.assess.failed"
  output.certissue.topic = ${{job.env}}".issue.certificate.request"
  groupId = ${{job.env}}"-assessment-aggregator-group"
}}

task {{
  assessaggregator.parallelism = 1
  downstream.parallelism = 1
}}

lms-cassandra {{
  keyspace = "{courses}"
  table = "assessment_aggregator"
  questionudttype = "question"
  enrolmentstable = "user_enrolments"
  activitytable = "user_activity_agg"
}}

redis {{
  database {{
    relationCache.id = 10
    contentCache.id = 5
  }}
}}

assessment.skip.missingRecords = false
user.activity.agg.type = "attempt_metrics"
threshold.batch.read.interval = 0.2
"""

_RECONCILIATION = """\
include "base-config.conf"

kafka {{
  input.topic = ${{job.env}}".batch.enrolment.sync.request"
  output.audit.topic = ${{job.env}}".telemetry.raw"
  output.failed.topic = ${{job.env}}".enrolment.reconciliation.failed"
  output.certissue.topic = ${{job.env}}".issue.certificate.request"
  groupId = ${{job.env}}"-enrolment-reconciliation-group"
}}

lms-cassandra {{
  keyspace = "{courses}"
  consumption.table = "user_content_consumption"
  user_activity_agg.table = "user_activity_agg"
  user_enrolments.table = "user_enrolments"
  hierarchy.keyspace = "{hierarchy}"
}}

redis {{
  database {{
    relationCache.id = 10
  }}
}}

threshold.batch.write.size = 10
threshold.batch.read.interval = 0.2

activity {{
  module.aggs.enabled = true
  filter.processed.enrolments = true
  collection.status.cache.expiry = 3600
}}
"""

_MERGE = """\
include "base-config.conf"

kafka {{
  input.topic = ${{job.env}}".lms.user.account.merge"
  output.failed.topic = ${{job.env}}".learning.events.failed"
  output.course.batch.updater.topic = ${{job.env}}".coursebatch.job.request"
  groupId = ${{job.env}}"-merge-user-courses-group"
}}

lms-cassandra {{
  keyspace = "{courses}"
  content_consumption.table = "user_content_consumption"
  user_enrolments.table = "user_enrolments"
  user_activity_agg.table = "user_activity_agg"
}}

threshold.batch.read.interval = 0.2
"""

_JOBS = {
    "relation-cache-updater": _RELATIONS,
    "activity-aggregate-updater": _ACTIVITY,
    "assessment-aggregator": _ASSESSMENT,
    "enrolment-reconciliation": _RECONCILIATION,
    "merge-user-courses": _MERGE,
}


def write(site: "Site") -> None:
    """`base-config.conf`, and a file for each job that includes it in the one and the other way."""
    redis_host, _, redis_port = site.servers.redis_address.rpartition(":")
    values = {
        "kafka": site.servers.kafka,
        "cassandra_host": site.servers.cassandra[0],
        "cassandra_port": site.servers.cassandra[1],
        "redis_host": redis_host,
        "redis_port": redis_port,
        "env": site.env,
        "courses": site.keyspaces.courses,
        "hierarchy": site.keyspaces.hierarchy,
        "base": site.folder / "base-config.conf",
    }
    added = "".join(f'\n{key} = "{value}"' for key, value in site.settings.items())
    (site.folder / "base-config.conf").write_text(_BASE.format(**values))
    for job, text in _JOBS.items():
        changed = "" if job == "relation-cache-updater" else added
        (site.folder / f"{job}.conf").write_text(text.format(**values) + changed + "\n")
