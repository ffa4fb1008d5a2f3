"""merge-user-courses: what one merge leads to as a whole (jobs, section 5)."""

import json
from copy import deepcopy
from dataclasses import replace
from typing import Any

import msgspec
import pytest
from tests.accounts import (
    AGGREGATES,
    ATTEMPTS,
    CONSUMPTION,
    EARLIER,
    ENROLMENTS,
    LATER,
    aggregate,
    attempt,
    consumed,
    counts,
    enrolled,
    merged,
    of,
)
from tests.events import context, merge, records, settings
from tests.fakes import Tables, Topic, Trouble, platform, troubled, turn

from lern.engines.turn import Plan, plan
from lern.errors import Refused, Unavailable
from lern.job import PutRow, SetContributions
from lern.jobs import merge_user_courses
from lern.settings.model import RedisDatabases, RedisSettings

PAIR = ("old", "new")


def two_accounts() -> Tables:
    """Both have done something of one course, the old one of another as well."""
    return of(
        user_content_consumption=[
            consumed("old", "do_1", status=2, viewcount=3, completedcount=1, last_access_time=LATER),
            consumed("old", "do_2", status=1, viewcount=1),
            consumed("old", "do_9", "course_2", viewcount=4),
            consumed("new", "do_1", status=1, viewcount=2, last_access_time=EARLIER),
        ],
        user_enrolments=[
            enrolled("old", status=b"\1"),
            enrolled("old", "course_2", status=b"\2"),
            enrolled("new", status=b"\1"),
            enrolled("new", "course_3", status=b"\1"),
        ],
        assessment_aggregator=[attempt("old", "a1", total_score=b"\1")],
        user_activity_agg=[
            aggregate("old", aggregates={"completedCount": 1.0}, agg_last_updated={"completedCount": EARLIER})
        ],
    )


def totals(done: Plan) -> dict[str, int]:
    return {count.value: number for count, number in done.counts().items()}


def test_a_merge_is_counted() -> None:
    [done], _ = merged(two_accounts(), PAIR)

    # Rows and enrolments of two accounts, attempts of two batches each, aggregates of two courses, of which one exists.
    assert totals(done) == {"total": 1, "success": 1, "db_reads": 9, "db_updates": 6}


def test_every_enrolment_of_the_account_that_stays_is_computed_again() -> None:
    _, topic = merged(two_accounts(), PAIR)

    assert {message.topic for message in topic.sent} == {"syncs"}
    assert {message.key for message in topic.sent} == {b"new"}
    edata = [json.loads(message.value)["edata"] for message in topic.sent]
    assert {one["userId"] for one in edata} == {"new"}
    assert [one["courseId"] for one in edata] == ["course_1", "course_2", "course_3"]


def test_the_rows_of_the_old_account_stay() -> None:
    tables = two_accounts()
    before = deepcopy(tables.rows)

    merged(tables, PAIR)

    for table in (CONSUMPTION, ENROLMENTS, ATTEMPTS, AGGREGATES):
        kept = {key: row for key, row in tables.rows[table].items() if "old" in key}
        assert kept == {key: row for key, row in before[table].items() if "old" in key}


def test_the_same_message_twice_writes_nothing_more() -> None:
    tables = two_accounts()

    (first, second), topic = merged(tables, PAIR, PAIR)

    assert [bool(done.steps[0].outcome.writes) for done in (first, second)] == [True, False]
    assert len(topic.sent) == 6


def test_an_account_without_anything_changes_nothing() -> None:
    tables = two_accounts()
    before = deepcopy(tables.rows)

    [done], topic = merged(tables, ("nobody", "new"))

    assert tables.rows == before
    assert tables.origins == {}
    assert len(topic.sent) == 2
    assert totals(done)["success"] == 1


def test_more_activity_of_the_old_account_is_added_once() -> None:
    tables = of(user_content_consumption=[consumed("old", viewcount=3), consumed("new", viewcount=2)])
    key = ("old", "course_1", "batch_1", "do_1")
    merged(tables, PAIR)

    tables.rows[CONSUMPTION][key] |= {"viewcount": 4, "completedcount": 1}
    merged(tables, PAIR, PAIR)

    assert counts(tables, "new") == {("course_1", "batch_1", "do_1"): (6, 1)}


def test_what_came_over_a_third_account_is_known() -> None:
    tables = of(user_content_consumption=[consumed("a", viewcount=1), consumed("b", viewcount=10)])

    merged(tables, ("a", "b"), ("b", "c"), ("a", "c"), ("c", "a"), ("a", "b"))

    key = ("course_1", "batch_1", "do_1")
    assert [counts(tables, user)[key] for user in "abc"] == [(11, 0)] * 3


