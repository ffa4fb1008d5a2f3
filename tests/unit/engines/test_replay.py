"""Failed records, sent again: where to, once, and in an order in which nothing is lost."""

import json
from collections.abc import Sequence
from dataclasses import replace
from itertools import islice

import pytest
from tests.fakes import Letters, Remembered

from lern.engines.replay import Fate, Origins, Told, replay
from lern.errors import BadEvent
from lern.job import Message, Record
from lern.wire.failed import failed_record, without_content

ORIGINS = Origins(
    {"job-a": "in.a", "merge-user-courses": "in.m"},
    {"a.failed": ["job-a"], "shared.failed": ["job-a", "merge-user-courses"]},
)


def failed(value: bytes, offset: int = 0, job: str = "job-a", topic: str = "in.a") -> Record:
    """A record of one of our jobs on its failed topic."""
    message = failed_record(
        Record(topic, 2, 7, b"user", value, (("lern-attempts", b"1"),)), job, BadEvent("why"), "a.failed", 5
    )
    return lying(message, offset)


def lying(message: Message, offset: int = 0) -> Record:
    return Record(message.topic, 0, offset, message.key, message.value, message.headers, 1_000 + offset)


def foreign(value: object, topic: str = "a.failed", *headers: tuple[str, bytes | None]) -> Record:
    """A record that none of our jobs has written."""
    return Record(topic, 0, 0, b"user", json.dumps(value).encode(), headers, 1_000)


def fates(told: Sequence[Told]) -> list[Fate]:
    return [one.fate for one in told]


@pytest.fixture
def log() -> Letters:
    return Letters()


@pytest.fixture
def remembered() -> Remembered:
    return Remembered()


def test_a_message_goes_back_where_it_came_from_as_it_was(log: Letters, remembered: Remembered) -> None:
    told = list(replay([failed(b"\xff no JSON")], ORIGINS, log, remembered))

    assert fates(told) == [Fate.SENT]
    assert log.sent == [Message("in.a", b"user", b"\xff no JSON", (("lern-attempts", b"2"),))]


def test_what_was_sent_before_is_not_sent_unless_it_is_wanted(log: Letters, remembered: Remembered) -> None:
    records = [failed(b"{}", offset) for offset in range(3)]
    list(replay(records[:1], ORIGINS, log, remembered))

    assert fates(list(replay(records, ORIGINS, log, remembered))) == [Fate.BEFORE, Fate.SENT, Fate.SENT]
    assert len(log.sent) == 3
    assert fates(list(replay(records, ORIGINS, log, remembered, even_again=True))) == [Fate.SENT] * 3
    assert len(log.sent) == 6


def test_a_dry_run_tells_the_same_and_changes_nothing(log: Letters, remembered: Remembered) -> None:
    records = [failed(b"{}", 0), failed(b"{}", 1), foreign({"leftOutBytes": 5})._replace(offset=2)]
    remembered.remember(records[:1])

    told = list(replay(records, ORIGINS, log, remembered, dry_run=True))

    assert fates(told) == [Fate.BEFORE, Fate.SENT, Fate.CANNOT]
    assert (log.sent, remembered.places, remembered.turns) == ([], {records[0].place}, 0)


def test_a_process_that_is_killed_between_sending_and_remembering_has_lost_nothing(log: Letters) -> None:
    records = [failed(b"%d" % offset, offset) for offset in range(450)]
    remembered = Remembered()
    replaying = replay(records, ORIGINS, log, remembered)
    assert fates(list(islice(replaying, 200))) == [Fate.SENT] * 200
    remembered.crash = True
    with pytest.raises(KeyboardInterrupt):
        next(replaying)
    assert not remembered.in_turn

    rest = list(replay(records, ORIGINS, log, replace(remembered, crash=False)))

    assert fates(rest) == [Fate.BEFORE] * 200 + [Fate.SENT] * 250
    values = [message.value for message in log.sent]
    assert set(values) == {b"%d" % offset for offset in range(450)}
    assert len(values) == 450 + 200


def test_large_records_are_sent_a_few_at_a_time(log: Letters, remembered: Remembered) -> None:
    records = [failed(b"x" * 1_000_000, offset) for offset in range(10)]

    assert fates(list(replay(records, ORIGINS, log, remembered))) == [Fate.SENT] * 10
    assert remembered.turns == 3


def test_what_the_log_refuses_is_told_and_the_rest_goes(log: Letters, remembered: Remembered) -> None:
    log.refuses = lambda message: message.value == b"large"
    records = [failed(b"0", 0), failed(b"large", 1), failed(b"2", 2)]

    told = list(replay(records, ORIGINS, log, remembered))

    assert fates(told) == [Fate.SENT, Fate.CANNOT, Fate.SENT]
    assert told[1].why == "too large"
    assert remembered.places == {records[0].place, records[2].place}
    assert {message.value for message in log.sent} == {b"0", b"2"}


@pytest.mark.parametrize(
    ("record", "topic"),
    [
        (foreign({"a": 1, "jobName": "job-a"}), "in.a"),
        (foreign({"a": 1, "jobName": "MergeUserCourses"}, "shared.failed"), "in.m"),
        (foreign({"a": 1}), "in.a"),
        (foreign({"a": 1}, "a.failed", ("lern-topic", b"in.m")), "in.m"),
    ],
)
def test_records_of_the_original_jobs_go_to_the_input_of_their_job(
    record: Record, topic: str, log: Letters, remembered: Remembered
) -> None:
    list(replay([record], ORIGINS, log, remembered))

    assert log.sent == [Message(topic, b"user", b'{"a":1}', (("lern-attempts", b"1"),))]


@pytest.mark.parametrize(
    ("record", "why"),
    [
        (
            lying(without_content(failed_record(failed(b"x"), "job-a", BadEvent("w"), "a.failed", 5))),
            "no job here reads",
        ),
        (foreign({"leftOutBytes": 5}), "left out"),
        (foreign({"a": 1, "jobName": "post-publish-processor"}), "no job that is known"),
        (foreign({"a": 1}, "shared.failed"), "nothing says"),
        (foreign({"a": 1}, "a.failed", ("lern-topic", b"prod.payments")), "no job here reads"),
        (
            foreign({"a": 1}, "a.failed", ("lern-job", b"\xff"), ("lern-topic", b"in.a\x00")),
            "no job here reads",
        ),
        (foreign([1]), "no JSON object"),
        (Record("a.failed", 0, 0, None, None), "no JSON object"),
    ],
)
def test_what_cannot_go_back_is_told_with_the_reason(
    record: Record, why: str, log: Letters, remembered: Remembered
) -> None:
    [told] = replay([record], ORIGINS, log, remembered)

    assert told.fate is Fate.CANNOT
    assert why in told.why
    assert (log.sent, remembered.places) == ([], set())
