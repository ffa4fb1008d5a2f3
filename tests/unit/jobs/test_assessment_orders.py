"""Attempts in any order, cut into any batches, repeated: what must not make a difference does not."""

import json
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

from hypothesis import given
from hypothesis import strategies as st
from tests.events import answer, assessment, context, records, settings
from tests.fakes import Tables, Topic, platform, turn

from lern.domain.model import BatchId, CourseId, EnrolmentKey, Relation, RelationKey, UserId
from lern.jobs.assessment_aggregator import JOB
from lern.wire.attempt_details import AttemptDetail

COURSE = CourseId("course_1")
START = datetime(1970, 1, 1, tzinfo=UTC)


class Event(NamedTuple):
    """One attempt; none of the scores: to be computed again."""

    user: str
    content: str
    attempt: str
    at: int
    scores: tuple[int, ...]
    """In tenths, of the questions q0, q1, ..."""

    @property
    def value(self) -> bytes:
        answers = [answer(f"q{number}", score / 10, 1) for number, score in enumerate(self.scores)]
        return assessment(*answers, user=self.user, content=self.content, attempt=self.attempt, at=self.at)


events = st.builds(
    Event,
    st.sampled_from(["u1", "u2"]),
    st.sampled_from(["quiz_1", "quiz_2", "no leaf"]),
    st.sampled_from(["a", "b", "c"]),
    st.integers(0, 4).map(lambda seconds: seconds * 1000),
    st.lists(st.integers(0, 10), max_size=3).map(tuple),
)
histories = st.lists(events, max_size=12)
attempts = events.filter(lambda event: event.scores and event.content != "no leaf")
distinct = st.lists(attempts, max_size=8, unique_by=lambda event: event[:4])


def tables() -> Tables:
    course = RelationKey(COURSE, COURSE, Relation.LEAF_NODES)
    return Tables(sets={course: frozenset({"quiz_1", "quiz_2"})})


def run(batches: Sequence[Sequence[Event]]) -> tuple[Tables, Topic]:
    """All batches, one turn each."""
    found, topic = tables(), Topic()
    first = 0
    for batch in batches:
        if batch:
            values = records([event.value for event in batch], first)
            turn(JOB, values, platform(found, topic), context(settings(JOB.name)))
            first += len(batch)
    return found, topic


def requests(topic: Topic, user: str) -> list[str]:
    """The attempts that the certificate requests of a learner name, in order."""
    sent = [json.loads(message.value)["edata"] for message in topic.to("certificates")]
    return [edata["attemptId"] for edata in sent if edata["userIds"] == [user]]


@given(histories, st.lists(st.integers(1, 5), min_size=12, max_size=12))
def test_events_of_one_batch_are_handled_as_if_each_had_a_turn_of_its_own(
    history: list[Event], cuts: list[int]
) -> None:
    alone, one_by_one = run([[event] for event in history])
    together, at_once = run([history])
    batches, at = [], 0
    for size in cuts:
        batches.append(history[at : at + size])
        at += size
    cut, in_pieces = run(batches)

    assert alone == together == cut
    for user in ("u1", "u2"):
        assert requests(one_by_one, user) == requests(at_once, user) == requests(in_pieces, user)
    assert len(one_by_one.to("failed")) == len(at_once.to("failed")) == len(in_pieces.to("failed"))


@given(distinct, st.randoms(use_true_random=False))
def test_the_order_of_attempts_does_not_matter(history: list[Event], random: object) -> None:
    shuffled = list(history)
    random.shuffle(shuffled)  # type: ignore[attr-defined]  # hypothesis says only that it is one

    assert run([history])[0] == run([shuffled])[0]


@given(histories, st.booleans())
def test_every_event_twice_is_every_event_once(history: list[Event], at_once: bool) -> None:
    twice = [event for each in history for event in (each, each)] if at_once else [*history, *history]

    once, told = run([history])
    again, told_again = run([twice])

    assert once == again
    repeated = sum(1 for event in history if not event.scores and event.content != "no leaf")
    if at_once:
        assert len(told_again.to("certificates")) == len(told.to("certificates")) + repeated


@given(histories)
def test_what_is_stored_is_what_the_specification_says(history: list[Event]) -> None:
    found, _ = run([history])

    for user in ("u1", "u2"):
        expected: dict[tuple[str, str], Event] = {}
        for event in history:
            if event.user != user or event.content == "no leaf" or not event.scores:
                continue
            before = expected.get(event[1:3])
            if before is None or event.at > before.at:
                expected[event[1:3]] = event
        key = EnrolmentKey(UserId(user), COURSE, BatchId("batch_1"))
        rows = found.attempted.get(key, {})
        assert {which: round(row.score * 10) for which, row in rows.items()} == {
            which: sum(event.scores) for which, event in expected.items()
        }
        assert all(
            row.attempted_on == START + timedelta(milliseconds=expected[which].at)
            for which, row in rows.items()
        )
        aggregates = found.aggregates.get((COURSE, user, "cb:batch_1"), {})
        assert aggregates == _aggregates(list(expected.values()))
        texts = found.details.get((COURSE, user, "cb:batch_1"), [])
        assert [(json.loads(text)["content_id"], json.loads(text)["attempt_id"]) for text in texts] == sorted(
            expected
        )
        assert all(json.loads(text).keys() <= {*AttemptDetail.__struct_encode_fields__} for text in texts)


def _aggregates(attempts: Sequence[Event]) -> dict[str, float]:
    """By content: the best score, of equal ones the first by name."""
    found: dict[str, float] = {}
    for content in {event.content for event in attempts}:
        mine = [event for event in attempts if event.content == content]
        best = min(mine, key=lambda event: (-sum(event.scores), event.attempt))
        found |= {
            f"score:{content}": sum(best.scores) / 10,
            f"max_score:{content}": float(len(best.scores)),
            f"attempts_count:{content}": float(len(mine)),
        }
    return found
