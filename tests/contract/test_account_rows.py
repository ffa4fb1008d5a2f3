"""What whole rows promise (`ports.AccountStore`, `job.PutRow`): they are copied with all they hold."""

import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any, Protocol

import msgspec
import pytest
from cassandra.cluster import EXEC_PROFILE_DEFAULT, Cluster, ExecutionProfile
from cassandra.policies import RoundRobinPolicy
from cassandra.query import dict_factory
from tests.contract.conftest import plain
from tests.keyspaces import new_tables

from lern.adapters.cassandra import CassandraAccounts, CassandraSession, CassandraWriter
from lern.adapters.embedded import Embedded
from lern.adapters.tables import (
    ASSESSMENT_AGGREGATOR,
    CONTENT_CONSUMPTION,
    USER_ACTIVITY_AGG,
    USER_ENROLMENTS,
)
from lern.domain.model import AggregateKey, BatchId, CourseId, EnrolmentKey, Row, UserId
from lern.job import PutRow, Write
from lern.ports import AccountStore
from lern.settings.model import CassandraSettings, JobSettings, Profile, Topics

_EARLIER = datetime(2022, 2, 21, 5, 54, 43, 853000, UTC)
_LATER = datetime(2023, 5, 9, 10, 38, 57, 232000, UTC)
_decode = msgspec.msgpack.Decoder(list[Write]).decode


class Site(Protocol):
    """The tables of an installation, through the port and as other services see them."""

    @property
    def accounts(self) -> AccountStore: ...

    def apply(self, writes: Sequence[PutRow]) -> None:
        """As `ports.Stores.apply`, by way of the journal."""

    def put(self, table: str, **row: object) -> None:
        """Writes one row."""

    def rows(self, table: str, **key: object) -> list[dict[str, Any]]:
        """Rows of a key, or of a part of it that a query may have."""


class EmbeddedSite:
    def __init__(self, file: Path) -> None:
        self._embedded = Embedded(file)
        self.accounts = self._embedded.facts().accounts
        settings = JobSettings(
            "any", "test", Profile.EMBEDDED, "any", Topics("in", "failed"), None, None, None
        )
        self._apply = self._embedded.stores(settings).apply
        self.close = self._embedded.close

    def apply(self, writes: Sequence[PutRow]) -> None:
        self._apply(_decode(msgspec.msgpack.encode(writes)))

    def put(self, table: str, **row: object) -> None:
        self._embedded.put(table, row)

    def rows(self, table: str, **key: object) -> list[dict[str, Any]]:
        found = self._embedded.row(table, **{name: str(value) for name, value in key.items()})
        return [found] if found else []


class CassandraSite:
    """In keyspaces of its own, with columns and fields that nobody here knows."""

    def __init__(self, host: str, port: int, *, layout: tuple[tuple[str, ...], tuple[str, ...]]) -> None:
        self.session = CassandraSession(CassandraSettings((host,), port))
        self._opened = ExitStack()
        tables = self._opened.enter_context(new_tables(self.session))
        keyspace = tables.user_enrolments.partition(".")[0]
        self.tables = tables
        self.accounts = CassandraAccounts(self.session, self.tables)
        self._writer = CassandraWriter(self.session, self.tables, 10)
        profile = ExecutionProfile(RoundRobinPolicy(), row_factory=dict_factory)
        self._cluster = Cluster(
            (host,), port, protocol_version=4, execution_profiles={EXEC_PROFILE_DEFAULT: profile}
        )
        self.other = self._cluster.connect(keyspace)
        self.other.execute("ALTER TYPE question ADD hint text")
        self.other.execute("DROP TABLE assessment_aggregator")
        columns = ", ".join(f"{name} {cql}" for name, cql in ASSESSMENT_AGGREGATOR.columns.items())
        partition, clustering = layout
        key = f"({', '.join(partition)}), {', '.join(clustering)}"
        self.other.execute(f"CREATE TABLE assessment_aggregator ({columns}, PRIMARY KEY ({key}))")
        for table in (CONTENT_CONSUMPTION, USER_ENROLMENTS, ASSESSMENT_AGGREGATOR, USER_ACTIVITY_AGG):
            self.other.execute(f'ALTER TABLE {table.name} ADD "Of This One" frozen<tuple<int, decimal>>')

    def apply(self, writes: Sequence[PutRow]) -> None:
        self._writer.apply([w for w in _decode(msgspec.msgpack.encode(writes)) if isinstance(w, PutRow)])

    def put(self, table: str, **row: object) -> None:
        names, marks = ", ".join(f'"{name}"' for name in row), ", ".join("?" * len(row))
        insert = self.other.prepare(f"INSERT INTO {table} ({names}) VALUES ({marks})")  # noqa: S608  # names of the test
        self.other.execute(insert, list(row.values()))

    def rows(self, table: str, **key: object) -> list[dict[str, Any]]:
        where = " AND ".join(f"{column} = ?" for column in key)
        select = self.other.prepare(f"SELECT * FROM {table} WHERE {where}")  # noqa: S608  # names of the test
        found = self.other.execute(select, list(key.values()))
        return [{column: plain(value) for column, value in row.items()} for row in found]

    def close(self) -> None:
        self._opened.close()
        self._cluster.shutdown()
        self.session.close()


