"""The progress rules once more: slow, obvious, and written from the specification alone.

Nothing here is shared with `lern.domain` or `lern.jobs`; the tests hold the jobs against it.
"""

import json
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

COLLECTION = "application/vnd.ekstep.content-collection"


@dataclass
class Node:
    """One node of a course: a collection when `children` is a list, otherwise a resource."""

    id: str
    children: "list[Node] | None" = None
    optional: bool = False
    own_leaves: list[str] | None = None

    def json(self) -> dict[str, object]:
        """The node as it stands in a hierarchy."""
        node: dict[str, object] = {"identifier": self.id, "mimeType": "video/mp4"}
        if self.children is not None:
            node |= {"mimeType": COLLECTION, "visibility": "Parent"}
            node["children"] = [child.json() for child in self.children]
        if self.own_leaves is not None:
            node["leafNodes"] = self.own_leaves
        if self.optional:
            node["relationalMetadata"] = {"optional": True}
        return node

    def collections(self) -> "Iterator[Node]":
        """This node, when it is one, and all collections below it."""
        if self.children is not None:
            yield self
        for child in self.children or []:
            yield from child.collections()

    def leaves(self) -> set[str]:
        """What a learner works through in this collection."""
        return self.composed() if self.own_leaves is None else set(self.own_leaves)

    def composed(self) -> set[str]:
        """All resources below."""
        found: set[str] = set()
        for child in self.children or []:
            found |= {child.id} if child.children is None else child.composed()
        return found

    def left_out(self) -> set[str]:
        """What of this collection need not be done."""
        found: set[str] = set()
        for child in self.children or []:
            if child.optional:
                found |= {child.id} if child.children is None else {child.id} | child.leaves()
            else:
                found |= child.left_out()
        return found

    def holds(self, resource: str) -> bool:
        """Whether the resource stands anywhere below this node."""
        return any(
            child.holds(resource) or (child.children is None and child.id == resource)
            for child in self.children or []
        )


class Who(NamedTuple):
    """One learner in one batch."""

    user: str
    batch: str


@dataclass
class Content:
    """A row of `user_content_consumption`."""

    status: int | None = 1
    views: int = 0
    completions: int = 0


@dataclass
class Enrolment:
    """A row of `user_enrolments`."""

    status: int = 0
    progress: int = 0
    contents: dict[str, int] = field(default_factory=dict)
    completed: int | None = None
    """The turn at which it was completed: stands for the date."""


@dataclass
class Update:
    """One event: completed contents, or None where the progress is only to be computed again."""

    who: Who
    completed: list[str] | None


@dataclass
class World:
    """One course, its learners, and everything that was said about them."""

    course: Node
    dedup: bool = True
    filtered: bool = True
    modules: bool = True
    consumption: dict[Who, dict[str, Content]] = field(default_factory=dict)
    enrolments: dict[Who, Enrolment] = field(default_factory=dict)
    counts: dict[tuple[str, Who], int] = field(default_factory=dict)
    """`completedCount` by activity and learner."""
    said: Counter[tuple[str, ...]] = field(default_factory=Counter)
    """Certificate requests and audits."""
    handled: set[tuple[Who, str]] = field(default_factory=set)
    turn: int = 0

    def handle(self, updates: Sequence[Update]) -> None:
        """One batch of events."""
        self.turn += 1
        for who in sorted({update.who for update in updates}):
            mine = [update for update in updates if update.who == who]
            self._handle(who, mine)

    def _handle(self, who: Who, updates: Sequence[Update]) -> None:
        new: Counter[str] = Counter()
        for update in updates:
            for content in update.completed or []:
                if self.dedup and (who, content) in self.handled:
                    continue
                self.handled.add((who, content))
                new[content] += 1
        if new or any(update.completed is None for update in updates):
            self._progress(who, new)

    def _progress(self, who: Who, new: "Counter[str]") -> None:
        rows = self.consumption.setdefault(who, {})
        if not new and not rows:
            if who in self.enrolments and (self.enrolments[who].status != 2 or not self.filtered):
                self.enrolments[who].progress = 0
            return
        for content, times in new.items():
            row = rows.setdefault(content, Content(0))
            if row.views == 0:
                self.said["start", *who, content] += 1
            if row.completions == 0:
                self.said["complete", *who, content] += 1
            row.status, row.views, row.completions = 2, row.views + times, row.completions + times
        statuses = {content: 1 if row.status is None else row.status for content, row in rows.items()}
        for node in self.course.collections():
            if node is self.course or (self.modules and any(node.holds(content) for content in rows)):
                self.counts[node.id, who] = len(_done(node, statuses))
        self._enrolment(who, statuses)

    def _enrolment(self, who: Who, statuses: dict[str, int]) -> None:
        stored = self.enrolments.get(who)
        if self.filtered and (stored is None or stored.status == 2):
            return
        enrolment = self.enrolments.setdefault(who, Enrolment())
        enrolment.progress = len(_done(self.course, statuses))
        enrolment.contents = statuses
        if enrolment.status == 2:
            return
        enrolment.status = 1
        if _required(self.course) == _done(self.course, statuses):
            enrolment.status, enrolment.completed = 2, self.turn
            self.said["certificate", *who] += 1
            self.said["enrol-complete", *who] += 1


def _required(node: Node) -> set[str]:
    return node.leaves() - node.left_out()


def _done(node: Node, statuses: dict[str, int]) -> set[str]:
    return {leaf for leaf in _required(node) if statuses.get(leaf) == 2}


def hierarchy(course: Node) -> bytes:
    """The course as it stands in `content_hierarchy`."""
    return json.dumps(course.json() | {"visibility": "Default"}).encode()
