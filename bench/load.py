"""The load of the progress benchmarks: one course, its learners, and what they complete. Pure and repeatable.

Two loads with the same parameters are equal, byte for byte; `token` keeps the ids of different runs apart.
"""

import json
import random
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

COLLECTION = "application/vnd.ekstep.content-collection"

_ETS = 1_764_000_000_000
"""When all events were made: a load knows no clock."""


class Completion(NamedTuple):
    """One event: a learner has completed a content."""

    user: str
    content: str


@dataclass(frozen=True)  # without slots, which would leave no room for cached properties
class Load:
    """Learners who complete `each` of the course's contents in random order, one content an event."""

    token: str
    """Eight hexadecimal digits that stand in every id."""
    learners: int = 1000
    units: int = 5
    leaves: int = 10
    """Contents of one unit."""
    each: int = 20
    """Contents that a learner completes: fewer than there are, so that nobody completes the course."""
    seed: int = 1

    def __post_init__(self) -> None:
        if not 0 < self.each < self.units * self.leaves:
            raise ValueError("a learner completes at least one content, and not all")

    @property
    def course(self) -> str:
        """The id of the course, as long as real ones."""
        return self._id(0)

    @property
    def batch(self) -> str:
        """The id of the batch that all are enrolled in."""
        return f"01{self.token}00000000b"

    @property
    def users(self) -> list[str]:
        """The ids of the learners: UUIDs by their looks."""
        return [f"{self.token}-0000-4000-8000-{number:012d}" for number in range(self.learners)]

    @cached_property
    def tree(self) -> dict[str, list[str]]:
        """The contents of each unit."""
        return {
            self._id(unit): [self._id(unit * 1000 + leaf) for leaf in range(self.leaves)]
            for unit in range(1, self.units + 1)
        }

    @property
    def contents(self) -> list[str]:
        """All leaf nodes of the course."""
        return [leaf for leaves in self.tree.values() for leaf in leaves]

    @cached_property
    def completions(self) -> list[Completion]:
        """All events, in the order in which they are sent."""
        order = random.Random(self.seed)
        contents = self.contents
        events = [
            Completion(user, content)
            for user in self.users
            for content in sorted(order.sample(contents, self.each))
        ]
        order.shuffle(events)
        return events

    @property
    def size(self) -> int:
        """How many events there are."""
        return self.learners * self.each

    def event(self, completion: Completion) -> bytes:
        """A completion as it is sent to the topic, under the user as key."""
        user, content = completion
        return json.dumps(
            {
                "eid": "BE_JOB_REQUEST",
                "ets": _ETS,
                "mid": f"LP.{_ETS}.{user}",
                "actor": {"id": "Course Batch Updater", "type": "System"},
                "context": {"pdata": {"ver": "1.0", "id": "org.sunbird.platform"}},
                "object": {"id": f"{self.batch}_{user}", "type": "CourseBatchEnrolment"},
                "edata": {
                    "contents": [{"contentId": content, "status": 2}],
                    "action": "batch-enrolment-update",
                    "iteration": 1,
                    "batchId": self.batch,
                    "userId": user,
                    "courseId": self.course,
                },
            },
            separators=(",", ":"),
        ).encode()

    def relations(self) -> Iterator[tuple[str, str, list[str]]]:
        """The sets of the relation cache: node, relation, members."""
        yield self.course, "leafnodes", self.contents
        for unit, leaves in self.tree.items():
            yield unit, "leafnodes", leaves
            for leaf in leaves:
                yield leaf, "ancestors", [self.course, unit]

    def progress(self) -> dict[str, Counter[str]]:
        """For each learner, how many contents of the course and of each unit are completed in the end."""
        unit_of = {leaf: unit for unit, leaves in self.tree.items() for leaf in leaves}
        found = {user: Counter[str]() for user in self.users}
        for user, content in self.completions:
            found[user].update((self.course, unit_of[content]))
        return found

    def _id(self, number: int) -> str:
        return f"do_{self.token}{number:012d}"
