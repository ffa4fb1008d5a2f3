"""Tables that are missing, differ, or have more than jobs know: what is checked, created, and got along with."""

import uuid
from collections.abc import Iterator
from datetime import UTC, datetime

import pytest
from tests.keyspaces import OTHER_ATTEMPTS, tables_in

from lern.adapters.cassandra import (
    CassandraAttempts,
    CassandraHierarchies,
    CassandraProgress,
    CassandraSession,
    CassandraWriter,
    schema,
)
from lern.adapters.cassandra.schema import Difference
from lern.adapters.tables import USER_ENROLMENTS
from lern.domain.model import (
    Attempt,
    AttemptId,
    BatchId,
    Consumption,
    ContentId,
    CourseId,
    Enrolment,
    EnrolmentKey,
    UserId,
)
from lern.errors import SettingsError, Unavailable
from lern.job import Question, SetAggregates, SetAttempt, SetConsumption, SetEnrolment
from lern.settings.model import Tables

_NOW = datetime(2026, 11, 23, 9, 30, tzinfo=UTC)


@pytest.fixture
def keyspace(cassandra_session: CassandraSession) -> Iterator[str]:
    """The name of one that is not there yet."""
    name = f"definitions_{uuid.uuid4().hex[:12]}"
    yield name
    cassandra_session.define(f"DROP KEYSPACE IF EXISTS {name}")


def key() -> EnrolmentKey:
    return EnrolmentKey(UserId(uuid.uuid4().hex), CourseId("do_1"), BatchId("b1"))


def test_an_empty_cluster_gets_all_tables_and_then_nothing_differs(
    cassandra_session: CassandraSession, keyspace: str
) -> None:
    tables = tables_in(keyspace)
    assert schema.check(cassandra_session, schema.named(tables)) == [Difference(keyspace, "a keyspace", None)]

    created = schema.apply(cassandra_session, schema.named(tables))

    assert created == [
        keyspace,
        tables.content_consumption,
        tables.user_enrolments,
        tables.user_activity_agg,
        tables.question,
        tables.assessment_aggregator,
        tables.content_hierarchy,
    ]
    assert schema.check(cassandra_session, schema.named(tables)) == []
    assert schema.apply(cassandra_session, schema.named(tables)) == []


def test_only_what_is_missing_is_created_and_what_differs_is_told_and_left(
    cassandra_session: CassandraSession, keyspace: str
) -> None:
    tables = tables_in(keyspace)
    cassandra_session.define(schema.create_keyspace(keyspace, 1))
    cassandra_session.define(
        f"CREATE TABLE {tables.user_enrolments} (userid text, batchid text, courseid text, status bigint,"
        " of_ours text, PRIMARY KEY ((userid, batchid), courseid))"
    )

    created = schema.apply(cassandra_session, schema.named(tables))

    assert created == [
        tables.content_consumption,
        tables.user_activity_agg,
        tables.question,
        tables.assessment_aggregator,
        tables.content_hierarchy,
    ]
    found = schema.check(cassandra_session, schema.named(tables))
    where = tables.user_enrolments
    assert Difference(where, "partition_key (userid)", "partition_key (userid, batchid)") in found
    assert Difference(where, "clustering (courseid, batchid)", "clustering (courseid)") in found
    assert Difference(f"{where}.status", "int", "bigint") in found
    assert Difference(f"{where}.contentstatus", "map<text, int>", None) in found
    assert not [difference for difference in found if "of_ours" in difference.where]


def attempt(enrolment: EnrolmentKey) -> SetAttempt:
    question = Question("q", _NOW, 1, 1, "mcq", "", [{"1": "A"}], [], "", "4")
    totals = (1.0, 1.0, "1.0/1.0", [question])
    return SetAttempt(enrolment, ContentId("do_2"), AttemptId("a"), _NOW, _NOW, _NOW, *totals)


def test_attempts_in_the_other_layout_differ_in_nothing(
    cassandra_session: CassandraSession, keyspace: str
) -> None:
    tables = tables_in(keyspace)
    cassandra_session.define(schema.create_keyspace(keyspace, 1))
    for definition in OTHER_ATTEMPTS:
        cassandra_session.define(definition.format(keyspace))

    created = schema.apply(cassandra_session, schema.named(tables))

    assert tables.question not in created
    assert tables.assessment_aggregator not in created
    assert schema.check(cassandra_session, schema.named(tables)) == []


