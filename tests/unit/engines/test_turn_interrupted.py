"""Whatever call fails, and however: trying again leads to the rows and messages of an undisturbed run."""

import copy
import json
from collections.abc import Sequence

import pytest
from tests.events import (
    COLLECTION,
    answer,
    assessment,
    context,
    publish,
    records,
    request,
    settings,
    sync,
    update,
)
from tests.fakes import How, Tables, Topic, Trouble, platform, troubled, turn

from lern.domain.model import BatchId, CourseId, Enrolment, EnrolmentKey, UserId
from lern.engines.turn import AnyJob
from lern.errors import Unavailable
from lern.job import Message, Record
from lern.jobs import activity_aggregate_updater, assessment_aggregator, relation_cache_updater
from lern.settings.model import JobSettings

COURSE = CourseId("course_1")
PROGRESS = records(
    [
        update("a"),
        update("a", "b", user="user_2"),
        b"no JSON",
        sync("user_3"),
        update("a", course="unknown"),
        request({"action": "other"}),
        update("a", status=1),
        update("b"),
    ]
)
"""Completes the course for two learners; the relation cache is empty before."""
LATER = records([update("a"), update("c"), sync(), update("a", "b", user="user_2")], first=len(PROGRESS))


ATTEMPTS = records(
    [
        assessment(answer("q1"), answer("q2", 2), at=5),
        b"no JSON",
        assessment(answer("q1", 2), at=5),
        assessment(answer("q1", 2), at=4, attempt="attempt_2"),
        assessment(answer("q1", 0), at=6),
        assessment(answer(), user="user_2"),
        assessment(user="user_3"),
    ]
)
MORE_ATTEMPTS = records(
    [assessment(answer(), at=6), assessment(answer(), at=7), assessment()], first=len(ATTEMPTS)
)


def stored() -> Tables:
    """Three learners; the course's tree is only in its table."""
    children = [{"identifier": name} for name in ("a", "b")]
    unit = {"identifier": "u", "mimeType": COLLECTION, "visibility": "Parent", "children": children}
    tree = {"identifier": COURSE, "mimeType": COLLECTION, "children": [unit]}
    tables = Tables(trees={COURSE: json.dumps(tree).encode()})
    for user in ("user_1", "user_2", "user_3"):
        tables.enrolled[EnrolmentKey(UserId(user), COURSE, BatchId("batch_1"))] = Enrolment()
    return tables


def carried_out(
    job: AnyJob, batches: Sequence[Sequence[Record]], trouble: Trouble, using: JobSettings | None = None
) -> tuple[Tables, list[Message]]:
    """Turns of a job, each tried until it succeeds; what is stored and sent in the end."""
    tables, topic = stored(), Topic()
    for batch in batches:
        for attempt in range(3):
            assert attempt < 2, "one trouble is one more attempt"
            try:
                turn(job, batch, troubled(platform(tables, topic), trouble), context(using))
            except Unavailable:
                continue
            break
    assert topic.positions == {(batch[0].topic, 0): batches[-1][-1].offset + 1}
    return tables, topic.sent


def calls(job: AnyJob, batches: Sequence[Sequence[Record]]) -> list[str]:
    """The calls of an undisturbed run."""
    trouble = Trouble()
    carried_out(job, batches, trouble)
    return trouble.calls


JOBS: dict[str, tuple[AnyJob, list[list[Record]]]] = {
    "progress": (activity_aggregate_updater.JOB, [PROGRESS, LATER]),
    "scores": (assessment_aggregator.JOB, [ATTEMPTS, MORE_ATTEMPTS]),
    "relations": (relation_cache_updater.JOB, [records([publish(), publish("none"), b"no JSON"])]),
}


def test_all_ports_are_called() -> None:
    assert {"attempts", "members", "record", "apply"} < set(calls(*JOBS["scores"]))
    assert set(calls(*JOBS["progress"])) == {
        *("recall", "record", "forget"),
        *("seen", "consumption", "enrolments", "members", "statuses", "hierarchies"),
        *("apply", "stage", "mark", "commit"),
    }


@pytest.mark.parametrize("how", ["before", "half", "after"])
@pytest.mark.parametrize("name", JOBS)
def test_a_call_that_fails_once_changes_nothing_in_the_end(name: str, how: How) -> None:
    job, batches = JOBS[name]
    tables, sent = carried_out(job, batches, Trouble())
    for at, called in enumerate(calls(job, batches)):
        if called == "forget" or (called == "commit" and how == "after"):
            continue  # see below
        found, messages = carried_out(job, batches, Trouble(at, how))
        assert found == tables, f"{called}, call {at}"
        assert messages == sent, f"{called}, call {at}"


def test_a_commit_whose_answer_is_lost_repeats_messages_and_makes_no_new_ones() -> None:
    job, batches = JOBS["progress"]
    tables, sent = carried_out(job, batches, Trouble())
    for at in [at for at, called in enumerate(calls(job, batches)) if called == "commit"]:
        found, messages = carried_out(job, batches, Trouble(at, "after"))
        assert found == tables
        assert set(messages) == set(sent)


@pytest.mark.parametrize("how", ["before", "after"])
@pytest.mark.parametrize("dedup", [True, False])
def test_a_journal_that_cannot_forget_repeats_nothing(how: How, dedup: bool) -> None:
    """The turn is committed by then: nothing of it may be done again."""
    (job, batches), using = JOBS["progress"], settings(dedup=dedup)
    trouble = Trouble()
    tables, sent = carried_out(job, batches, trouble, using)
    for at in [at for at, called in enumerate(trouble.calls) if called == "forget"]:
        found, messages = carried_out(job, batches, Trouble(at, how), using)
        found.journal.clear()
        assert found == tables
        assert messages == sent


@pytest.mark.parametrize("how", ["before", "after"])
def test_what_was_staged_is_taken_back_when_the_turn_fails(how: How) -> None:
    job, batches = JOBS["progress"]
    names = calls(job, batches)
    for name in ("stage", "mark", "commit"):
        if (name, how) == ("commit", "after"):
            continue
        trouble, topic = Trouble(names.index(name), how), Topic()
        with pytest.raises(Unavailable):
            turn(job, PROGRESS, troubled(platform(stored(), topic), trouble), context())
        assert trouble.calls[-1] == "abort"
        assert not topic.staged
        assert not topic.sent


def test_troubles_in_a_row_change_nothing_either() -> None:
    job, batches = JOBS["progress"]
    tables, sent = carried_out(job, batches, Trouble())
    found, topic = stored(), Topic()
    for batch in batches:
        for at in range(40):
            trouble = Trouble(at, "half" if at % 2 else "before")
            before = copy.deepcopy(topic.positions)
            try:
                turn(job, batch, troubled(platform(found, topic), trouble), context())
            except Unavailable:
                if trouble.calls[at] == "forget":
                    break
                assert topic.positions == before
                continue
            break
    found.journal.clear()

    assert found == tables
    assert topic.sent == sent
