"""Keys of deployed files that are known, accepted silently, and mean nothing here; each with the reason."""

from collections.abc import Mapping
from types import MappingProxyType

_FLINK = "Flink's own; this engine has no such thing to set."
_CERTIFICATES = "For the certificate jobs."

IGNORED: Mapping[str, str] = MappingProxyType(
    {
        "task.parallelism": "Flink's operators; here work is divided by running more processes in one consumer group.",
        "task.consumer.parallelism": "As `task.parallelism`.",
        "task.*.parallelism": "As `task.parallelism`, for single operators.",
        "task.window.shards": "Flink's window keys; here a batch is grouped by learner, course and batch.",
        "task.checkpointing.*": "Flink's checkpoints; here offsets are committed after the effects of a batch.",
        "task.restart-strategy.*": "Flink's restarts; here a dependency that is down is waited for, without a limit.",
        "job.statebackend.*": "Flink's state; here there is none between batches.",
        "job.enable.distributed.checkpointing": _FLINK,
        "job.bb": "A label of the building block that nothing reads.",
        "kafka.zookeeper": "Kafka clients do not speak to ZooKeeper.",
        "kafka.producer.*": "Producer limits of the Flink connector.",
        "lms-cassandra.isMultiDCEnabled": "Reads and writes are always LOCAL_QUORUM; `lms-cassandra.local-datacenter` names the data centre.",
        "redis.connection.*": "The pool of the JVM client; here connections are shared and pipelined.",
        "redisdb.connection.timeout": "As `redis.connection`.",
        "neo4j.*": "For the knowledge platform's jobs.",
        "schema.*": "For the knowledge platform's jobs.",
        "es.basePath": _CERTIFICATES,
        "ml-mongo.*": "For the jobs of manage-learn.",
        "media_download_duration": "For the knowledge platform's jobs.",
        "sunbird_instance_name": "For the notification job.",
        "kafka.output.topic": "For collection-cert-pre-processor.",
        "lms-cassandra.enrolmentstable": "assessment-aggregator reads and writes no enrolments.",
        "lms-cassandra.course_batch.table": _CERTIFICATES,
        "lms-cassandra.sbkeyspace": _CERTIFICATES,
        "lms-cassandra.certreg.table": _CERTIFICATES,
        "assessment.metrics.supported.contenttype": _CERTIFICATES,
        "cert_domain_url": _CERTIFICATES,
        "user_read_api": _CERTIFICATES,
        "content_read_api": _CERTIFICATES,
        "service.content.basePath": _CERTIFICATES,
        "service.learner.basePath": _CERTIFICATES,
        "service.enc.basePath": _CERTIFICATES,
        "service.certreg.basePath": _CERTIFICATES,
        "service.rc.*": _CERTIFICATES,
        "task.rc.badcharlist": _CERTIFICATES,
        "enable.rc.certificate": _CERTIFICATES,
        "enable.suppress.exception": _CERTIFICATES,
        "cloud_storage_base_url": _CERTIFICATES,
        "cloud_store_base_path_placeholder": _CERTIFICATES,
        "content_cloud_storage_container": _CERTIFICATES,
        "cloud_storage_cname_url": _CERTIFICATES,
    }
)
"""Key -> reason. `*` stands for one or more parts."""


def is_ignored(name: str) -> bool:
    """Whether `name` is a deployed key without a meaning here."""
    if name in IGNORED:
        return True
    for pattern in IGNORED:
        start, star, end = pattern.partition("*")
        if star and name.startswith(start) and name.endswith(end) and len(name) > len(start) + len(end):
            return True
    return False
