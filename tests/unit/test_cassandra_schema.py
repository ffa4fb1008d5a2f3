"""Definitions of tables, and how those of a cluster differ from them; no cluster is needed for that."""

from dataclasses import replace

import pytest

from lern.adapters.cassandra.schema import (
    QUESTION_TYPE,
    Difference,
    create_keyspace,
    create_table,
    create_type,
    differences,
    named,
)
from lern.adapters.cassandra.session import Column
from lern.adapters.tables import (
    ASSESSMENT_AGGREGATOR,
    CONTENT_CONSUMPTION,
    CONTENT_HIERARCHY,
    QUESTION,
    TABLES,
    USER_ACTIVITY_AGG,
    Table,
)
from lern.errors import SettingsError
from lern.settings.model import Tables


def as_defined(table: Table) -> dict[str, Column]:
    """What a cluster says of a table that was created from its definition."""
    columns = {name: Column(cql, "regular", -1) for name, cql in table.columns.items()}
    for kind, key in (("partition_key", table.partition_key), ("clustering", table.clustering)):
        columns |= {name: Column(table.columns[name], kind, position) for position, name in enumerate(key)}
    return columns


def test_a_keyspace_has_as_many_replicas_as_are_asked_for() -> None:
    assert create_keyspace("sunbird_courses", 3) == (
        "CREATE KEYSPACE IF NOT EXISTS sunbird_courses"
        " WITH replication = {'class': 'SimpleStrategy', 'replication_factor': 3}"
    )


def test_a_table_is_created_with_its_columns_and_its_key() -> None:
    assert (
        create_table("sunbird_courses.user_activity_agg", USER_ACTIVITY_AGG)
        == """\
CREATE TABLE IF NOT EXISTS sunbird_courses.user_activity_agg (
  activity_type text,
  activity_id text,
  user_id text,
  context_id text,
  agg map<text, int>,
  agg_details list<text>,
  agg_last_updated map<text, timestamp>,
  aggregates map<text, double>,
  PRIMARY KEY ((activity_type, activity_id, user_id), context_id)
)"""
    )


def test_a_table_without_clustering_columns_has_its_partition_key_alone() -> None:
    assert create_table("a.b", CONTENT_HIERARCHY).endswith("PRIMARY KEY ((identifier))\n)")


@pytest.mark.parametrize("table", TABLES, ids=lambda table: table.name)
def test_a_table_as_it_is_defined_differs_in_nothing(table: Table) -> None:
    assert list(differences("a.b", table, as_defined(table))) == []


def test_the_other_layout_of_the_table_of_attempts_is_no_difference() -> None:
    assert ASSESSMENT_AGGREGATOR.other_key
    partition_key, clustering = ASSESSMENT_AGGREGATOR.other_key
    other = replace(ASSESSMENT_AGGREGATOR, partition_key=partition_key, clustering=clustering)
    third = replace(
        ASSESSMENT_AGGREGATOR, partition_key=("user_id",), clustering=("course_id", *clustering[1:])
    )

    assert list(differences("a.b", ASSESSMENT_AGGREGATOR, as_defined(other))) == []
    assert len(list(differences("a.b", ASSESSMENT_AGGREGATOR, as_defined(third)))) == 2


def test_a_type_is_created_with_its_fields_and_its_table_names_it() -> None:
    tables = named(Tables(question="Sunbird_courses.Answered"))

    assert create_type("a.answered", QUESTION_TYPE).startswith(
        "CREATE TYPE IF NOT EXISTS a.answered (\n  id text,\n  assess_ts timestamp,\n"
    )
    table = tables["sunbird_courses.assessment_aggregator"]
    assert isinstance(table, Table)
    assert "question list<frozen<answered>>" in create_table("a.b", table)
    assert list(tables).index("sunbird_courses.answered") < list(tables).index(
        "sunbird_courses.assessment_aggregator"
    )


def test_fields_of_a_type_may_be_frozen_and_others_are_told() -> None:
    fields = {name: Column(cql, "field", at) for at, (name, cql) in enumerate(QUESTION.items())}
    fields["params"] = Column("frozen<list<frozen<map<text, text>>>>", "field", 7)
    assert list(differences("a.question", QUESTION_TYPE, fields)) == []

    fields["score"] = Column("float", "field", 3)
    del fields["duration"]
    assert [str(difference) for difference in differences("a.question", QUESTION_TYPE, fields)] == [
        "a.question.score is float, not double",
        "a.question.duration is missing (expected: decimal)",
    ]


def test_columns_that_jobs_do_not_know_are_no_difference() -> None:
    columns = as_defined(CONTENT_CONSUMPTION) | {"of_others": Column("blob", "regular", -1)}

    assert list(differences("a.b", CONTENT_CONSUMPTION, columns)) == []


def test_missing_columns_other_types_and_other_keys_are_told() -> None:
    columns = as_defined(CONTENT_CONSUMPTION)
    del columns["viewcount"]
    columns["status"] = Column("bigint", "regular", -1)
    columns["userid"] = Column("text", "partition_key", 1)
    columns["courseid"] = Column("text", "partition_key", 0)

    assert [str(difference) for difference in differences("a.b", CONTENT_CONSUMPTION, columns)] == [
        "a.b is partition_key (courseid, userid), not partition_key (userid)",
        "a.b is clustering (batchid, contentid), not clustering (courseid, batchid, contentid)",
        "a.b.status is bigint, not int",
        "a.b.viewcount is missing (expected: int)",
    ]


def test_what_is_missing_altogether_is_told() -> None:
    assert str(Difference("sunbird_courses", "a keyspace", None)) == (
        "sunbird_courses is missing (expected: a keyspace)"
    )


def test_tables_are_known_by_the_names_of_the_settings() -> None:
    assert named(Tables()) == {
        "sunbird_courses.user_content_consumption": CONTENT_CONSUMPTION,
        "sunbird_courses.user_enrolments": next(table for table in TABLES if table.name == "user_enrolments"),
        "sunbird_courses.user_activity_agg": USER_ACTIVITY_AGG,
        "sunbird_courses.question": QUESTION_TYPE,
        "sunbird_courses.assessment_aggregator": ASSESSMENT_AGGREGATOR,
        "dev_hierarchy_store.content_hierarchy": CONTENT_HIERARCHY,
    }
    assert "upper.case" in named(Tables(user_activity_agg="Upper.CASE"))


@pytest.mark.parametrize("name", ["", ".", "a", "a.", ".b", "a.b.c", "a b.c", "a-b.c", "1a.b", "a.b;", "a.é"])
def test_what_cannot_be_a_name_is_an_error_of_the_settings(name: str) -> None:
    with pytest.raises(SettingsError, match=r"is not the name of a table \(keyspace\.table\)"):
        named(Tables(user_enrolments=name))