_LAYOUTS = {
    "cassandra": (ASSESSMENT_AGGREGATOR.partition_key, ASSESSMENT_AGGREGATOR.clustering),
    "cassandra by course": ASSESSMENT_AGGREGATOR.other_key,
}


@pytest.fixture(scope="module")
def cassandra_sites(cassandra_address: tuple[str, int]) -> Iterator[Mapping[str, CassandraSite]]:
    sites = {
        name: CassandraSite(*cassandra_address, layout=layout) for name, layout in _LAYOUTS.items() if layout
    }
    yield sites
    for site in sites.values():
        site.close()


@pytest.fixture(params=["embedded", *_LAYOUTS])
def site(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Site]:
    if request.param == "embedded":
        embedded = EmbeddedSite(tmp_path / "lern.db")
        yield embedded
        embedded.close()
    else:
        yield request.getfixturevalue("cassandra_sites")[request.param]


@pytest.fixture(params=list(_LAYOUTS))
def on_cassandra(
    request: pytest.FixtureRequest, cassandra_sites: Mapping[str, CassandraSite]
) -> CassandraSite:
    return cassandra_sites[request.param]


def consumed(key: EnrolmentKey, content: str = "do_1", **columns: object) -> dict[str, object]:
    return {**enrolled(key), "contentid": content, **columns}


def enrolled(key: EnrolmentKey, **columns: object) -> dict[str, object]:
    return {"userid": key.user, "courseid": key.course, "batchid": key.batch, **columns}


def attempted(key: EnrolmentKey, attempt: str = "a1", **columns: object) -> dict[str, object]:
    own = {"user_id": key.user, "course_id": key.course, "batch_id": key.batch}
    return {**own, "content_id": "do_1", "attempt_id": attempt, **columns}


def aggregated(key: EnrolmentKey, **columns: object) -> dict[str, object]:
    own = {"activity_type": "Course", "activity_id": key.course, "user_id": key.user}
    return {**own, "context_id": key.context, **columns}


_CONSUMED: dict[str, Any] = {
    "completedcount": 1,
    "completionpercentage": 12.5,
    "datetime": _EARLIER,
    "last_access_time": _LATER,
    "last_completed_time": _EARLIER,
    "last_updated_time": datetime(1969, 12, 31, 23, 59, 59, 999000, UTC),
    "lastaccesstime": "2022-02-21 05:54:43:853+0000",
    "lastcompletedtime": "",
    "lastupdatedtime": "शिक्षार्थी",
    "progress": 40,
    "progressdetails": '{"page": 3}',
    "status": 2,
    "viewcount": 3,
}
_ENROLLED: dict[str, Any] = {
    "active": True,
    "addedby": "someone",
    "certificates": [{"name": "old"}],
    "completedon": _EARLIER,
    "contentstatus": {"do_1": 2, "do_2": 1},
    "enrolled_date": _EARLIER,
    "enrolleddate": "2022-02-21 05:54:43:853+0000",
    "issued_certificates": [{"name": "merit", "identifier": "1"}, {"name": "प्रमाणपत्र", "token": ""}],
    "progress": 2,
    "status": 2,
}
_AGGREGATED: dict[str, Any] = {
    "agg": {"old": 1},
    "agg_details": ['{"attempt_id": "a1"}', ""],
    "agg_last_updated": {"completedCount": _EARLIER, "score:do_1": _LATER},
    "aggregates": {"completedCount": 2.0, "score:do_1": 1.33},
}


def moved(row: Row, **owner: object) -> Row:
    """The row under another learner."""
    return row | owner


