"""One turn: a batch of messages of one partition goes through a job, and its effects into place.

    decode ─► group ─► read facts ─► decide ─► journal ─► apply writes ─► stage messages ─► mark ─► commit
    └────────────── plan ──────────────────┘  └───────────────────── settle ──────────────────────────────┘

`plan` changes nothing, so a dry run is a plan that is printed. `settle` may stop anywhere (a crash, a dependency that
is down) and be called again: writes are absolute values, messages and position become visible together. Where
deciding again would decide differently, the plan is journalled first, and `resume` finds it.
"""

import hashlib
from collections.abc import Callable, Collection, Hashable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

import msgspec
import structlog

from lern.counts import Count
from lern.engines.faults import where
from lern.errors import BadEvent, Refused, Rejection, Unavailable
from lern.job import Context, Job, Message, Outcome, Record, Skipped
from lern.ports import Facts, Partition, Platform
from lern.wire.failed import failed_record, without_content
from lern.wire.outgoing import milliseconds

AnyJob = Job[Any, Any, Any]
Hold = Callable[[Collection[Hashable]], None]

_log = structlog.get_logger()


class Step(msgspec.Struct, frozen=True):
    """What was decided for the messages at some offsets: one group of events."""

    offsets: list[int]
    outcome: Outcome


class Plan(msgspec.Struct, frozen=True):
    """What was decided for a batch: everything that `settle` needs, and nothing that only this process has."""

    first: int
    """Offset of the batch's first message."""
    following: int
    """The position that the group moves to."""
    digest: bytes
    """Of the first message: tells a journalled plan of another, recreated topic from this one's."""
    steps: list[Step]

    def counts(self) -> dict[Count, int]:
        """All counters of the batch."""
        total = {Count.TOTAL: sum(len(step.offsets) for step in self.steps)}
        for step in self.steps:
            for count, amount in step.outcome.counts.items():
                total[count] = total.get(count, 0) + amount
        return total


_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(Plan).decode


@dataclass(slots=True)
class _Group:
    """The events of one key, in order, and the messages they came in."""

    events: list[Any] = field(default_factory=list)
    records: list[Record] = field(default_factory=list)


def plan(
    job: AnyJob, records: Sequence[Record], facts: Facts, context: Context, hold: Hold = lambda _keys: None
) -> Plan:
    """Decides what a batch (not empty, of one partition, in order) leads to. Raises Unavailable.

    `hold` is called with what all groups have to themselves before any fact is read.
    """
    groups, steps = _grouped(job, records, context)
    hold([guarded for key in groups for guarded in job.guards(key)])
    steps += _decided(job, groups, facts, context)
    return Plan(records[0].offset, records[-1].offset + 1, _digest(records[0]), steps)


def settle(
    job: AnyJob, decided: Plan, records: Sequence[Record], platform: Platform, context: Context
) -> Plan:
    """Puts a plan's effects in place and moves the position behind it; returns the plan as it was carried out.

    Raises Unavailable: nothing is committed, and the batch has to be offered to `resume` again.
    """
    partition = Partition(records[0].topic, records[0].partition)
    if job.journalled and platform.journal:
        platform.journal.record(partition, _encode(decided))
    done = _applied(job, decided, records, platform, context)
    try:
        _staged([message for step in done.steps for message in step.outcome.messages], platform, context)
        platform.stores.mark([mark for step in done.steps for mark in step.outcome.marks])
        platform.consumer.commit(partition, done.following)
    except BaseException:
        platform.consumer.abort()
        raise
    if job.journalled and platform.journal:
        with suppress(Unavailable):  # the position has moved: no message will ask for this entry again
            platform.journal.forget(partition)
    return done


def resume(job: AnyJob, records: Sequence[Record], platform: Platform) -> Plan | None:
    """The plan of an earlier, interrupted turn that began with this batch's first message, if there is one."""
    if not (job.journalled and platform.journal):
        return None
    entry = platform.journal.recall(Partition(records[0].topic, records[0].partition))
    if entry is None:
        return None
    earlier = _decode(entry)
    same = (earlier.first, earlier.digest) == (records[0].offset, _digest(records[0]))
    return earlier if same else None


def _grouped(
    job: AnyJob, records: Sequence[Record], context: Context
) -> tuple[dict[Any, _Group], list[Step]]:
    """The events by key; and the steps of the messages that have none."""
    groups: dict[Any, _Group] = {}
    steps: list[Step] = []
    skipped: list[int] = []
    for record in records:
        try:
            event = job.decode(record.value or b"")
        except BadEvent as error:
            steps.append(_rejected(job, [record], error, context))
            continue
        if isinstance(event, Skipped):
            skipped.append(record.offset)
            continue
        group = groups.setdefault(job.group(event), _Group())
        group.events.append(event)
        group.records.append(record)
    if skipped:
        steps.append(Step(skipped, Outcome(counts={Count.SKIPPED: len(skipped)})))
    return groups, steps


