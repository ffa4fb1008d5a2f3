"""Many enrolments computed again without messages: what is written, what is told, and in which order."""

import json
from collections import Counter
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.events import NOW, context, update
from tests.fakes import Directory, How, Outbox, Tables, Trouble, upkeep
from tests.one_course import COURSE, EARLIER, WHO, handle, of

from lern.domain.model import Consumption, ContentId, CourseId, Enrolment, EnrolmentKey, UserId
from lern.engines.reconcile import Difference, finish, preview, reconcile
from lern.errors import Refused, Unavailable
from lern.job import Write
from lern.ports import Partition

_ENTRY = Partition("reconcile", 0)
_DONE, _BEGUN = Consumption(2, 1, 1), Consumption(1)


def batch(number: int) -> Tables:
    """So many learners: of three, one has nothing, one has begun, one has completed the course; no row says so."""
    tables = of({COURSE: {"a", "b"}, "u1": {"a"}})
    contents: tuple[dict[ContentId, Consumption], ...] = (
        {},
        {ContentId("a"): _DONE, ContentId("b"): _BEGUN},
        {ContentId("a"): _DONE, ContentId("b"): _DONE},
    )
    for at in range(number):
        key = learner(at)
        tables.enrolled[key] = Enrolment(1)
        tables.progress[key] = (77, {ContentId("z"): 1})
        if contents[at % 3]:
            tables.contents[key] = dict(contents[at % 3])
    return tables


def learner(at: int) -> EnrolmentKey:
    return WHO._replace(user=UserId(f"user_{at:03}"))


def told(outbox: Outbox) -> Counter[tuple[str, str]]:
    """What was told, and of whom."""
    found: Counter[tuple[str, str]] = Counter()
    for message in outbox.sent:
        edata = json.loads(message.value)["edata"]
        found[edata.get("type") or edata["action"], (message.key or b"").decode()] += 1
    return found


def is_right(tables: Tables, number: int) -> None:
    for at in range(number):
        key = learner(at)
        expected = (
            (Enrolment(1), (0, None)),
            (Enrolment(1), (1, {"a": 2, "b": 1})),
            (Enrolment(2, NOW), (2, {"a": 2, "b": 2})),
        )[at % 3]
        assert (tables.enrolled[key], tables.progress[key]) == expected
        count = tables.aggregates.get((COURSE, key.user, key.context), {}).get("completedCount")
        assert count == (None, 1.0, 2.0)[at % 3]


def test_damaged_rows_are_repaired_and_completions_told_once() -> None:
    tables = batch(9)
    outbox = Outbox(tables)
    keys = [learner(at) for at in range(9)]

    done = reconcile(keys, upkeep(tables, outbox), context(), _ENTRY)
    again = reconcile(keys, upkeep(tables, outbox), context(), _ENTRY)

    is_right(tables, 9)
    assert {change.enrolment for change in done.changes} == set(keys)
    assert (done.completed, done.failures) == (3, [])
    assert told(outbox) == Counter(
        {(what, learner(at).user): 1 for at in (2, 5, 8) for what in ("issue-certificate", "enrol-complete")}
    )
    assert outbox.premature == []
    assert tables.journal == {}
    # What has nothing stored keeps a progress of 0; rows that are right are no changes.
    assert (again.changes, again.completed) == ([], 0)


def test_a_preview_says_what_would_change_and_changes_nothing() -> None:
    tables = batch(3)
    outbox = Outbox(tables)

    found = preview([learner(at) for at in range(3)], upkeep(tables, outbox), context())

    assert [change.progress for change in found.changes] == [(77, 0), (77, 1), (77, 2)]
    assert [change.status for change in found.changes] == [(1, 1), (1, 1), (1, 2)]
    assert found.changes[0].differences == [Difference("progress", 77, 0)]
    assert sorted(found.changes[2].differences) == sorted(
        [
            Difference("progress", 77, 2),
            Difference("status", 1, 2),
            Difference("completedon", None, NOW),
            Difference("contentstatus", {"z": 1}, {"a": 2, "b": 2}),
            Difference("completedCount of course_1", None, 2.0),
            Difference("completedCount of u1", None, 1.0),
        ]
    )
    assert found.completed == 1
    assert (tables.aggregates, outbox.sent, tables.journal) == ({}, [], {})
    assert tables.progress[learner(0)] == (77, {"z": 1})


def test_rows_that_are_right_are_not_written() -> None:
    tables = batch(2)
    outbox = Outbox(tables)
    keys = [learner(0), learner(1)]
    reconcile(keys, upkeep(tables, outbox), context(), _ENTRY)
    tables.aggregates["u1", learner(1).user, learner(1).context]["completedCount"] = 5.0
    writes: list[Write] = []

    class Noting(Tables):
        def apply(self, those: Sequence[Write]) -> None:
            writes.extend(those)

    noting = Noting(**vars(tables))
    done = reconcile(keys, upkeep(noting, outbox), context(), _ENTRY)

    assert [change.differences for change in done.changes] == [[Difference("completedCount of u1", 5.0, 1.0)]]
    assert {getattr(write, "activity", None) for write in writes} == {"u1"}