def test_consumption_is_read_with_what_rules_look_at(site: Site, enrolment: EnrolmentKey) -> None:
    other = UserId(f"{enrolment.user}-other")
    site.put(CONTENT_CONSUMPTION.name, **consumed(enrolment, **_CONSUMED))
    site.put(CONTENT_CONSUMPTION.name, **consumed(enrolment, "do_2", status=1))
    site.put(CONTENT_CONSUMPTION.name, **consumed(enrolment._replace(user=other)))

    found = site.accounts.consumption_rows([enrolment.user, other, UserId("nobody")])

    rows = {row["contentid"]: row for row in found[enrolment.user]}
    unread = {"completionpercentage", "progressdetails"}
    expected = consumed(enrolment, **_CONSUMED)
    assert {k: v for k, v in rows["do_1"].items() if k not in unread} == {
        k: v for k, v in expected.items() if k not in unread
    }
    assert rows["do_1"].keys() == expected.keys()
    assert rows["do_2"] == consumed(enrolment, "do_2", status=1)
    assert found[other] == [consumed(enrolment._replace(user=other))]
    assert not found.get(UserId("nobody"))


def test_consumption_is_copied_with_all_it_holds(site: Site, enrolment: EnrolmentKey) -> None:
    site.put(CONTENT_CONSUMPTION.name, **consumed(enrolment, **_CONSUMED))
    target = UserId(f"{enrolment.user}-target")

    [row] = site.accounts.consumption_rows([enrolment.user])[enrolment.user]
    site.apply([PutRow(CONTENT_CONSUMPTION.name, moved(row, userid=target))])

    [before] = site.rows(CONTENT_CONSUMPTION.name, **consumed(enrolment))
    [after] = site.rows(CONTENT_CONSUMPTION.name, **consumed(enrolment._replace(user=target)))
    assert after == before | {"userid": target}
    assert {name: after[name] for name in _CONSUMED} == _CONSUMED


def test_enrolments_are_copied_with_all_they_hold(site: Site, enrolment: EnrolmentKey) -> None:
    site.put(USER_ENROLMENTS.name, **enrolled(enrolment, **_ENROLLED))
    target = UserId(f"{enrolment.user}-target")

    [row] = site.accounts.enrolment_rows([enrolment.user])[enrolment.user]
    assert {name: row[name] for name in enrolled(enrolment)} == enrolled(enrolment)
    site.apply([PutRow(USER_ENROLMENTS.name, moved(row, userid=target))])

    [before] = site.rows(USER_ENROLMENTS.name, **enrolled(enrolment))
    [after] = site.rows(USER_ENROLMENTS.name, **enrolled(enrolment._replace(user=target)))
    assert after == before | {"userid": target}
    assert {name: after[name] for name in _ENROLLED} == _ENROLLED


def test_attempts_are_those_of_the_enrolment(site: Site, enrolment: EnrolmentKey) -> None:
    another = enrolment._replace(batch=BatchId("another"))
    for attempt in ("a1", "a2"):
        site.put(ASSESSMENT_AGGREGATOR.name, **attempted(enrolment, attempt))
    site.put(ASSESSMENT_AGGREGATOR.name, **attempted(another, "a3"))
    site.put(ASSESSMENT_AGGREGATOR.name, **attempted(enrolment._replace(user=UserId("other")), "a4"))

    found = site.accounts.attempt_rows([enrolment, another, enrolment._replace(course=CourseId("none"))])

    assert [row["attempt_id"] for row in found[enrolment]] == ["a1", "a2"]
    assert [row["attempt_id"] for row in found[another]] == ["a3"]
    assert sum(len(rows) for rows in found.values()) == 3
    assert site.accounts.attempt_rows([]) == {}


def test_aggregates_are_read_whole(site: Site, enrolment: EnrolmentKey) -> None:
    site.put(USER_ACTIVITY_AGG.name, **aggregated(enrolment, **_AGGREGATED))
    site.put(USER_ACTIVITY_AGG.name, **(aggregated(enrolment) | {"activity_type": "Other", "agg": {"x": 1}}))
    key = AggregateKey(enrolment.course, enrolment.user, enrolment.context)

    found = site.accounts.aggregate_rows([key, key._replace(activity="none")])

    assert found == {key: aggregated(enrolment, **_AGGREGATED)}
    assert site.accounts.aggregate_rows([]) == {}


