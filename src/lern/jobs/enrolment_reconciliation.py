"""enrolment-reconciliation: a learner's progress, computed again from what is stored.

The same code as the activity-aggregate-updater's, with no new contents: the course and each touched unit get the number
of their completed required leaf nodes, the enrolment its progress; if that completes the course, a certificate is asked
for. No views are counted, and no AUDIT `start` or `complete` is sent. Source: jobs, section 3.
"""

from collections.abc import Mapping, Sequence

from lern.counts import Count
from lern.domain.model import EnrolmentKey
from lern.job import Context, Job, Outcome
from lern.jobs import recomputation
from lern.jobs.recomputation import Known
from lern.ports import Facts
from lern.wire import enrolment_sync
from lern.wire.course_batch import SyncEvent


def read(events: Mapping[EnrolmentKey, Sequence[SyncEvent]], facts: Facts, _context: Context) -> Known:
    """Stored progress, and the shape of the courses."""
    return recomputation.read(facts, dict.fromkeys(events, ()))


def decide(key: EnrolmentKey, events: Sequence[SyncEvent], known: Known, context: Context) -> Outcome:
    """Computes the progress of one enrolment, once however often it was asked for."""
    stored = known.consumption.get(key, {})
    recomputed = recomputation.recompute(key, stored, known.course(key), known, context)
    return Outcome(
        writes=recomputed.writes,
        messages=recomputed.messages,
        counts={**recomputed.counts, Count.UPDATE_EVENTS: len(events), Count.SUCCESS: len(events)},
    )


JOB: Job[SyncEvent, EnrolmentKey, Known] = Job(
    name="enrolment-reconciliation",
    title="A learner's progress is computed again from what is stored",
    inputs="kafka.input.topic",
    outputs=("kafka.audit.topic", "kafka.certissue.topic", "kafka.output.failed.topic"),
    tables=("user_content_consumption", "user_enrolments", "user_activity_agg", "content_hierarchy"),
    decode=enrolment_sync.decode,
    group=lambda event: event.enrolment,
    read=read,
    decide=decide,
    journalled=True,
)