def _decided(job: AnyJob, groups: Mapping[Any, _Group], facts: Facts, context: Context) -> Iterator[Step]:
    """One step for each group. A refusal of the facts of all is a refusal of one of them: each is asked for alone."""
    if not groups:
        return
    try:
        known = job.read({key: group.events for key, group in groups.items()}, facts, context)
    except Rejection as error:
        for key, group in groups.items():
            if len(groups) > 1:
                yield from _decided(job, {key: group}, facts, context)
            else:
                yield _rejected(job, group.records, error, context)
        return
    for key, group in groups.items():
        accepted, rejected = _checked(job, group, known, context)
        yield from rejected
        if accepted.events:
            yield _decision(job, key, accepted, known, context)


def _checked(job: AnyJob, group: _Group, known: Any, context: Context) -> tuple[_Group, list[Step]]:
    """The events of a group that are good by themselves; and the steps of the others."""
    if job.check is None:
        return group, []
    accepted, rejected = _Group(), list[Step]()
    for event, record in zip(group.events, group.records, strict=True):
        try:
            job.check(event, known, context)
        except Exception as error:  # noqa: BLE001  # a fault in our rules costs one event, not the stream
            rejected.append(_rejected(job, [record], _rejection(job, [record], error), context))
        else:
            accepted.events.append(event)
            accepted.records.append(record)
    return accepted, rejected


def _decision(job: AnyJob, key: Hashable, group: _Group, known: Any, context: Context) -> Step:
    try:
        outcome = job.decide(key, group.events, known, context)
    except Exception as error:  # noqa: BLE001  # a fault in our rules costs one group, not the stream
        return _rejected(job, group.records, _rejection(job, group.records, error), context)
    return Step(_offsets(group.records), outcome)


def _rejection(job: AnyJob, records: Sequence[Record], error: Exception) -> Rejection:
    """The reason for which a rule rejects messages; a fault of the rule is told without its text."""
    if isinstance(error, Rejection):
        return error
    _log.error("decision_failed", job=job.name, offsets=_offsets(records), **where(error))
    return Rejection("ERR_INTERNAL", f"internal fault: {type(error).__name__}")


def _applied(
    job: AnyJob, decided: Plan, records: Sequence[Record], platform: Platform, context: Context
) -> Plan:
    """Applies all writes; where a store refuses one, its group alone is rejected."""
    try:
        platform.stores.apply([write for step in decided.steps for write in step.outcome.writes])
    except Refused:
        return _applied_one_by_one(job, decided, records, platform, context)
    return decided


def _applied_one_by_one(
    job: AnyJob, decided: Plan, records: Sequence[Record], platform: Platform, context: Context
) -> Plan:
    by_offset = {record.offset: record for record in records}
    steps: list[Step] = []
    for step in decided.steps:
        try:
            platform.stores.apply(step.outcome.writes)
        except Refused as error:
            if missing := set(step.offsets) - by_offset.keys():
                reason = f"{len(missing)} messages of an earlier turn are yet to be read"
                raise Unavailable("log", reason) from error
            steps.append(_rejected(job, [by_offset[offset] for offset in step.offsets], error, context))
        else:
            steps.append(step)
    return msgspec.structs.replace(decided, steps=steps)


def _staged(messages: Sequence[Message], platform: Platform, context: Context) -> None:
    """Stages all messages; where the log refuses one, failed records are what is large, and go without their content.

    If that does not help, no event is at fault but a topic: Unavailable, until somebody mends it.
    """
    try:
        platform.consumer.stage(messages)
    except Refused:
        platform.consumer.abort()
        failed = context.settings.topics.failed
        try:
            platform.consumer.stage([without_content(m) if m.topic == failed else m for m in messages])
        except Refused as error:
            raise Unavailable("log", error.reason) from error


def _rejected(job: AnyJob, records: Sequence[Record], error: Rejection, context: Context) -> Step:
    """The step of messages that end on the failed topic."""
    topic = context.settings.topics.failed
    at = milliseconds(context.now)
    counts = {Count.FAILED: len(records)}
    if error.count:
        counts[error.count] = len(records)
    messages: list[Message] = [failed_record(record, job.name, error, topic, at) for record in records]
    warnings = [f"{error.code}: {error.reason}"]
    return Step(_offsets(records), Outcome(messages=messages, warnings=warnings, counts=counts))


def _offsets(records: Sequence[Record]) -> list[int]:
    return [record.offset for record in records]


def _digest(record: Record) -> bytes:
    content = hashlib.blake2b(str(record.timestamp).encode(), digest_size=16)
    content.update(record.key or b"")
    content.update(record.value or b"")
    return content.digest()