def test_entries_are_added_to_maps_and_all_else_stays(site: Site, enrolment: EnrolmentKey) -> None:
    site.put(USER_ACTIVITY_AGG.name, **aggregated(enrolment, **_AGGREGATED))
    changes = {
        "aggregates": {"completedCount": 5.0, "new": 0.1},
        "agg_last_updated": {"completedCount": _LATER},
        "agg_details": ["one"],
    }

    site.apply([PutRow(USER_ACTIVITY_AGG.name, aggregated(enrolment, **changes))] * 2)

    [after] = site.rows(USER_ACTIVITY_AGG.name, **aggregated(enrolment))
    assert after["aggregates"] == {"completedCount": 5.0, "new": 0.1, "score:do_1": 1.33}
    assert after["agg_last_updated"] == {"completedCount": _LATER, "score:do_1": _LATER}
    assert (after["agg"], after["agg_details"]) == ({"old": 1}, ["one"])


def test_some_columns_are_written_and_the_others_stay(site: Site, enrolment: EnrolmentKey) -> None:
    site.put(CONTENT_CONSUMPTION.name, **consumed(enrolment, **_CONSUMED))

    site.apply(
        [
            PutRow(CONTENT_CONSUMPTION.name, consumed(enrolment, viewcount=9)),
            PutRow(CONTENT_CONSUMPTION.name, consumed(enrolment, status=1, column_of_nowhere=1)),
        ]
    )

    [after] = site.rows(CONTENT_CONSUMPTION.name, **consumed(enrolment))
    assert {name: after[name] for name in _CONSUMED} == _CONSUMED | {"viewcount": 9, "status": 1}


def test_a_row_of_its_key_alone(site: Site, enrolment: EnrolmentKey) -> None:
    site.apply([PutRow(USER_ENROLMENTS.name, enrolled(enrolment))] * 2)

    assert site.accounts.enrolment_rows([enrolment.user]) == {enrolment.user: [enrolled(enrolment)]}


def test_ids_may_hold_anything(site: Site, enrolment: EnrolmentKey, odd: str) -> None:
    key = EnrolmentKey(UserId(enrolment.user + odd), CourseId(odd), BatchId(odd))

    site.apply([PutRow(CONTENT_CONSUMPTION.name, consumed(key, odd, lastaccesstime=odd))])

    found = site.accounts.consumption_rows([key.user])[key.user]
    assert found == [consumed(key, odd, lastaccesstime=odd)]


def test_thousands_of_rows(site: Site, enrolment: EnrolmentKey) -> None:
    rows = [consumed(enrolment, f"do_{number:05}", viewcount=number, status=2) for number in range(2_000)]

    site.apply([PutRow(CONTENT_CONSUMPTION.name, row) for row in rows])

    found = site.accounts.consumption_rows([enrolment.user])[enrolment.user]
    assert sorted(found, key=lambda row: str(row["contentid"])) == rows


def test_questions_of_an_embedded_attempt_are_copied(tmp_path: Path, enrolment: EnrolmentKey) -> None:
    site = EmbeddedSite(tmp_path / "lern.db")
    questions = [{"id": "q1", "duration": "1.10", "resvalues": [{"value": "{}"}]}]
    site.put(ASSESSMENT_AGGREGATOR.name, **attempted(enrolment, question=questions, total_score=1.5))

    [row] = site.accounts.attempt_rows([enrolment])[enrolment]
    site.apply([PutRow(ASSESSMENT_AGGREGATOR.name, moved(row, user_id="target"))])

    [after] = site.rows(ASSESSMENT_AGGREGATOR.name, **attempted(enrolment._replace(user=UserId("target"))))
    assert (after["question"], after["total_score"]) == (questions, 1.5)
    site.close()


_QUESTION = """INSERT INTO assessment_aggregator (user_id, course_id, batch_id, content_id, attempt_id, question,
    total_score, created_on, "Of This One") VALUES (%s, %s, %s, 'do_1', 'a1', [
      {id: 'q1', assess_ts: 1700000000000000, max_score: 1.5, score: 0.1, type: 'MCQ', title: 'परीक्षा',
       resvalues: [{'1': '{"text": "A"}'}, {'2': ''}], params: [], description: '', duration: 1.10, hint: 'unknown'},
      {id: 'q2'}], 1.33, 1700000000000000, (1, 2.50))"""
_CONSUMED_BEYOND = """INSERT INTO user_content_consumption (userid, courseid, batchid, contentid, datetime, viewcount)
    VALUES (%s, %s, %s, 'do_1', 1700000000000000, 1)"""
_AGGREGATED_BEYOND = """INSERT INTO user_activity_agg (activity_type, activity_id, user_id, context_id, agg_last_updated)
    VALUES ('Course', %s, %s, %s, {'a': 1700000000000000, 'b': -1700000000000000})"""
