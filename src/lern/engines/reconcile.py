"""Progress of many enrolments computed again, without a message for each: what `lern reconcile` does.

    directory ─► read facts ─► decide ─► what differs ─► journal ─► apply ─► send ─► forget ─► look again
                 └── as the job enrolment-reconciliation ──┘

The order of effects: whom a message is for is journalled, then rows are written, then messages are sent. The rows come
first because whoever gets a certificate request looks at the row at once, and drops a request whose course is not
completed. A process that is killed in between has left the journal: the next run sends the messages of those whose
rows say that they have completed the course, and decides again about the others. So at worst a message is repeated, and none
is lost. Embedded, all of it is one transaction.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import msgspec

from lern.domain.model import AggregateKey, Consumption, ContentId, EnrolmentKey, Status
from lern.errors import Refused, Rejection
from lern.job import Context, Message, Outcome, SetAggregates, SetEnrolment, Write
from lern.jobs.enrolment_reconciliation import JOB
from lern.ports import EnrolmentDirectory, Facts, Partition, Standing, Upkeep
from lern.wire.course_batch import SyncEvent

Contents = Mapping[ContentId, Consumption]

_LOOKS = 3
"""How often rows that a job has changed meanwhile are decided again at once."""


class Difference(NamedTuple):
    """One value as it is stored, None where nothing is, and as it has to be."""

    what: str
    """A column of `user_enrolments`, or `completedCount of <course or unit>`."""
    before: object
    after: object


class Change(NamedTuple):
    """What becomes of one enrolment."""

    enrolment: EnrolmentKey
    progress: tuple[int | None, int | None]
    status: tuple[int | None, int | None]
    """Before and after, equal where they stay."""
    differences: Sequence[Difference]


@dataclass(slots=True)
class Reconciled:
    """What has been done, or would be done, to some enrolments."""

    changes: list[Change] = field(default_factory=list)
    completed: int = 0
    """How many of them complete the course."""
    failures: list[tuple[EnrolmentKey, Rejection]] = field(default_factory=list)


class _Pending(msgspec.Struct, frozen=True):
    """What has to be sent once the row of an enrolment says that the course is completed."""

    enrolment: EnrolmentKey
    messages: Sequence[Message]


@dataclass(slots=True)
class _Decided:
    """What was decided about some enrolments, and upon what."""

    outcomes: dict[EnrolmentKey, Outcome] = field(default_factory=dict)
    consumption: dict[EnrolmentKey, Contents] = field(default_factory=dict)
    failures: list[tuple[EnrolmentKey, Rejection]] = field(default_factory=list)


_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(list[_Pending]).decode


def preview(keys: Sequence[EnrolmentKey], upkeep: Upkeep, context: Context) -> Reconciled:
    """What `reconcile` would do. Changes nothing; raises Unavailable."""
    decided = _decided(keys, upkeep.facts, context)
    changes = [change for change, _ in _compared(decided.outcomes, upkeep.directory).values() if change]
    completed = sum(bool(outcome.messages) for outcome in decided.outcomes.values())
    return Reconciled(changes, completed, decided.failures)


def reconcile(keys: Sequence[EnrolmentKey], upkeep: Upkeep, context: Context, entry: Partition) -> Reconciled:
    """Computes the progress of enrolments again and puts it in place; rows that are right are not written.

    `entry` is the place in the journal. Raises Unavailable; then the same enrolments have to be reconciled again, after
    `finish`. Jobs may be at work: if the contents of a learner have changed meanwhile, it is decided again.
    """
    done = Reconciled()
    with upkeep.transaction():
        remaining: Sequence[EnrolmentKey] = keys
        for _ in range(_LOOKS):
            decided = _decided(remaining, upkeep.facts, context)
            written = _settle(decided, upkeep, entry, done)
            now = upkeep.facts.progress.consumption(written) if written else {}
            remaining = [key for key in written if now.get(key, {}) != decided.consumption.get(key, {})]
            if not remaining:
                break
    return done


def finish(upkeep: Upkeep, entry: Partition) -> int:
    """Sends what an interrupted run could not send any more; returns how many learners it was about."""
    found = upkeep.journal.recall(entry) if upkeep.journal else None
    if found is None or upkeep.journal is None:
        return 0
    pending = _decode(found)
    stored = upkeep.facts.progress.enrolments([one.enrolment for one in pending])
    completed = {key for key, enrolment in stored.items() if enrolment.status == Status.COMPLETED}
    due = [one for one in pending if one.enrolment in completed]
    upkeep.log.send([message for one in due for message in one.messages])
    upkeep.journal.forget(entry)
    return len(due)


def _decided(keys: Collection[EnrolmentKey], facts: Facts, context: Context) -> _Decided:
    """The outcome of each. A refusal of the facts of all is a refusal of one of them: each is asked for alone."""
    found = _Decided()
    if not keys:
        return found
    events = {key: [SyncEvent(key)] for key in keys}
    try:
        known = JOB.read(events, facts, context)
    except Rejection as error:
        if len(events) == 1:
            found.failures += [(key, error) for key in events]
        else:
            for alone in (_decided([key], facts, context) for key in events):
                found.outcomes |= alone.outcomes
                found.consumption |= alone.consumption
                found.failures += alone.failures
        return found
    for key, group in events.items():
        try:
            found.outcomes[key] = JOB.decide(key, group, known, context)
        except Rejection as error:
            found.failures.append((key, error))
        else:
            found.consumption[key] = known.consumption.get(key, {})
    return found


def _settle(decided: _Decided, upkeep: Upkeep, entry: Partition, done: Reconciled) -> list[EnrolmentKey]:
    """Puts outcomes in place; returns the enrolments whose rows were written."""
    done.failures += decided.failures
    compared = _compared(decided.outcomes, upkeep.directory)
    pending = [
        _Pending(key, outcome.messages) for key, outcome in decided.outcomes.items() if outcome.messages
    ]
    if pending and upkeep.journal:
        upkeep.journal.record(entry, _encode(pending))
    refused = _applied({key: writes for key, (_, writes) in compared.items()}, upkeep)
    done.failures += refused.items()
    due = [one for one in pending if one.enrolment not in refused]
    upkeep.log.send([message for one in due for message in one.messages])
    if pending and upkeep.journal:
        upkeep.journal.forget(entry)
    changes = [change for key, (change, _) in compared.items() if change and key not in refused]
    done.changes += changes
    done.completed += len(due)
    return [change.enrolment for change in changes]


def _applied(writes: Mapping[EnrolmentKey, Sequence[Write]], upkeep: Upkeep) -> dict[EnrolmentKey, Rejection]:
    """Applies all writes; where a store refuses one, returns whose it was."""
    try:
        upkeep.stores.apply([write for its in writes.values() for write in its])
    except Refused:
        refused: dict[EnrolmentKey, Rejection] = {}
        for key, its in writes.items():
            try:
                upkeep.stores.apply(its)
            except Refused as error:
                refused[key] = error
        return refused
    return {}


def _compared(
    outcomes: Mapping[EnrolmentKey, Outcome], directory: EnrolmentDirectory
) -> dict[EnrolmentKey, tuple[Change | None, list[Write]]]:
    """What each outcome changes, and its writes without those to rows that are right already."""
    standings = directory.standings(outcomes.keys())
    counts = directory.completed_counts(
        {
            _row(write)
            for outcome in outcomes.values()
            for write in outcome.writes
            if isinstance(write, SetAggregates)
        }
    )
    return {key: compare(key, outcome, standings.get(key), counts) for key, outcome in outcomes.items()}


def compare(
    key: EnrolmentKey, outcome: Outcome, stored: Standing | None, counts: Mapping[AggregateKey, float]
) -> tuple[Change | None, list[Write]]:
    """What an outcome changes of what is stored, and its writes without those that change nothing."""
    before = stored or Standing(None, None, None, {})
    progress, status = before.progress, before.status
    of_row: list[Difference] = []
    of_counts: list[Difference] = []
    writes: list[Write] = []
    for write in outcome.writes:
        match write:
            case SetEnrolment():
                progress = write.progress
                status = before.status if write.status is None else write.status
                found = list(_of_enrolment(write, before))
                of_row += found
            case SetAggregates():
                found = list(_of_aggregates(write, counts))
                of_counts += found
            case _:
                writes.append(write)
                continue
        if found:
            writes.append(write)
    differences = of_row + of_counts
    change = Change(key, (before.progress, progress), (before.status, status), differences)
    return (change if differences else None), writes


def _of_enrolment(write: SetEnrolment, before: Standing) -> Iterator[Difference]:
    columns = (
        ("progress", before.progress, write.progress),
        ("status", before.status, write.status),
        ("completedon", before.completed_on, write.completed_on),
        ("contentstatus", dict(before.content_status), write.content_status),
    )
    for column, its, wanted in columns:
        if wanted is not None and its != wanted:
            yield Difference(column, its, wanted)


def _of_aggregates(write: SetAggregates, counts: Mapping[AggregateKey, float]) -> Iterator[Difference]:
    for name, wanted in write.values.items():
        its = counts.get(_row(write))
        if its != wanted:
            yield Difference(f"{name} of {write.activity}", its, wanted)


def _row(write: SetAggregates) -> AggregateKey:
    return AggregateKey(write.activity, write.user, write.context)
