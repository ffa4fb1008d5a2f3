"""All that the jobs and tools keep in Redis: caches, marks, the journal, and what was merged and sent again (contracts: Redis)."""

from lern.adapters.redis.connection import RedisProbe
from lern.adapters.redis.contents import RedisContents
from lern.adapters.redis.contributions import RedisContributions
from lern.adapters.redis.journal import RedisJournal
from lern.adapters.redis.marks import RedisMarks
from lern.adapters.redis.relations import RelationSets
from lern.adapters.redis.replays import RedisReplays
from lern.adapters.redis.writes import EnrolmentLists, RelationWriter

__all__ = [
    "EnrolmentLists",
    "RedisContents",
    "RedisContributions",
    "RedisJournal",
    "RedisMarks",
    "RedisProbe",
    "RedisReplays",
    "RelationSets",
    "RelationWriter",
]
