"""Statements on a real Cassandra: what is refused, how much goes together, what many threads may do."""

import logging
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime

import pytest
from cassandra.query import BoundStatement

from lern.adapters.cassandra import CassandraProgress, CassandraSession, CassandraWriter
from lern.domain.model import BatchId, Consumption, ContentId, CourseId, Enrolment, EnrolmentKey, UserId
from lern.errors import Refused
from lern.job import SetAggregates, SetConsumption, SetEnrolment
from lern.settings.model import Tables

_NOW = datetime(2026, 11, 23, 9, 30, tzinfo=UTC)
_CONTENT = ContentId("do_2")
_TOO_LONG = "x" * 70_000
"""A key has 65,535 bytes at most."""


@pytest.fixture
def progress(cassandra_session: CassandraSession, cassandra_tables: Tables) -> CassandraProgress:
    return CassandraProgress(cassandra_session, cassandra_tables)


@pytest.fixture
def writer(cassandra_session: CassandraSession, cassandra_tables: Tables) -> CassandraWriter:
    return CassandraWriter(cassandra_session, cassandra_tables, 10)


def keys(count: int) -> list[EnrolmentKey]:
    some = uuid.uuid4().hex
    return [
        EnrolmentKey(UserId(f"{some}-{number}"), CourseId("do_1"), BatchId("b1")) for number in range(count)
    ]


@pytest.mark.parametrize(
    "user", [_TOO_LONG, "", "half of a pair: \ud83d"], ids=["too long", "empty", "not Unicode"]
)
def test_what_the_server_never_takes_is_refused_and_the_rest_can_be_written(
    progress: CassandraProgress, writer: CassandraWriter, user: str
) -> None:
    good = keys(30)
    bad = EnrolmentKey(UserId(user), CourseId("do_1"), BatchId("b1"))
    writes = [SetConsumption(key, _CONTENT, 2, 1, 1) for key in [*good, bad]]

    for ask in (lambda: writer.apply(writes), lambda: progress.enrolments([*good, bad])):
        with pytest.raises(Refused) as caught:
            ask()
        assert caught.value.code == "ERR_STORE_REFUSED"
        assert "xxx" not in caught.value.reason
    for write in writes[:-1]:
        writer.apply([write])

    assert progress.consumption(good) == {key: {_CONTENT: Consumption(2, 1, 1)} for key in good}


def test_a_number_that_does_not_fit_is_refused(writer: CassandraWriter) -> None:
    with pytest.raises(Refused, match="cannot be stored"):
        writer.apply([SetConsumption(keys(1)[0], _CONTENT, 2, 2**31, 1)])


@pytest.mark.parametrize(
    ("milliseconds", "read"),
    [
        (1_700_000_000_000_000, datetime.max.replace(tzinfo=UTC)),
        (-(10**15), datetime.min.replace(tzinfo=UTC)),
    ],
)
def test_a_time_that_cannot_be_still_counts_as_one(
    cassandra_session: CassandraSession,
    cassandra_tables: Tables,
    progress: CassandraProgress,
    milliseconds: int,
    read: datetime,
) -> None:
    [key] = keys(1)
    cassandra_session.define(
        f"INSERT INTO {cassandra_tables.user_enrolments} (userid, courseid, batchid, status, completedon)"  # noqa: S608  # the test's
        f" VALUES ('{key.user}', '{key.course}', '{key.batch}', 2, {milliseconds})"
    )

    assert progress.enrolments([key]) == {key: Enrolment(2, read)}


def test_after_an_error_no_more_statements_are_sent(
    cassandra_session: CassandraSession, cassandra_tables: Tables
) -> None:
    select = cassandra_session.prepare(
        f"SELECT status FROM {cassandra_tables.user_enrolments} WHERE userid = ?",  # noqa: S608  # the test's
        "text",
    )
    sent = 0

    def statements() -> Iterator[BoundStatement]:
        nonlocal sent
        for _ in range(5_000):
            sent += 1
            yield select.bind(_TOO_LONG if sent == 40 else "u")

    with pytest.raises(Refused):
        cassandra_session.run(statements(), in_flight=10)

    assert sent <= 60


def test_batches_stay_below_what_a_server_warns_of(
    writer: CassandraWriter, caplog: pytest.LogCaptureFixture
) -> None:
    learners = keys(120)
    contents = [ContentId(f"do_{number:020}") for number in range(300)]

    with caplog.at_level(logging.WARNING):
        writer.apply(
            [
                *(SetConsumption(key, content, 2, 1, 1) for content in contents[:5] for key in learners),
                *(
                    SetAggregates(unit, key.user, key.context, {"completedCount": 1.0}, _NOW)
                    for unit in contents[:5]
                    for key in learners
                ),
                *(
                    SetEnrolment(key, 1, _NOW, dict.fromkeys(contents[: 3 * number], 2), 1)
                    for number, key in enumerate(learners)
                ),
            ]
        )

    assert [record.getMessage() for record in caplog.records if "atch" in record.getMessage()] == []


def test_batches_of_whatever_size_write_the_same(
    cassandra_session: CassandraSession, cassandra_tables: Tables, progress: CassandraProgress
) -> None:
    for size in (1, 2, 7, 10_000):
        learners = keys(50)
        writes = [
            SetConsumption(key, ContentId(f"do_{number}"), 2, number, 1)
            for number in range(20)
            for key in learners
        ]

        CassandraWriter(cassandra_session, cassandra_tables, size).apply(writes)

        contents = {f"do_{number}": Consumption(2, number, 1) for number in range(20)}
        assert progress.consumption(learners) == dict.fromkeys(learners, contents)


def test_threads_share_one_session(progress: CassandraProgress, writer: CassandraWriter) -> None:
    def work(views: int) -> bool:
        learners = keys(100)
        writer.apply([SetConsumption(key, _CONTENT, 2, views, 1) for key in learners])
        return progress.consumption(learners) == {
            key: {_CONTENT: Consumption(2, views, 1)} for key in learners
        }

    with ThreadPoolExecutor(8) as threads:
        assert all(threads.map(work, range(40)))
