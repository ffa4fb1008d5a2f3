"""activity-aggregate-updater: what a learner has consumed becomes progress on the units and the course.

All events of one enrolment in a batch are decided together. Completions that were handled before are dropped; the
others add to the stored view counts. The course and each touched unit get the number of their completed required
leaf nodes, the enrolment its progress; when the last required leaf node is completed, a certificate is asked for.
A `batch-enrolment-sync` computes the same from what is stored, without new completions. Source: jobs, section 2.
"""

import hashlib
from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass

from lern.counts import Count
from lern.domain.model import Consumption, ContentId, EnrolmentKey, Status
from lern.domain.progress import add_completions
from lern.job import Context, Job, Message, Outcome, SetConsumption
from lern.jobs import recomputation
from lern.ports import Facts
from lern.wire import course_batch, outgoing
from lern.wire.course_batch import SyncEvent, UpdateEvent

Event = UpdateEvent | SyncEvent
Marks = Mapping[tuple[EnrolmentKey, ContentId], str]
Stored = Mapping[ContentId, Consumption]

_NEVER_SEEN = Consumption()


@dataclass(frozen=True, slots=True)
class Known:
    """The facts of a batch."""

    progress: recomputation.Known
    marks: Marks
    """The de-duplication mark of each completion; none when de-duplication is off."""
    seen: Collection[str]
    """The marks of completions that were handled before."""


def read(events: Mapping[EnrolmentKey, Sequence[Event]], facts: Facts, context: Context) -> Known:
    """Stored progress, the shape of the courses, and which completions were handled before."""
    completions = {key: list(_completed(group)) for key, group in events.items()}
    marks: dict[tuple[EnrolmentKey, ContentId], str] = {}
    if context.settings.activity.input_dedup:
        marks = {
            (key, content): _mark(key, content) for key, group in completions.items() for content in group
        }
    return Known(
        progress=recomputation.read(facts, completions),
        marks=marks,
        seen=facts.marks.seen(marks.values()) if marks else (),
    )


def decide(key: EnrolmentKey, events: Sequence[Event], known: Known, context: Context) -> Outcome:
    """Adds the new completions of one enrolment to what is stored, and computes its progress again."""
    new = _new_completions(key, events, known, context)
    if not new and not any(isinstance(event, SyncEvent) for event in events):
        return Outcome(counts={Count.SKIPPED: len(events)})

    course = known.progress.course(key)
    stored = known.progress.consumption.get(key, {})
    after = {content: add_completions(stored.get(content), times) for content, times in new.items()}
    recomputed = recomputation.recompute(key, {**stored, **after}, course, known.progress, context)

    return Outcome(
        writes=[
            *(
                SetConsumption(key, content, to.status, to.views, to.completions)
                for content, to in after.items()
            ),
            *recomputed.writes,
        ],
        messages=[*_audits(key, new, stored, context), *recomputed.messages],
        marks=[known.marks[key, content] for content in new] if known.marks else (),
        counts={
            **recomputed.counts,
            Count.DB_UPDATES: recomputed.counts[Count.DB_UPDATES] + len(after),
            Count.UPDATE_EVENTS: len(events),
            Count.SUCCESS: len(events),
        },
    )


def _completed(events: Sequence[Event]) -> Iterator[ContentId]:
    for event in events:
        if isinstance(event, UpdateEvent):
            yield from event.completed


def _new_completions(
    key: EnrolmentKey, events: Sequence[Event], known: Known, context: Context
) -> dict[ContentId, int]:
    """How often each content was newly completed; with de-duplication at most once, and never what was marked."""
    times = Counter(_completed(events))
    if not context.settings.activity.input_dedup:
        return times
    return {content: 1 for content in times if known.marks[key, content] not in known.seen}


def _mark(key: EnrolmentKey, content: ContentId) -> str:
    """The de-duplication key of a completion, as other programs compute it (contracts, section 5)."""
    text = f"{key.course}|{key.batch}|{key.user}|{content}|{Status.COMPLETED.value}"
    return hashlib.md5(text.encode(), usedforsecurity=False).hexdigest().upper()


def _audits(
    key: EnrolmentKey, new: Mapping[ContentId, int], stored: Stored, context: Context
) -> Iterator[Message]:
    """AUDIT `start` and `complete` of each content that had no view, no completion before."""
    topic = context.settings.topics.audit
    user = key.user.encode()
    for content in new:
        before = stored.get(content, _NEVER_SEEN)
        if not before.views:
            yield Message(topic, user, outgoing.content_started(key, content, context.now, context.new_id))
        if not before.completions:
            yield Message(topic, user, outgoing.content_completed(key, content, context.now, context.new_id))


JOB: Job[Event, EnrolmentKey, Known] = Job(
    name="activity-aggregate-updater",
    title="Consumed contents become progress on units and courses; completed courses ask for a certificate",
    inputs="kafka.input.topic",
    outputs=("kafka.audit.topic", "kafka.certissue.topic", "kafka.output.failed.topic"),
    tables=("user_content_consumption", "user_enrolments", "user_activity_agg", "content_hierarchy"),
    decode=course_batch.decode,
    group=lambda event: event.enrolment,
    read=read,
    decide=decide,
    journalled=True,
)
