"""Large course hierarchies for the publish benchmark: their JSON, and what has to come out. Pure and repeatable."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from bench.load import COLLECTION

_DESCRIPTION = (
    "What learners find in this part of the course, in a few sentences as authors write them: the aim, what has to be"
    " known before, how long it takes, and how it is assessed. "
)


@dataclass
class Tree:
    """A hierarchy, and the sets and units that publishing it leads to."""

    course: str
    depth: int
    """Levels, that of the course and that of the leaves included."""
    json: bytes
    nodes: int
    sets: dict[str, frozenset[str]] = field(default_factory=dict)
    """The sets of the relation cache that are not empty, by their Redis keys."""
    units: set[str] = field(default_factory=set)
    """The ids of all collections below the course."""


def tree(course: str, nodes: int, depth: int, node_bytes: int) -> Tree:
    """A course with exactly so many nodes on so many levels, each of about so many bytes of JSON.

    Below the course are ten branches. With five levels collections have ten collections each; deeper ones are a line
    of collections with leaves on every level, since a wide tree of that depth would have too many nodes.
    """
    collections, leaf_parents = _collections(nodes, depth)
    leaves = nodes - collections
    if leaves < len(leaf_parents):
        raise ValueError(f"{nodes} nodes are too few for {depth} levels")
    children: dict[int, list[int]] = {}
    for number, parent in _parents(depth):
        children.setdefault(parent, []).append(number)
    first = collections
    for place in range(leaves):
        children.setdefault(leaf_parents[place % len(leaf_parents)], []).append(first + place)
    made = Tree(course, depth, b"", nodes)
    made.json = json.dumps(
        _node(made, 0, (), children, collections, node_bytes), separators=(",", ":")
    ).encode()
    _add_leaf_nodes(made, 0, children, collections)
    return made


def _collections(nodes: int, depth: int) -> tuple[int, list[int]]:
    """How many collections there are, and which of them hold leaves."""
    parents = list(_parents(depth))
    if depth <= 5:
        above = {parent for _, parent in parents}
        holders = [number for number, _ in parents if number not in above] or [0]
    else:
        holders = [number for number, _ in parents]
    if nodes <= len(parents) + 1:
        raise ValueError(f"{nodes} nodes are too few for {depth} levels")
    return len(parents) + 1, holders


def _parents(depth: int) -> Iterator[tuple[int, int]]:
    """Each collection below the course, and the one above it; the course is 0."""
    number = 0
    level = [0]
    for floor in range(depth - 2):
        branches = 10 if depth <= 5 or not floor else 1
        below = []
        for parent in level:
            for _ in range(branches):
                number += 1
                below.append(number)
                yield number, parent
        level = below


def _name(course: str, number: int) -> str:
    return f"{course}{number:06d}" if number else course


def _node(
    made: Tree,
    number: int,
    path: tuple[str, ...],
    children: Mapping[int, list[int]],
    collections: int,
    node_bytes: int,
) -> dict[str, object]:
    """One node with all below it; on the way the ancestors of leaves are noted."""
    name = _name(made.course, number)
    is_leaf = number >= collections
    node = _fields(name, path[-1] if path else None, len(path), is_leaf=is_leaf, node_bytes=node_bytes)
    if is_leaf:
        made.sets[f"{made.course}:{name}:ancestors"] = frozenset(path)
        return node
    if path:
        made.units.add(name)
    below = (*path, name)
    node["children"] = [
        _node(made, child, below, children, collections, node_bytes) for child in children.get(number, ())
    ]
    return node


def _add_leaf_nodes(
    made: Tree, number: int, children: Mapping[int, list[int]], collections: int
) -> frozenset[str]:
    if number >= collections:
        return frozenset({_name(made.course, number)})
    leaves = frozenset[str]().union(
        *(_add_leaf_nodes(made, child, children, collections) for child in children.get(number, ()))
    )
    made.sets[f"{made.course}:{_name(made.course, number)}:leafnodes"] = leaves
    return leaves


def _fields(
    name: str, parent: str | None, level: int, *, is_leaf: bool, node_bytes: int
) -> dict[str, object]:
    """The fields that platforms put into a hierarchy, filled up to the wanted size."""
    node: dict[str, object] = {
        "identifier": name,
        "name": f"Part {name[-6:]} of the course",
        "objectType": "Content" if is_leaf else "Collection",
        "mimeType": "video/mp4" if is_leaf else COLLECTION,
        "contentType": "Resource" if is_leaf else "CourseUnit" if parent else "Course",
        "primaryCategory": "Explanation Content" if is_leaf else "Course Unit" if parent else "Course",
        "visibility": "Default" if is_leaf or not parent else "Parent",
        "status": "Live",
        "channel": "0126796199493140480",
        "parent": parent,
        "depth": level,
        "pkgVersion": 1,
        "lastUpdatedOn": "2026-11-02T09:30:00.000+0000",
        "description": "",
    }
    missing = node_bytes - len(json.dumps(node, separators=(",", ":")))
    node["description"] = (_DESCRIPTION * (missing // len(_DESCRIPTION) + 1))[: max(0, missing)]
    return node
