"""The jobs, one file each, named as in an installation of the original."""

from typing import Any

from lern.job import Job
from lern.jobs import (
    activity_aggregate_updater,
    assessment_aggregator,
    enrolment_reconciliation,
    merge_user_courses,
    relation_cache_updater,
)

JOBS: dict[str, Job[Any, Any, Any]] = {
    job.name: job
    for job in (
        relation_cache_updater.JOB,
        activity_aggregate_updater.JOB,
        enrolment_reconciliation.JOB,
        assessment_aggregator.JOB,
        merge_user_courses.JOB,
    )
}
"""Every job by its name, in the order in which the platform uses them."""
