"""One turn: what is wrong costs only itself, and everything has its place and its count."""

import json
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest
from tests import toy
from tests.events import context, records
from tests.fakes import Tables, Topic, platform, turn

from lern.counts import Count
from lern.engines.turn import Plan, plan, settle
from lern.errors import Refused, Unavailable
from lern.job import Message, Record, SetUnit, Write
from lern.ports import Partition

PLACE = Partition("in", 0)


class RefusingTables(Tables):
    """Takes no unit named `unwritable`; what stands before it in a call is in place by then."""

    def apply(self, writes: Sequence[Write]) -> None:
        for write in writes:
            if isinstance(write, SetUnit) and write.unit == "unwritable":
                raise Refused("ERR_ROW", "such a row cannot be")
            super().apply([write])


class NarrowTopic(Topic):
    """Takes no message larger than a thousand bytes."""

    def stage(self, messages: Sequence[Message]) -> None:
        for message in messages:
            if len(message.value) > 1_000:
                raise Refused("ERR_TOO_LARGE", "too large")
            super().stage([message])


def run(
    *values: bytes, tables: Tables | None = None, topic: Topic | None = None
) -> tuple[Plan, Tables, Topic]:
    tables, topic = tables or Tables(), topic or Topic()
    done = turn(toy.JOB, records(values, first=10), platform(tables, topic), context())
    return done, tables, topic


def failures(topic: Topic) -> list[tuple[str, str]]:
    """Code and original of each failed record."""
    found = []
    for message in topic.to("failed"):
        record: Any = json.loads(message.value)
        found.append((record["failInfo"]["errorCode"], record["raw"]))
    return found


def words(tables: Tables) -> dict[str, list[str]]:
    return {key: json.loads(text) for key, text in tables.units.items()}


def test_events_are_gathered_by_key_in_their_order() -> None:
    done, tables, topic = run(b"a:1", b"b:1", b"a:2", b"a:1")

    assert words(tables) == {"a": ["1", "2", "1"], "b": ["1"]}
    assert [message.value.split()[0] for message in topic.sent] == [b"1", b"2", b"1", b"1"]
    assert tables.handled == {"1", "2"}
    assert done.counts() == {Count.TOTAL: 4, Count.SUCCESS: 4}


def test_the_position_moves_behind_the_batch() -> None:
    _, _, topic = run(b"a:1", b"a:2", b"bad")

    assert topic.positions == {PLACE: 13}


def test_a_batch_of_nothing_but_bad_and_skipped_messages_moves_on_too() -> None:
    done, tables, topic = run(b"bad", b"a:skip")

    assert topic.positions == {PLACE: 12}
    assert not tables.units
    assert done.counts() == {Count.TOTAL: 2, Count.FAILED: 1, Count.SKIPPED: 1}


def test_a_bad_message_costs_only_itself() -> None:
    done, tables, topic = run(b"a:1", b"bad", b"a:2", b"a:skip")

    assert words(tables) == {"a": ["1", "2"]}
    assert failures(topic) == [("ERR_INVALID_EVENT", "bad")]
    assert done.counts() == {Count.TOTAL: 4, Count.SUCCESS: 2, Count.FAILED: 1, Count.SKIPPED: 1}


def test_a_tombstone_is_a_bad_message() -> None:
    topic = Topic()
    batch = [Record("in", 0, 10, b"key", None)]

    turn(toy.JOB, batch, platform(Tables(), topic), context())

    assert failures(topic) == [("ERR_INVALID_EVENT", "")]
    assert topic.positions == {PLACE: 11}


@pytest.mark.parametrize(
    ("word", "code"),
    [("refused", "ERR_NO"), ("wrong", "ERR_INVALID_EVENT"), ("unreadable", "ERR_UNREADABLE")],
)
def test_a_group_that_is_refused_costs_only_itself(word: str, code: str) -> None:
    done, tables, topic = run(b"a:1", f"b:{word}".encode(), b"b:2", b"c:3")

    assert words(tables) == {"a": ["1"], "c": ["3"]}
    assert failures(topic) == [(code, f"b:{word}"), (code, "b:2")]
    assert tables.handled == {"1", "3"}
    counts = done.counts()
    assert (counts[Count.SUCCESS], counts[Count.FAILED]) == (2, 2)


def test_an_event_that_is_refused_by_itself_leaves_the_others_of_its_group() -> None:
    done, tables, topic = run(b"a:1", b"a:unfit", b"a:2", b"b:unfit", b"c:3")

    assert words(tables) == {"a": ["1", "2"], "c": ["3"]}
    assert failures(topic) == [("ERR_UNFIT", "a:unfit"), ("ERR_UNFIT", "b:unfit")]
    assert done.counts() == {Count.TOTAL: 5, Count.SUCCESS: 3, Count.FAILED: 2, Count.IGNORED: 2}
    assert topic.positions == {PLACE: 15}


