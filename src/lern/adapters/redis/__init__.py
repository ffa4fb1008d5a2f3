"""The relation cache, the collection and content cache, marks and the journal on Redis (contracts: Redis)."""

from lern.adapters.redis.connection import RedisProbe
from lern.adapters.redis.contents import RedisContents
from lern.adapters.redis.journal import RedisJournal
from lern.adapters.redis.marks import RedisMarks
from lern.adapters.redis.relations import RelationSets
from lern.adapters.redis.writes import EnrolmentLists, RelationWriter

__all__ = [
    "EnrolmentLists",
    "RedisContents",
    "RedisJournal",
    "RedisMarks",
    "RedisProbe",
    "RelationSets",
    "RelationWriter",
]
