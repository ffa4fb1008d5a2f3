"""merge-user-courses: what a person's old account did in courses moves to the account that stays.

Consumption is merged row by row, enrolments and attempts at assessments that the other account does not have are copied,
aggregates are taken over. The rows of the old account stay. In the end progress is asked to be computed again for every
enrolment of the account that stays. View counts are sums, and yet no merge counts twice (`domain.merging`), so deciding
again is harmless, also half-way, and nothing needs to be journalled. Source: jobs, section 5.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from lern.counts import Count
from lern.domain.merging import Consumed, Origins, copies, merge_aggregate, merge_consumption
from lern.domain.model import (
    AggregateKey,
    BatchId,
    ContentId,
    ContentKey,
    CourseId,
    EnrolmentKey,
    Relation,
    RelationKey,
    Row,
    UserId,
)
from lern.job import Context, ForgetEnrolmentList, Job, Message, Outcome, PutRow, SetContributions, Write
from lern.ports import Facts
from lern.wire import account_merge, outgoing
from lern.wire.account_merge import MergeEvent

Rows = Mapping[UserId, Sequence[Row]]


@dataclass(frozen=True, slots=True)
class Known:
    """The facts of both accounts."""

    consumption: Rows
    origins: Mapping[UserId, Mapping[ContentKey, Origins]]
    enrolments: Rows
    attempts: Mapping[EnrolmentKey, Sequence[Row]]
    aggregates: Mapping[AggregateKey, Row]
    units: Mapping[EnrolmentKey, frozenset[str]]
    """The units above what the old account has consumed, by its enrolments."""


def read(events: Mapping[MergeEvent, Sequence[MergeEvent]], facts: Facts, _context: Context) -> Known:
    """All rows of the accounts, and the units of the courses that they are about."""
    users = sorted({user for event in events for user in event})
    consumption = facts.accounts.consumption_rows(users)
    enrolments = facts.accounts.enrolment_rows(users)

    attempted, aggregated = set[EnrolmentKey](), set[AggregateKey]()
    units: dict[EnrolmentKey, frozenset[str]] = {}
    for source, target in events:
        consumed = consumption.get(source, ())
        enrolled = set(_keys(enrolments.get(source, ())))
        units |= _units(facts, enrolled, consumed)
        for key in enrolled:
            aggregated |= {
                AggregateKey(activity, user, key.context)
                for activity in (key.course, *units[key])
                for user in (source, target)
            }
        for key in enrolled.union(_keys(consumed)):
            attempted |= {key, key._replace(user=target)}
    return Known(
        consumption=consumption,
        origins=facts.contributions.contributions(users),
        enrolments=enrolments,
        attempts=facts.accounts.attempt_rows(attempted),
        aggregates=facts.accounts.aggregate_rows(aggregated),
        units=units,
    )


def decide(merge: MergeEvent, events: Sequence[MergeEvent], known: Known, context: Context) -> Outcome:
    """All that the account that stays does not have yet, and a request to compute each of its enrolments again."""
    source, target = merge
    enrolled = known.enrolments.get(target, ())
    new = copies(known.enrolments.get(source, ()), enrolled, ("courseid", "batchid"), {"userid": target})
    contents = merge_consumption(_consumed(source, known), _consumed(target, known))
    rows = [
        *(PutRow("user_content_consumption", row) for row in contents.rows),
        *(PutRow("user_enrolments", row) for row in new),
        *(PutRow("assessment_aggregator", row) for row in _attempts(merge, known)),
        *(PutRow("user_activity_agg", row) for row in _aggregates(merge, known, context)),
    ]
    writes: list[Write] = [
        *(SetContributions(target, content, origins) for content, origins in contents.origins.items()),
        *rows,
    ]
    if new and context.settings.redis and context.settings.redis.enrolments:
        writes.append(ForgetEnrolmentList(target))

    topic, key = context.settings.topics.enrolment_syncs, target.encode()
    return Outcome(
        writes,
        [
            Message(topic, key, outgoing.enrolment_sync(enrolment, context.now, context.new_id))
            for enrolment in sorted(_keys([*enrolled, *new]))
        ],
        counts={
            Count.SUCCESS: len(events),
            Count.DB_READS: 4 + len(known.attempts) + len(known.aggregates),
            Count.DB_UPDATES: len(rows),
        },
    )


def _consumed(user: UserId, known: Known) -> Consumed:
    return Consumed(user, known.consumption.get(user, ()), known.origins.get(user, {}))


def _attempts(merge: MergeEvent, known: Known) -> Iterator[Row]:
    """Attempts that the account that stays has not made."""
    for key, attempts in known.attempts.items():
        if key.user == merge.source:
            there = known.attempts.get(key._replace(user=merge.target), ())
            yield from copies(attempts, there, ("content_id", "attempt_id"), {"user_id": merge.target})


def _aggregates(merge: MergeEvent, known: Known, context: Context) -> Iterator[Row]:
    """Aggregates of the courses that the old account is enrolled in, and of their units."""
    for key in _keys(known.enrolments.get(merge.source, ())):
        for activity in (key.course, *sorted(known.units[key])):
            place = AggregateKey(activity, merge.target, key.context)
            theirs = known.aggregates.get(place._replace(user=merge.source), {})
            changes = merge_aggregate(theirs, known.aggregates.get(place, {}), context.now)
            if changes:
                columns = ("activity_type", "activity_id", "user_id", "context_id")
                yield changes | dict(zip(columns, ("Course", *place), strict=True))


def _units(
    facts: Facts, enrolled: set[EnrolmentKey], consumed: Sequence[Row]
) -> dict[EnrolmentKey, frozenset[str]]:
    """The units above the contents consumed in each enrolment, as far as the relation cache knows them."""
    above: dict[EnrolmentKey, list[RelationKey]] = {key: [] for key in enrolled}
    for key, row in zip(_keys(consumed), consumed, strict=True):
        if key in above:
            content = ContentId(row["contentid"])
            above[key].append(RelationKey(key.course, content, Relation.ANCESTORS))
    sets = facts.relations.members({relation for relations in above.values() for relation in relations})
    return {
        key: frozenset[str]().union(*(sets[relation] for relation in relations)) - {key.course}
        for key, relations in above.items()
    }


def _keys(rows: Sequence[Row]) -> Iterator[EnrolmentKey]:
    """The enrolments that rows of `user_enrolments` or `user_content_consumption` belong to."""
    for row in rows:
        yield EnrolmentKey(UserId(row["userid"]), CourseId(row["courseid"]), BatchId(row["batchid"]))


JOB: Job[MergeEvent, MergeEvent, Known] = Job(
    name="merge-user-courses",
    title="What a person's old account did in courses moves to the account that stays",
    inputs="kafka.input.topic",
    outputs=("kafka.output.course.batch.updater.topic", "kafka.output.failed.topic"),
    tables=("user_content_consumption", "user_enrolments", "user_activity_agg", "assessment_aggregator"),
    decode=account_merge.decode,
    group=lambda event: event,
    guards=lambda merge: merge,
    read=read,
    decide=decide,
    journalled=False,
    one_by_one=True,
)