def test_what_cannot_be_decided_or_written_fails_alone() -> None:
    tables = batch(6)
    outbox = Outbox(tables)
    other = WHO._replace(course=CourseId("course_x"))

    class Refusing(Tables):
        def apply(self, writes: Sequence[Write]) -> None:
            if any(getattr(write, "enrolment", None) == learner(2) for write in writes):
                raise Refused("ERR_STORE_REFUSED", "no")
            super().apply(writes)

    refusing = Refusing(**vars(tables))
    keys = [*(learner(at) for at in range(6)), other]
    done = reconcile(keys, upkeep(refusing, Outbox(refusing)), context(), _ENTRY)

    codes = {key: error.code for key, error in done.failures}
    assert codes == {learner(2): "ERR_STORE_REFUSED", other: "ERR_LEAF_NODES_MISSING"}
    assert {change.enrolment for change in done.changes} == {learner(at) for at in (0, 1, 3, 4, 5)}
    assert refusing.enrolled[learner(5)].status == 2
    assert outbox.sent == []


def test_a_learner_who_goes_on_meanwhile_is_decided_again() -> None:
    tables = of({COURSE: {"a", "b"}}, enrolled=Enrolment(1))
    tables.contents[WHO] = {ContentId("a"): _DONE}
    tables.progress[WHO] = (0, None)

    class Meanwhile(Tables):
        """The updater completes the course between our decision and our write."""

        came = False

        def apply(self, writes: Sequence[Write]) -> None:
            if not self.came:
                self.came = True
                handle(self, update("b", user=WHO.user))
                assert self.enrolled[WHO].status == 2
            super().apply(writes)

    both = Meanwhile(**vars(tables))
    outbox = Outbox(both)
    reconcile([WHO], upkeep(both, outbox), context(), _ENTRY)

    assert both.enrolled[WHO] == Enrolment(2, NOW)
    assert both.progress[WHO] == (2, {"a": 2, "b": 2})
    assert both.aggregates[COURSE, WHO.user, WHO.context] == {"completedCount": 2.0}


@given(at=st.integers(0, 14), how=st.sampled_from(["before", "half", "after"]), at_again=st.integers(0, 20))
def test_wherever_it_ends_the_next_run_loses_no_completion(at: int, how: How, at_again: int) -> None:
    tables = batch(9)
    outbox = Outbox(tables)
    keys = [learner(number) for number in range(9)]
    for trouble in (Trouble(at, how), Trouble(at_again, how), Trouble()):
        using = upkeep(tables, outbox, trouble)
        try:
            finish(using, _ENTRY)
            reconcile(keys, using, context(), _ENTRY)
        except Unavailable:
            continue
        break

    is_right(tables, 9)
    assert tables.journal == {}
    assert set(told(outbox)) == {
        (what, learner(at).user) for at in (2, 5, 8) for what in ("issue-certificate", "enrol-complete")
    }
    assert outbox.premature == []


def test_finishing_tells_only_of_those_whose_rows_are_in_place() -> None:
    tables = batch(6)
    outbox = Outbox(tables)
    keys = [learner(2), learner(5)]
    # Decided and journalled, and half of the writes are in place: those of the first learner.
    with pytest.raises(Unavailable):
        reconcile(keys, upkeep(tables, outbox, Trouble(5, "half")), context(), _ENTRY)
    assert _ENTRY in tables.journal
    completed = {key.user for key in keys if tables.enrolled[key].status == 2}
    assert completed == {learner(2).user}

    assert finish(upkeep(tables, outbox), _ENTRY) == 1
    assert {user for _, user in told(outbox)} == completed
    assert finish(upkeep(tables, outbox), _ENTRY) == 0
    assert tables.enrolled[learner(5)] == Enrolment(1)


def test_a_completed_enrolment_is_left_alone() -> None:
    tables = of({COURSE: {"a", "b"}}, enrolled=Enrolment(2, EARLIER))
    tables.contents[WHO] = {ContentId("a"): _DONE}
    outbox = Outbox(tables)

    reconcile([WHO], upkeep(tables, outbox), context(), _ENTRY)

    assert tables.enrolled[WHO] == Enrolment(2, EARLIER)
    assert tables.aggregates[COURSE, WHO.user, WHO.context] == {"completedCount": 1.0}
    assert outbox.sent == []
    assert list(Directory(tables).enrolled(COURSE, None))[-1].share == 1.0
