"""The course of the demo, which is bundled as the hierarchy JSON that a platform would store."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.resources import files

import msgspec

from lern.domain.hierarchy import relations
from lern.domain.model import CourseId, Relation, RelationKey
from lern.wire.publish import COLLECTION_MIME_TYPE

BATCH = "01438204516720649216"
"""The one batch of the course, in which all learners are enrolled."""


class Node(msgspec.Struct, rename="camel", gc=False):
    """What the demo itself reads of a node; the jobs read the JSON by their own rules."""

    identifier: str
    name: str
    mime_type: str
    depth: int
    children: list["Node"] = []

    @property
    def is_collection(self) -> bool:
        """Whether this is the course, a unit or a lesson."""
        return self.mime_type == COLLECTION_MIME_TYPE


@dataclass(frozen=True, slots=True)
class Unit:
    """One unit, directly below the course."""

    identifier: str
    name: str
    required: int
    """How many contents have to be completed: those that are not optional."""


@dataclass(frozen=True, slots=True)
class Course:
    """The course as its learners and the report see it."""

    root: Node
    hierarchy: str
    """The JSON of the whole tree."""
    units: tuple[Unit, ...]
    lessons: int
    """Collections below the units."""
    contents: tuple[Node, ...]
    """Every content once, in the order of the course."""
    optional: frozenset[str]
    shared: tuple[Node, ...]
    """Contents that stand in more than one place."""

    @property
    def identifier(self) -> CourseId:
        """The identifier of the course itself."""
        return CourseId(self.root.identifier)

    @property
    def name(self) -> str:
        """The name of the course."""
        return self.root.name

    @property
    def required(self) -> int:
        """How many contents have to be completed."""
        return len(self.contents) - len(self.optional)


def load_course() -> Course:
    """Reads the bundled course."""
    hierarchy = files("lern.demo").joinpath("course.json").read_text(encoding="utf-8")
    root = msgspec.json.decode(hierarchy, type=Node)
    course = CourseId(root.identifier)
    sets = relations(course, hierarchy.encode()).sets

    def contents_of(collection: str, relation: Relation) -> frozenset[str]:
        return sets[RelationKey(course, collection, relation)]

    places = [node for node in _below(root) if not node.is_collection]
    times = Counter(node.identifier for node in places)
    contents = {node.identifier: node for node in places}
    collections = [node for node in _below(root) if node.is_collection]
    units = [node for node in collections if node.depth == 1]
    return Course(
        root=root,
        hierarchy=hierarchy,
        units=tuple(
            Unit(
                unit.identifier,
                unit.name,
                len(
                    contents_of(unit.identifier, Relation.LEAF_NODES)
                    - contents_of(unit.identifier, Relation.OPTIONAL_NODES)
                ),
            )
            for unit in units
        ),
        lessons=len(collections) - len(units),
        contents=tuple(contents.values()),
        optional=contents_of(course, Relation.OPTIONAL_NODES) & contents.keys(),
        shared=tuple(node for node in contents.values() if times[node.identifier] > 1),
    )


def _below(node: Node) -> Iterator[Node]:
    for child in node.children:
        yield child
        yield from _below(child)