def test_a_list_of_enrolments_that_another_service_keeps_is_dropped_when_there_are_new_ones() -> None:
    server = RedisSettings("localhost")
    using = replace(settings(), redis=RedisDatabases(server, server, server, enrolments=server))
    tables = two_accounts()

    merged(tables, PAIR, PAIR, settings=using)

    assert tables.forgotten == ["new"]


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (merge("", "new"), {"total": 1, "failed": 1, "skipped": 1}),
        (merge("new", "new"), {"total": 1, "failed": 1, "skipped": 1}),
        (b"{", {"total": 1, "failed": 1}),
    ],
)
def test_what_names_no_two_accounts_fails_and_changes_nothing(value: bytes, expected: dict[str, int]) -> None:
    tables, topic = two_accounts(), Topic()
    before = deepcopy(tables.rows)

    done = turn(merge_user_courses.JOB, records([value]), platform(tables, topic), context())

    assert totals(done) == expected
    assert [message.topic for message in topic.sent] == ["failed"]
    assert tables.rows == before


def test_a_plan_survives_the_journal() -> None:
    decided = plan(
        merge_user_courses.JOB, records([merge(*PAIR)]), platform(two_accounts(), Topic()).facts, context()
    )

    [step] = msgspec.msgpack.decode(msgspec.msgpack.encode(decided), type=Plan).steps

    assert step.outcome.writes == decided.steps[0].outcome.writes
    assert step.outcome.messages == decided.steps[0].outcome.messages
    kinds = {type(write) for write in step.outcome.writes}
    assert kinds == {PutRow, SetContributions}


def test_threads_keep_apart_what_has_an_account_in_common() -> None:
    held: list[Any] = []
    plan(
        merge_user_courses.JOB,
        records([merge(*PAIR)]),
        platform(Tables(), Topic()).facts,
        context(),
        held.extend,
    )

    assert held == ["old", "new"]


def test_two_processes_that_merge_into_one_account_at_once_are_put_right_by_another_try() -> None:
    rows = [consumed("a", viewcount=5), consumed("b", viewcount=4), consumed("new", viewcount=3)]
    tables = of(user_content_consumption=rows)
    facts = platform(tables, Topic()).facts
    both = [
        plan(merge_user_courses.JOB, records([merge(source, "new")]), facts, context()) for source in "ab"
    ]
    for decided in both:
        tables.apply(decided.steps[0].outcome.writes)
    key = ("course_1", "batch_1", "do_1")
    assert counts(tables, "new")[key] == (7, 0)

    merged(tables, ("a", "new"), ("b", "new"))

    assert counts(tables, "new")[key] == (12, 0)


def state(tables: Tables) -> object:
    return tables.rows, tables.origins


def undisturbed() -> object:
    tables = two_accounts()
    merged(tables, PAIR)
    return state(tables)


@pytest.mark.parametrize("how", ["before", "half", "after"])
@pytest.mark.parametrize("at", range(9))
def test_trouble_anywhere_and_another_try_is_as_no_trouble(at: int, how: Any) -> None:
    tables, topic = two_accounts(), Topic()
    trouble = Trouble(at, how)
    with pytest.raises(Unavailable):
        turn(
            merge_user_courses.JOB,
            records([merge(*PAIR)]),
            troubled(platform(tables, topic), trouble),
            context(),
        )

    merged(tables, PAIR, PAIR)

    assert len(trouble.calls) > at
    assert state(tables) == undisturbed()


def test_a_merge_that_stops_after_any_write_is_completed_by_another_try() -> None:
    [step] = plan(
        merge_user_courses.JOB, records([merge(*PAIR)]), platform(two_accounts(), Topic()).facts, context()
    ).steps
    writes = list(step.outcome.writes)
    assert len(writes) > 6

    for done in range(len(writes) + 1):
        tables = two_accounts()
        tables.apply(writes[:done])
        merged(tables, PAIR)
        assert state(tables) == undisturbed(), f"after {done} writes"


def test_a_merge_that_a_store_refused_half_way_can_be_sent_again() -> None:
    tables, topic = two_accounts(), Topic()
    refusal = Refused("ERR_STORE_REFUSED", "a row cannot be")

    class Refusing:
        def apply(self, writes: Any) -> None:
            tables.apply(writes[: len(writes) // 2])
            raise refusal

        def mark(self, marks: Any) -> None:
            tables.mark(marks)

    done = turn(
        merge_user_courses.JOB,
        records([merge(*PAIR)]),
        replace(platform(tables, topic), stores=Refusing()),
        context(),
    )
    assert totals(done) == {"total": 1, "failed": 1}

    merged(tables, PAIR)

    assert state(tables) == undisturbed()


def test_what_a_row_holds_of_another_account_outlives_a_row_that_was_reset() -> None:
    tables = of(user_content_consumption=[consumed("old", viewcount=3), consumed("new", viewcount=2)])
    merged(tables, PAIR)

    del tables.rows[CONSUMPTION]["new", "course_1", "batch_1", "do_1"]
    merged(tables, PAIR, PAIR)

    # The learner's own two are known from the merge.
    assert counts(tables, "new") == {("course_1", "batch_1", "do_1"): (5, 0)}
