"""What the tree of a course means to the other jobs: leaf nodes, optional nodes, ancestors, units.

Source: jobs, section 1. A *collection* is a node with the collection mime type, every other node is a *resource*.
"""

from dataclasses import dataclass, field

import msgspec

from lern.domain.model import CourseId, Relation, RelationKey
from lern.errors import Refused

_COLLECTION_MIME_TYPE = "application/vnd.ekstep.content-collection"


class _Node(msgspec.Struct, rename="camel", gc=False):
    """One node as it stands in the JSON; `children` stay unread until the walk comes to them."""

    identifier: str | None = None
    mime_type: str | None = None
    visibility: str | None = None
    leaf_nodes: list[str] | None = None
    children: list[msgspec.Raw] | None = None
    relational_metadata: msgspec.Raw = msgspec.Raw(b"null")

    @property
    def is_collection(self) -> bool:
        return (self.mime_type or "").lower() == _COLLECTION_MIME_TYPE


class _RelationalMetadata(msgspec.Struct):
    optional: bool | str | None = None


_read_node = msgspec.json.Decoder(_Node).decode
_read_text_or_metadata = msgspec.json.Decoder(str | _RelationalMetadata | None).decode
_read_metadata = msgspec.json.Decoder(_RelationalMetadata | None).decode


@dataclass(frozen=True, slots=True)
class CourseRelations:
    """Everything the relation cache holds of one course."""

    sets: dict[RelationKey, frozenset[str]] = field(default_factory=dict)
    """Leaf and optional nodes of every collection, empty ones included, and the ancestors of every resource."""
    units: dict[str, bytes] = field(default_factory=dict)
    """The JSON of every unit, as it stands in the hierarchy."""


@dataclass(frozen=True, slots=True)
class _Branch:
    """What a node brings to the collections above it."""

    identifier: str
    is_collection: bool
    optional: bool
    composed: set[str]
    """Its leaf nodes as its children have them."""
    leaves: set[str]
    """Its leaf nodes: its own list, or else the composed ones."""
    optional_nodes: set[str]


def relations(course: CourseId, hierarchy: bytes) -> CourseRelations:
    """Computes the relations of a course from its hierarchy JSON.

    Raises Refused when the JSON cannot be read, is nested too deeply, or has a node below itself.
    """
    found = CourseRelations()
    ancestors: dict[str, set[str]] = {}
    try:
        _walk(course, msgspec.Raw(hierarchy), (), found, ancestors)
    except RecursionError as error:
        raise Refused("ERR_HIERARCHY_INVALID", f"hierarchy of {course}: nested too deeply") from error
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise Refused("ERR_HIERARCHY_INVALID", f"hierarchy of {course}: {error}") from error
    for resource, collections in ancestors.items():
        found.sets[RelationKey(course, resource, Relation.ANCESTORS)] = frozenset(collections)
    return found


def _walk(
    course: CourseId,
    raw: msgspec.Raw,
    path: tuple[str, ...],
    found: CourseRelations,
    ancestors: dict[str, set[str]],
) -> _Branch | None:
    """Visits a node and all below it; `path` holds the collections above it, root first. Blank ones are dropped."""
    node = _read_node(raw)
    identifier = (node.identifier or "") if path else course
    if not identifier.strip():
        return None
    if not node.is_collection:
        ancestors.setdefault(identifier, set()).update(path)
        return _Branch(identifier, False, _is_optional(node), set(), {identifier}, set())
    if identifier in path:
        raise Refused("ERR_HIERARCHY_CYCLE", f"hierarchy of {course}: {identifier} stands below itself")

    visited = [_walk(course, child, (*path, identifier), found, ancestors) for child in node.children or ()]
    children = [child for child in visited if child]
    composed = set[str]().union(
        *(child.composed if child.is_collection else child.leaves for child in children)
    )
    leaves = composed if node.leaf_nodes is None else {leaf for leaf in node.leaf_nodes if leaf.strip()}
    optional = set[str]().union(*map(_optional_in, children))

    for relation, members in ((Relation.LEAF_NODES, leaves), (Relation.OPTIONAL_NODES, optional)):
        key = RelationKey(course, identifier, relation)
        found.sets[key] = found.sets.get(key, frozenset()) | members
    if (node.visibility or "").lower() == "parent" and node.children:
        found.units[identifier] = bytes(raw)
    return _Branch(identifier, True, _is_optional(node), composed, leaves, optional)


def _optional_in(child: _Branch) -> set[str]:
    """What a child adds: itself and its leaves if it is optional, otherwise the optional nodes below it."""
    if not child.optional:
        return child.optional_nodes
    return {child.identifier} | child.leaves


def _is_optional(node: _Node) -> bool:
    """Whether `relationalMetadata.optional` is true; the metadata may be an object or JSON text."""
    try:
        metadata = _read_text_or_metadata(node.relational_metadata)
        if isinstance(metadata, str):
            metadata = _read_metadata(metadata)
    except msgspec.DecodeError:
        return False
    optional = metadata.optional if metadata else None
    return optional.lower() == "true" if isinstance(optional, str) else optional is True
