"""assessment-aggregator: an attempt at an assessment becomes a score, the best scores become part of the learner's aggregates.

Each event is checked alone: its content has to be a leaf node of the course, and it may not answer more questions than
there are. The events of one enrolment are then taken one after the other. An attempt is stored with its questions when
it is new, or made later than what is stored of it; otherwise the event is skipped. From all attempts of the enrolment
the scores are computed anew, and for each event that was not skipped it is asked whether a certificate has been earned.
Source: jobs, section 4.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from lern.counts import Count
from lern.domain import scores
from lern.domain.model import (
    Attempt,
    AttemptId,
    ContentId,
    CourseId,
    EnrolmentKey,
    Relation,
    RelationKey,
)
from lern.errors import Refused
from lern.job import Context, Job, Message, Outcome, SetAggregates, SetAttempt
from lern.ports import Facts, QuestionTotal
from lern.wire import assessment, attempt_details, outgoing
from lern.wire.assessment import AssessEvent


@dataclass(frozen=True, slots=True)
class Known:
    """The facts of a batch."""

    attempts: Mapping[EnrolmentKey, Sequence[Attempt]]
    leaves: Mapping[CourseId, Collection[str]]
    """The leaf nodes of each course; empty where the cache has none."""
    questions: Mapping[ContentId, QuestionTotal]
    """How many questions each content has; empty where nobody asks."""


def read(events: Mapping[EnrolmentKey, Sequence[AssessEvent]], facts: Facts, context: Context) -> Known:
    """Stored attempts, leaf nodes, and where it matters how many questions there are."""
    courses = {key.course: RelationKey(key.course, key.course, Relation.LEAF_NODES) for key in events}
    sets = facts.relations.members(courses.values())
    contents: set[ContentId] = set()
    if context.settings.assessment.skip_missing_records:
        contents = {event.content for group in events.values() for event in group if event.answers}
    return Known(
        attempts=facts.attempts.attempts(events.keys()),
        leaves={course: sets[key] for course, key in courses.items()},
        questions=facts.contents.question_totals(contents) if contents else {},
    )


def check(event: AssessEvent, known: Known, _context: Context) -> None:
    """Refuses contents that are not in the course, and more answers than questions."""
    leaves = known.leaves[event.enrolment.course]
    if leaves and event.content not in leaves:
        reason = f"content {event.content} is no leaf node of course {event.enrolment.course}"
        raise Refused("ERR_NOT_A_LEAF_NODE", reason)
    questions = known.questions.get(event.content)
    if questions is None or not event.answers:
        return
    if questions.refusal:
        raise questions.refusal
    answered = len({answer.id for answer in event.answers})
    if questions.total is not None and answered > questions.total:
        reason = f"{answered} questions are answered, content {event.content} has {questions.total}"
        raise Refused("ERR_TOO_MANY_QUESTIONS", reason, Count.IGNORED)


def decide(key: EnrolmentKey, events: Sequence[AssessEvent], known: Known, context: Context) -> Outcome:
    """Stores the attempts of one enrolment, and its scores; a repeated or late event changes nothing."""
    attempts = {(attempt.content, attempt.attempt): attempt for attempt in known.attempts.get(key, ())}
    stored: dict[tuple[ContentId, AttemptId], SetAttempt] = {}
    requests: list[Message] = []
    contents = {content for content, _ in attempts}
    last = scores.last_made(attempts.values())

    for event in events:
        if event.answers:
            this = event.content, event.attempt
            before = attempts.get(this)
            if before and before.attempted_on and event.attempted_on <= before.attempted_on:
                continue
            created_on = context.now if before is None else None
            if this in stored:
                created_on = stored[this].created_on
            stored[this] = write = _attempt(event, created_on, context)
            attempts[this] = Attempt(*this, write.attempted_on, write.score, write.max_score)
            contents.add(event.content)
            last = scores.last_made([attempts[this], *([last] if last else [])])
        requests.append(_request(key, last.attempt if last and len(contents) == 1 else "", context))

    aggregates = [_aggregates(key, attempts.values(), context)] if requests and attempts else []
    return Outcome(
        writes=[*stored.values(), *aggregates],
        messages=requests,
        counts={
            Count.SUCCESS: len(requests),
            Count.SKIPPED: len(events) - len(requests),
            Count.CERTIFICATE_REQUESTS: len(requests),
            Count.DB_READS: 1,
            Count.DB_UPDATES: len(stored) + len(aggregates),
            Count.SCORE_READS: 1,
            Count.SCORE_UPDATES: len(stored),
            Count.RECOMPUTED: len(aggregates),
            **_looked_up(key, events, known, context),
        },
    )


def _attempt(event: AssessEvent, created_on: datetime | None, context: Context) -> SetAttempt:
    questions = scores.latest(event.answers)
    total = scores.total(questions)
    return SetAttempt(
        event.enrolment,
        event.content,
        event.attempt,
        created_on=created_on,
        attempted_on=event.attempted_on,
        updated_on=context.now,
        score=total.score,
        max_score=total.max_score,
        grand_total=total.text,
        questions=questions,
    )


def _aggregates(key: EnrolmentKey, attempts: Iterable[Attempt], context: Context) -> SetAggregates:
    """The scores of all attempts of an enrolment, and a text for each."""
    ordered = scores.in_order(attempts)
    kind = context.settings.assessment.detail_type
    details = [attempt_details.write(attempt, kind) for attempt in ordered]
    values = scores.aggregates(ordered)
    return SetAggregates(key.course, key.user, key.context, values, context.now, details=details)


def _request(key: EnrolmentKey, attempt: str, context: Context) -> Message:
    request = outgoing.issue_certificate(key, context.now, context.new_id, attempt=attempt)
    return Message(context.settings.topics.certificate_requests, key.user.encode(), request)


def _looked_up(
    key: EnrolmentKey, events: Sequence[AssessEvent], known: Known, context: Context
) -> dict[Count, int]:
    """Where leaf nodes and numbers of questions were found."""
    contents = {event.content for event in events} & known.questions.keys()
    totals = [known.questions[content] for content in contents]
    hits = sum(total.was_cached for total in totals) + bool(known.leaves[key.course])
    counts = {Count.CACHE_HITS: hits, Count.CACHE_MISSES: 1 + len(totals) - hits}
    if context.settings.assessment.content_read_api:
        called = [total for total in totals if not total.was_cached]
        answered = sum(total.total is not None for total in called)
        counts |= {Count.API_HITS: answered, Count.API_FAILURES: len(called) - answered}
    return counts


JOB: Job[AssessEvent, EnrolmentKey, Known] = Job(
    name="assessment-aggregator",
    title="Attempts at assessments become scores; the best become part of the learner's aggregates",
    inputs="kafka.input.topic",
    outputs=("kafka.certissue.topic", "kafka.output.failed.topic"),
    tables=("question", "assessment_aggregator", "user_activity_agg"),
    decode=assessment.decode,
    group=lambda event: event.enrolment,
    read=read,
    check=check,
    decide=decide,
    journalled=True,
)