def test_what_is_left_of_a_group_may_be_refused_as_a_whole() -> None:
    _, tables, topic = run(b"a:1", b"a:unfit", b"a:refused")

    assert not tables.units
    assert sorted(failures(topic)) == [
        ("ERR_NO", "a:1"),
        ("ERR_NO", "a:refused"),
        ("ERR_UNFIT", "a:unfit"),
    ]


def test_a_fault_in_a_check_costs_its_event_and_its_text_is_not_told() -> None:
    _, tables, topic = run(b"a:1", b"a:puzzling", b"b:2")

    assert words(tables) == {"a": ["1"], "b": ["2"]}
    assert failures(topic) == [("ERR_INTERNAL", "a:puzzling")]
    assert toy.PRIVATE.encode() not in topic.to("failed")[0].value


def test_a_refusal_may_have_a_count_of_its_own() -> None:
    done, _, _ = run(b"a:refused", b"a:1")

    assert done.counts() == {Count.TOTAL: 2, Count.FAILED: 2, Count.RETIRED: 2}


def test_a_group_that_is_alone_is_asked_for_once() -> None:
    _, _, topic = run(b"a:unreadable")

    assert failures(topic) == [("ERR_UNREADABLE", "a:unreadable")]


def test_a_fault_in_a_rule_costs_its_group_and_its_text_is_not_told() -> None:
    done, tables, topic = run(b"a:1", b"b:fault", b"c:3")

    assert words(tables) == {"a": ["1"], "c": ["3"]}
    assert failures(topic) == [("ERR_INTERNAL", "b:fault")]
    assert b"KeyError" in topic.to("failed")[0].value
    told = topic.to("failed")[0].value + repr([step.outcome.warnings for step in done.steps]).encode()
    assert toy.PRIVATE.encode() not in told


def test_a_row_that_cannot_be_costs_only_its_group() -> None:
    done, tables, topic = run(b"a:1", b"unwritable:2", b"c:3", tables=RefusingTables())

    assert words(tables) == {"a": ["1"], "c": ["3"]}
    assert failures(topic) == [("ERR_ROW", "unwritable:2")]
    assert [message.key for message in topic.to("out")] == [b"a", b"c"]
    assert tables.handled == {"1", "3"}
    assert done.counts() == {Count.TOTAL: 3, Count.SUCCESS: 2, Count.FAILED: 1}
    assert not tables.journal


def test_warnings_name_the_reason_of_a_failure() -> None:
    done, _, _ = run(b"a:refused", b"b:odd")

    warnings = [warning for step in done.steps for warning in step.outcome.warnings]
    assert sorted(warnings) == ["ERR_NO: the answer for a is no", "odd b"]


def test_a_failed_record_that_is_too_large_goes_without_its_content() -> None:
    large = b"x" * 2_000

    _, tables, topic = run(b"a:1", large, b"bad", topic=NarrowTopic())

    records_ = [json.loads(message.value) for message in topic.to("failed")]
    assert records_[0]["leftOutBytes"] > 2_000
    assert records_[0]["failInfo"]["errorCode"] == "ERR_INVALID_EVENT"
    assert [dict(message.headers)["lern-offset"] for message in topic.to("failed")] == [b"11", b"12"]
    assert [message.key for message in topic.to("out")] == [b"a"]
    assert words(tables) == {"a": ["1"]}


def test_a_log_that_refuses_even_the_short_record_is_waited_for() -> None:
    """Then it is not the event that is wrong."""

    class ClosedTopic(Topic):
        def stage(self, messages: Sequence[Message]) -> None:
            raise Refused("ERR_AUTHORIZATION", f"may not write to {messages[0].topic}")

    topic = ClosedTopic()

    with pytest.raises(Unavailable):
        run(b"bad", topic=topic)
    assert not topic.positions
    assert not topic.sent


def test_a_plan_changes_nothing() -> None:
    tables, topic = Tables(), Topic()

    decided = plan(toy.JOB, records([b"a:1", b"bad"]), tables.facts(), context())

    assert len(decided.steps) == 2
    assert tables == Tables()
    assert not topic.sent


def test_the_journal_is_empty_after_a_turn() -> None:
    _, tables, _ = run(b"a:1")

    assert not tables.journal


def test_without_a_journal_and_without_need_of_one_a_turn_is_the_same() -> None:
    _, expected, topic = run(b"a:1", b"bad")
    for job, journal in ((toy.JOB, False), (replace(toy.JOB, journalled=False), True)):
        tables, other = Tables(), Topic()
        batch = records([b"a:1", b"bad"], first=10)
        settle(
            job,
            plan(job, batch, tables.facts(), context()),
            batch,
            platform(tables, other, journal=journal),
            context(),
        )
        assert tables == expected
        assert other.sent == topic.sent
