"""Keyspaces of a test's own on the real Cassandra."""

import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial

from tests.patience import within

from lern.adapters.cassandra import CassandraSession, schema
from lern.settings.model import Tables

OTHER_ATTEMPTS = (
    """CREATE TYPE {0}.question (duration decimal, id text, assess_ts timestamp, max_score double, score double,
    type text, title text, resvalues frozen<list<frozen<map<text, text>>>>,
    params frozen<list<frozen<map<text, text>>>>, description text, of_others int)""",
    """CREATE TABLE {0}.assessment_aggregator (course_id text, batch_id text, user_id text, content_id text,
    attempt_id text, created_on timestamp, grand_total text, last_attempted_on timestamp,
    question list<frozen<question>>, total_max_score double, total_score double, updated_on timestamp,
    PRIMARY KEY (course_id, batch_id, user_id, content_id, attempt_id))""",
)
"""As some installations have them: with other keys, with frozen lists, with the fields in another order."""


def tables_in(keyspace: str, hierarchies: str | None = None) -> Tables:
    """Where the tables are; their names are the usual ones."""
    return Tables(
        content_consumption=f"{keyspace}.user_content_consumption",
        user_enrolments=f"{keyspace}.user_enrolments",
        user_activity_agg=f"{keyspace}.user_activity_agg",
        assessment_aggregator=f"{keyspace}.assessment_aggregator",
        question=f"{keyspace}.question",
        content_hierarchy=f"{hierarchies or keyspace}.content_hierarchy",
    )


@contextmanager
def new_tables(session: CassandraSession, *, other_attempts: bool = False) -> Iterator[Tables]:
    """Tables as jobs expect them, in keyspaces that nobody else has; they are dropped in the end.

    `other_attempts`: attempts have the other layout, and the type of their questions the other spelling.
    """
    suffix = uuid.uuid4().hex[:12]
    keyspaces = f"courses_{suffix}", f"hierarchies_{suffix}"
    tables = tables_in(*keyspaces)
    if other_attempts:
        session.define(schema.create_keyspace(keyspaces[0], 1))
        for definition in OTHER_ATTEMPTS:
            session.define(definition.format(keyspaces[0]))
    schema.apply(session, schema.named(tables))
    yield tables
    for keyspace in keyspaces:
        # Another connection may have seen the end of an outage before this one does.
        within(30, partial(session.define, f"DROP KEYSPACE IF EXISTS {keyspace}"))