# Microseconds, written as if they were milliseconds: times that Python does not know.


def test_questions_are_copied_to_the_byte_whatever_their_type_holds(
    on_cassandra: CassandraSite, enrolment: EnrolmentKey
) -> None:
    site, other = on_cassandra, on_cassandra.other
    other.execute(_QUESTION, tuple(enrolment))
    target = f"{enrolment.user}-target"

    [row] = site.accounts.attempt_rows([enrolment])[enrolment]
    site.apply([PutRow(ASSESSMENT_AGGREGATOR.name, moved(row, user_id=target))])

    # As JSON, which the server itself makes: the driver cannot read that time.
    select = (
        'SELECT JSON question, total_score, created_on, grand_total, "Of This One" FROM assessment_aggregator'
    )
    where = " WHERE user_id = %s AND course_id = %s AND batch_id = %s"
    before = other.execute(select + where, tuple(enrolment)).one()
    after = other.execute(select + where, (target, enrolment.course, enrolment.batch)).one()
    assert after == before
    assert '"hint": "unknown"' in before["[json]"]
    assert '"duration": 1.10' in before["[json]"]


def test_times_that_nobody_can_read_hold_up_nothing(
    on_cassandra: CassandraSite, enrolment: EnrolmentKey
) -> None:
    site, other = on_cassandra, on_cassandra.other
    other.execute(_CONSUMED_BEYOND, tuple(enrolment))
    other.execute(_AGGREGATED_BEYOND, (enrolment.course, enrolment.user, enrolment.context))
    key = AggregateKey(enrolment.course, enrolment.user, enrolment.context)
    first, last = datetime.min.replace(tzinfo=UTC), datetime.max.replace(tzinfo=UTC)

    [row] = site.accounts.consumption_rows([enrolment.user])[enrolment.user]
    assert (row["datetime"], row["viewcount"]) == (last, 1)
    assert site.accounts.aggregate_rows([key])[key]["agg_last_updated"] == {"a": last, "b": first}
    site.apply([PutRow(CONTENT_CONSUMPTION.name, moved(row, userid=f"{enrolment.user}-target"))])


def test_columns_of_an_installation_are_copied_and_taken_over(
    on_cassandra: CassandraSite, enrolment: EnrolmentKey
) -> None:
    site = on_cassandra
    site.put(CONTENT_CONSUMPTION.name, **consumed(enrolment), **{"Of This One": (7, Decimal("2.50"))})
    # One that is added while the job runs.
    name = f"added_{uuid.uuid4().hex[:8]}"
    site.other.execute(f"ALTER TABLE user_content_consumption ADD {name} set<inet>")
    site.put(CONTENT_CONSUMPTION.name, **consumed(enrolment), **{name: {"127.0.0.1"}})

    [row] = site.accounts.consumption_rows([enrolment.user])[enrolment.user]
    target = enrolment._replace(user=UserId(f"{enrolment.user}-target"))
    site.apply([PutRow(CONTENT_CONSUMPTION.name, moved(row, userid=target.user))])

    [after] = site.rows(CONTENT_CONSUMPTION.name, **consumed(target))
    assert after["Of This One"] == (7, Decimal("2.50"))
    assert set(after[name]) == {"127.0.0.1"}


def test_without_a_table_of_attempts_nobody_has_made_any(
    on_cassandra: CassandraSite, enrolment: EnrolmentKey
) -> None:
    for missing in ("nowhere.assessment_aggregator", on_cassandra.tables.user_enrolments + "_no"):
        accounts = CassandraAccounts(
            on_cassandra.session, replace(on_cassandra.tables, assessment_aggregator=missing)
        )
        assert accounts.attempt_rows([enrolment]) == {}


def test_statements_that_a_server_has_forgotten_are_read_as_before(
    on_cassandra: CassandraSite, enrolment: EnrolmentKey
) -> None:
    site = on_cassandra
    site.put(USER_ENROLMENTS.name, **enrolled(enrolment, **_ENROLLED))
    before = site.accounts.enrolment_rows([enrolment.user])

    # A change of the table has the server drop its statements, so that the driver prepares them again by itself.
    site.other.execute("ALTER TABLE user_enrolments WITH comment = 'changed'")

    assert site.accounts.enrolment_rows([enrolment.user]) == before
    assert isinstance(before[enrolment.user][0]["certificates"], bytes)
