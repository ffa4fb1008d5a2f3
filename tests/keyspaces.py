"""Keyspaces of a test's own on the real Cassandra."""

import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial

from tests.patience import within

from lern.adapters.cassandra import CassandraSession, schema
from lern.settings.model import Tables


def tables_in(keyspace: str, hierarchies: str | None = None) -> Tables:
    """Where the tables are; their names are the usual ones."""
    return Tables(
        content_consumption=f"{keyspace}.user_content_consumption",
        user_enrolments=f"{keyspace}.user_enrolments",
        user_activity_agg=f"{keyspace}.user_activity_agg",
        content_hierarchy=f"{hierarchies or keyspace}.content_hierarchy",
    )


@contextmanager
def new_tables(session: CassandraSession) -> Iterator[Tables]:
    """Tables as jobs expect them, in keyspaces that nobody else has; they are dropped in the end."""
    suffix = uuid.uuid4().hex[:12]
    keyspaces = f"courses_{suffix}", f"hierarchies_{suffix}"
    tables = tables_in(*keyspaces)
    schema.apply(session, schema.named(tables))
    yield tables
    for keyspace in keyspaces:
        # Another connection may have seen the end of an outage before this one does.
        within(30, partial(session.define, f"DROP KEYSPACE IF EXISTS {keyspace}"))
