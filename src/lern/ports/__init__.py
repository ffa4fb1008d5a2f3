"""The borders of the program: what jobs may ask (`Facts`) and what engines may do (`Platform`).

Every port is bulk and synchronous; concurrency lives inside an adapter. Every method may raise Unavailable (the
caller backs off and tries again, so all of them must be safe to repeat) and, where a single item can be wrong,
Refused. Nothing else crosses the border: adapters translate their driver's errors.
"""

from lern.ports.facts import (
    AccountStore,
    AttemptStore,
    CollectionDirectory,
    ContentDirectory,
    Contributions,
    EnrolledPage,
    EnrolmentDirectory,
    Facts,
    HierarchyStore,
    Marks,
    ProgressStore,
    QuestionTotal,
    RelationCache,
    Standing,
)
from lern.ports.platform import (
    Consumer,
    Journal,
    Log,
    Partition,
    Platform,
    Replays,
    Stores,
    Transaction,
    Upkeep,
)

__all__ = [
    "AccountStore",
    "AttemptStore",
    "CollectionDirectory",
    "Consumer",
    "ContentDirectory",
    "Contributions",
    "EnrolledPage",
    "EnrolmentDirectory",
    "Facts",
    "HierarchyStore",
    "Journal",
    "Log",
    "Marks",
    "Partition",
    "Platform",
    "ProgressStore",
    "QuestionTotal",
    "RelationCache",
    "Replays",
    "Standing",
    "Stores",
    "Transaction",
    "Upkeep",
]
