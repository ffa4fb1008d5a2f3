"""A turn that was interrupted is carried out as it was decided, and as nothing else."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import msgspec
import pytest
from tests import toy
from tests.events import NOW, context, records
from tests.fakes import Tables, Topic, Trouble, platform, troubled, turn

from lern.domain.model import (
    AttemptId,
    BatchId,
    ContentId,
    CourseId,
    EnrolmentKey,
    Relation,
    RelationKey,
    UserId,
)
from lern.engines.turn import Plan, plan, resume, settle
from lern.errors import Refused, Unavailable
from lern.job import (
    Context,
    ForgetEnrolmentList,
    Job,
    Message,
    Outcome,
    Question,
    Record,
    ReplaceRelation,
    SetAggregates,
    SetAttempt,
    SetConsumption,
    SetEnrolment,
    SetUnit,
    Write,
)
from lern.ports import Facts, Partition

PLACE = Partition("in", 0)
COURSE = CourseId("course_1")
WHO = EnrolmentKey(UserId("user_1"), COURSE, BatchId("batch_1"))


class TablesThatRefuse(Tables):
    """Takes nothing at all."""

    def apply(self, writes: Sequence[Write]) -> None:
        if writes:
            raise Refused("ERR_ROW", "such a row cannot be")


def interrupted(batch: Sequence[Record], tables: Tables, topic: Topic) -> Plan:
    """A turn that ended when the messages were to be sent; returns what had been decided."""
    decided = plan(toy.JOB, batch, tables.facts(), context())
    trouble = Trouble(at=2)
    with pytest.raises(Unavailable):
        settle(toy.JOB, decided, batch, troubled(platform(tables, topic), trouble), context())
    assert trouble.calls[:3] == ["record", "apply", "stage"]
    return decided


def test_the_earlier_plan_is_carried_out_with_its_time_and_its_ids() -> None:
    tables, topic = Tables(), Topic()
    batch = records([b"a:1", b"bad", b"b:2"])
    interrupted(batch, tables, topic)

    turn(
        toy.JOB,
        batch,
        platform(tables, topic),
        Context(context().settings, NOW + timedelta(1), lambda: "new"),
    )

    assert [message.value for message in topic.to("out")] == [
        b"1 00000000-0000-4000-8000-000000000001",
        b"2 00000000-0000-4000-8000-000000000002",
    ]
    assert dict(topic.to("failed")[0].headers)["lern-failed-at"] == b"1709287200123"
    assert not tables.journal


def test_it_is_carried_out_to_its_own_end_when_less_was_read_since() -> None:
    tables, topic = Tables(), Topic()
    interrupted(records([b"a:1", b"a:2", b"a:3"], first=5), tables, topic)

    done = turn(toy.JOB, records([b"a:1"], first=5), platform(tables, topic), context())

    assert done.following == topic.positions[PLACE] == 8
    assert len(topic.to("out")) == 3


def test_it_is_carried_out_to_its_own_end_when_more_was_read_since() -> None:
    tables, topic = Tables(), Topic()
    interrupted(records([b"a:1"], first=5), tables, topic)

    done = turn(toy.JOB, records([b"a:1", b"a:2"], first=5), platform(tables, topic), context())

    assert done.following == topic.positions[PLACE] == 6
    assert len(topic.to("out")) == 1


@pytest.mark.parametrize(
    "other",
    [
        Record("in", 0, 6, b"key", b"a:1"),
        Record("in", 0, 5, b"key", b"a:2"),
        Record("in", 0, 5, b"other key", b"a:1"),
        Record("in", 0, 5, None, b"a:1"),
        Record("in", 0, 5, b"key", None),
        Record("in", 0, 5, b"key", b"a:1", timestamp=1),
        Record("in", 1, 5, b"key", b"a:1"),
    ],
    ids=["offset", "value", "key", "no key", "no value", "time", "partition"],
)
def test_only_the_same_first_message_resumes_a_turn(other: Record) -> None:
    tables = Tables()
    decided = interrupted(records([b"a:1"], first=5), tables, Topic())

    assert resume(toy.JOB, [other], platform(tables, Topic())) is None
    again = resume(toy.JOB, records([b"a:1"], first=5), platform(tables, Topic()))
    assert msgspec.to_builtins(again) == msgspec.to_builtins(decided)


def test_a_journal_of_a_topic_that_was_made_anew_is_replaced() -> None:
    tables, topic = Tables(), Topic()
    interrupted(records([b"a:old"], first=0), tables, topic)

    turn(toy.JOB, records([b"a:new"], first=0), platform(tables, topic), context())

    assert [message.value.split()[0] for message in topic.sent] == [b"new"]
    assert not tables.journal


def test_without_a_journal_there_is_nothing_to_resume() -> None:
    assert resume(toy.JOB, records([b"a:1"]), platform(Tables(), Topic(), journal=False)) is None


def test_a_refused_write_of_a_resumed_plan_becomes_a_failed_record() -> None:
    tables = Tables()
    batch = records([b"a:1"])
    interrupted(batch, tables, Topic())
    refusing, topic = TablesThatRefuse(journal=tables.journal), Topic()

    turn(toy.JOB, batch, platform(refusing, topic), context())

    assert [dict(message.headers)["lern-error-code"] for message in topic.sent] == [b"ERR_ROW"]
    assert topic.positions == {PLACE: 1}


def test_a_refused_write_whose_message_is_not_read_yet_waits_for_it() -> None:
    tables, topic = Tables(), Topic()
    interrupted(records([b"a:1", b"b:2"]), tables, topic)
    refusing = TablesThatRefuse(journal=tables.journal)

    with pytest.raises(Unavailable):
        turn(toy.JOB, records([b"a:1"]), platform(refusing, topic), context())
    turn(toy.JOB, records([b"a:1", b"b:2"]), platform(refusing, topic), context())

    assert len(topic.to("failed")) == 2
    assert topic.positions == {PLACE: 2}


def test_every_kind_of_write_and_message_survives_the_journal() -> None:
    at = datetime(2024, 2, 29, 23, 59, 59, 999000, tzinfo=UTC)
    key = RelationKey(COURSE, "unit", Relation.ANCESTORS)
    question = Question("q", at, 2.0, 0.1, "mcq", "", [{"1": "गणित"}], [{}], "", "0.25")
    writes: list[Write] = [
        SetConsumption(WHO, ContentId("गणित"), 2, 3, 4),
        SetAggregates("unit", WHO.user, WHO.context, {"completedCount": 2.0, "score:do_1": 0.1}, at),
        SetEnrolment(WHO, 3, at, {ContentId("a"): 2}, 2, at),
        SetEnrolment(WHO, 0, at),
        ForgetEnrolmentList(WHO.user),
        ReplaceRelation(key, frozenset({"a", "b"})),
        ReplaceRelation(key, frozenset()),
        SetUnit("unit", b'{"a": "\xff\x00"}'),
        SetAggregates(COURSE, WHO.user, WHO.context, {}, at, details=["{}"]),
        *(
            SetAttempt(
                WHO, ContentId("quiz"), AttemptId("a"), created, at, at, 0.1, 2.0, "0.1/2.0", [question]
            )
            for created in (at, None)
        ),
    ]
    messages = [Message("out", None, b"\xff\x00", (("name", b"\xff"),)), Message("out", b"\xff", b"")]

    def decide(_key: str, _events: object, _known: object, _context: Context) -> Outcome:
        return Outcome(writes, messages, ["mark"], ["warning"])

    def read(_events: object, _facts: Facts, _context: Context) -> None:
        return None

    job: Job[toy.Word, str, None] = Job(
        name="all",
        title="All kinds of effects",
        inputs="in",
        outputs=(),
        decode=toy.decode,
        group=lambda event: event.key,
        read=read,
        decide=decide,
        journalled=True,
    )
    batch, tables, topic = records([b"a:1"]), Tables(), Topic()
    with pytest.raises(Unavailable):
        turn(job, batch, troubled(platform(tables, topic), Trouble(at=2)), context())

    earlier = resume(job, batch, platform(tables, topic))

    assert earlier
    [step] = earlier.steps
    assert step.outcome.writes == writes
    assert step.outcome.messages == messages
    assert isinstance(step.outcome.writes[0], SetConsumption)
    assert step.outcome.writes[0].enrolment.context == "cb:batch_1"
    assert isinstance(step.outcome.writes[5], ReplaceRelation)
    assert step.outcome.writes[5].key.redis_key == "course_1:unit:ancestors"