def test_a_type_that_is_missing_or_different_is_told_and_waited_for(
    cassandra_session: CassandraSession, keyspace: str
) -> None:
    tables = tables_in(keyspace)
    writer = CassandraWriter(cassandra_session, tables, 10)
    cassandra_session.define(schema.create_keyspace(keyspace, 1))
    cassandra_session.define(OTHER_ATTEMPTS[0].format(keyspace).replace("duration decimal", "duration int"))
    cassandra_session.define(OTHER_ATTEMPTS[1].format(keyspace))

    found = schema.check(cassandra_session, schema.named(tables))
    assert Difference(f"{tables.question}.duration", "decimal", "int") in found
    with pytest.raises(Unavailable, match=f"{tables.question}.duration is int, not decimal"):
        writer.apply([attempt(key())])
    assert str(cassandra_session.available()).endswith("is int, not decimal")

    cassandra_session.define(f"DROP TABLE {tables.assessment_aggregator}")
    cassandra_session.define(f"DROP TYPE {tables.question}")
    assert Difference(tables.question, "a type", None) in schema.check(
        cassandra_session, schema.named(tables)
    )
    schema.apply(cassandra_session, schema.named(tables))
    enrolment = key()

    writer.apply([attempt(enrolment)])
    [stored] = CassandraAttempts(cassandra_session, tables).attempts([enrolment])[enrolment]
    assert stored == Attempt(ContentId("do_2"), AttemptId("a"), _NOW, 1.0, 1.0)


def test_attempts_need_their_questions(cassandra_session: CassandraSession, keyspace: str) -> None:
    tables = tables_in(keyspace)
    schema.apply(cassandra_session, schema.named(tables))
    cassandra_session.define(f"ALTER TABLE {tables.assessment_aggregator} DROP question")

    with pytest.raises(Unavailable, match=f"{tables.assessment_aggregator} has no column question"):
        CassandraWriter(cassandra_session, tables, 10).apply([attempt(key())])
    assert CassandraAttempts(cassandra_session, tables).attempts([key()]) == {}


def test_aggregates_without_details_are_fine(cassandra_session: CassandraSession, keyspace: str) -> None:
    tables = tables_in(keyspace)
    schema.apply(cassandra_session, schema.named(tables))
    cassandra_session.define(f"ALTER TABLE {tables.user_activity_agg} DROP agg_details")
    enrolment = key()

    CassandraWriter(cassandra_session, tables, 10).apply(
        [SetAggregates("do_1", enrolment.user, enrolment.context, {"score:q": 1.0}, _NOW, details=["{}"])]
    )

    [(values,)] = cassandra_session.scan(f"SELECT aggregates FROM {tables.user_activity_agg}", 10)  # noqa: S608  # the test's
    assert dict(values) == {"score:q": 1.0}


def test_names_may_be_written_with_upper_case_letters(
    cassandra_session: CassandraSession, keyspace: str
) -> None:
    tables = tables_in(keyspace.upper())
    schema.apply(cassandra_session, schema.named(tables))
    enrolment = key()

    CassandraWriter(cassandra_session, tables, 10).apply([SetEnrolment(enrolment, 1, _NOW, status=1)])

    assert CassandraProgress(cassandra_session, tables_in(keyspace)).enrolments([enrolment]) == {
        enrolment: Enrolment(1)
    }


@pytest.mark.parametrize("name", ["", "enrolments", "a.b.c", "sunbird-courses.x", "a.b; DROP KEYSPACE a"])
def test_what_cannot_be_a_name_is_told_and_never_sent(cassandra_session: CassandraSession, name: str) -> None:
    tables = Tables(user_enrolments=name)

    with pytest.raises(SettingsError, match="is not the name of a table"):
        schema.check(cassandra_session, schema.named(tables))
    with pytest.raises(Unavailable, match="there is no table"):
        CassandraProgress(cassandra_session, tables).enrolments([key()])


def test_a_missing_table_is_waited_for_and_found_once_it_is_there(
    cassandra_session: CassandraSession, keyspace: str
) -> None:
    tables = tables_in(keyspace)
    progress = CassandraProgress(cassandra_session, tables)
    writer = CassandraWriter(cassandra_session, tables, 10)
    enrolment = key()
    for ask in (progress.enrolments, progress.consumption):
        with pytest.raises(Unavailable, match=f"there is no table {keyspace}"):
            ask([enrolment])
    with pytest.raises(Unavailable, match=f"there is no table {tables.content_consumption}"):
        writer.apply([SetConsumption(enrolment, ContentId("do_2"), 2, 1, 1)])
    assert cassandra_session.available() == f"cassandra: there is no table {tables.content_consumption}"

    schema.apply(cassandra_session, schema.named(tables))

    writer.apply([SetConsumption(enrolment, ContentId("do_2"), 2, 1, 1)])
    assert progress.consumption([enrolment]) == {enrolment: {"do_2": Consumption(2, 1, 1)}}
    assert cassandra_session.available() is None


