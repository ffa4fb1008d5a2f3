"""Tables of an installation on Apache Cassandra; plain CQL, so that ScyllaDB and YugabyteDB's YCQL serve as well."""

from lern.adapters.cassandra.accounts import CassandraAccounts
from lern.adapters.cassandra.attempts import CassandraAttempts
from lern.adapters.cassandra.directory import CassandraDirectory
from lern.adapters.cassandra.hierarchies import CassandraHierarchies
from lern.adapters.cassandra.progress import CassandraProgress
from lern.adapters.cassandra.session import CassandraSession
from lern.adapters.cassandra.writes import CassandraWriter

__all__ = [
    "CassandraAccounts",
    "CassandraAttempts",
    "CassandraDirectory",
    "CassandraHierarchies",
    "CassandraProgress",
    "CassandraSession",
    "CassandraWriter",
]