def test_hierarchies_without_a_keyspace_or_table_are_none(
    cassandra_session: CassandraSession, keyspace: str
) -> None:
    tables = tables_in(keyspace)
    hierarchies = CassandraHierarchies(cassandra_session, tables.content_hierarchy)
    course = CourseId("do_1")
    for definition in (
        schema.create_keyspace(keyspace, 1),
        f"CREATE TABLE {keyspace}.other (a int PRIMARY KEY)",
    ):
        assert hierarchies.hierarchies([course]) == {}
        assert list(hierarchies.courses()) == []
        cassandra_session.define(definition)
    assert hierarchies.hierarchies([course]) == {}

    schema.apply(cassandra_session, schema.named(tables))
    cassandra_session.define(
        f"INSERT INTO {tables.content_hierarchy} (identifier, hierarchy) VALUES ('do_1', '{{}}')"  # noqa: S608  # the test's
    )

    assert hierarchies.hierarchies([course]) == {course: b"{}"}
    assert list(hierarchies.courses()) == [course]


def test_a_missing_or_different_column_that_is_needed_is_named(
    cassandra_session: CassandraSession, keyspace: str
) -> None:
    tables = tables_in(keyspace)
    enrolments = schema.create_table(tables.user_enrolments, USER_ENROLMENTS)
    cassandra_session.define(schema.create_keyspace(keyspace, 1))
    cassandra_session.define(enrolments.replace("completedon timestamp", "completedon text"))
    schema.apply(cassandra_session, schema.named(tables))
    cassandra_session.define(f"ALTER TABLE {tables.user_activity_agg} DROP aggregates")
    writer = CassandraWriter(cassandra_session, tables, 10)
    enrolment = key()

    with pytest.raises(Unavailable, match=f"{tables.user_activity_agg} has no column aggregates"):
        writer.apply(
            [SetAggregates("do_1", enrolment.user, enrolment.context, {"completedCount": 1.0}, _NOW)]
        )
    with pytest.raises(Unavailable, match=f"{tables.user_enrolments}.completedon is text, not timestamp"):
        writer.apply([SetEnrolment(enrolment, 1, _NOW)])


def test_tables_without_the_columns_that_only_tell_when_and_with_others_are_fine(
    cassandra_session: CassandraSession, keyspace: str
) -> None:
    tables = tables_in(keyspace)
    schema.apply(cassandra_session, schema.named(tables))
    cassandra_session.define(
        f"ALTER TABLE {tables.user_enrolments} DROP (datetime, certstatus, enrolled_date)"
    )
    cassandra_session.define(f"ALTER TABLE {tables.user_activity_agg} DROP (agg, agg_last_updated)")
    cassandra_session.define(f"ALTER TABLE {tables.content_consumption} DROP last_access_time")
    cassandra_session.define(
        f"ALTER TABLE {tables.content_consumption} ADD (of_ours frozen<list<int>>, more inet)"
    )
    enrolment = key()

    CassandraWriter(cassandra_session, tables, 10).apply(
        [
            SetConsumption(enrolment, ContentId("do_2"), 2, 1, 1),
            SetAggregates("do_1", enrolment.user, enrolment.context, {"completedCount": 1.0}, _NOW),
            SetEnrolment(enrolment, 1, _NOW, {ContentId("do_2"): 2}, 2, _NOW),
        ]
    )

    progress = CassandraProgress(cassandra_session, tables)
    assert progress.consumption([enrolment]) == {enrolment: {"do_2": Consumption(2, 1, 1)}}
    assert progress.enrolments([enrolment]) == {enrolment: Enrolment(2, _NOW)}
    [(count,)] = cassandra_session.scan(f"SELECT aggregates FROM {tables.user_activity_agg}", 10)  # noqa: S608  # the test's
    assert dict(count) == {"completedCount": 1.0}


def test_a_table_that_is_dropped_and_made_again_refuses_no_event(
    cassandra_session: CassandraSession, keyspace: str
) -> None:
    tables = tables_in(keyspace)
    schema.apply(cassandra_session, schema.named(tables))
    progress = CassandraProgress(cassandra_session, tables)
    writer = CassandraWriter(cassandra_session, tables, 10)
    enrolment = key()
    write = SetConsumption(enrolment, ContentId("do_2"), 2, 1, 1)
    writer.apply([write])
    assert progress.consumption([enrolment])

    cassandra_session.define(f"DROP TABLE {tables.content_consumption}")
    with pytest.raises(Unavailable):
        writer.apply([write])
    with pytest.raises(Unavailable):
        progress.consumption([enrolment])
    schema.apply(cassandra_session, schema.named(tables))

    writer.apply([write])
    assert progress.consumption([enrolment]) == {enrolment: {"do_2": Consumption(2, 1, 1)}}


def test_hierarchies_that_lack_their_column_are_no_empty_ones(
    cassandra_session: CassandraSession, keyspace: str
) -> None:
    tables = tables_in(keyspace)
    schema.apply(cassandra_session, schema.named(tables))
    cassandra_session.define(f"ALTER TABLE {tables.content_hierarchy} DROP hierarchy")

    with pytest.raises(Unavailable, match="has no column hierarchy"):
        CassandraHierarchies(cassandra_session, tables.content_hierarchy).hierarchies([CourseId("do_1")])
