"""Puts the values of HOCON definitions together: substitutions, concatenations, `+=`, merged objects.

Why this and not pyhocon: a setting that silently takes another value is the worst this package can do, and pyhocon drops
a key whose value is overridden by two unset optional substitutions in a row (`host = a`, `host = ${?A}`, `host = ${?B}`),
turns `60 s` into a time span, fails on `+=` with current pyparsing, on a scalar that becomes an object and on `"a"."b"`
keys, expands tabs and leaves `\\u0041` in quoted text, reads the environment of the process only, and knows no lines.
The tests hold this reader against pyhocon wherever the two should agree.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from lern.settings.definitions import Array, Definition, KeyPath, Part, Place, Reference, Text

Value = str | tuple[str, ...]

_MOST_PARTS = 20
_MOST_COPIES = 500
"""Objects that are made of each other would grow without end: deeper or larger than any settings file."""


@dataclass(frozen=True, slots=True)
class Entry:
    """The resolved value of one key (a text, or the texts of a list) and where it was written."""

    value: Value = field(repr=False)
    place: Place


@dataclass(frozen=True, slots=True)
class Resolved:
    """Values by dotted key, and what could not be resolved, a sentence each."""

    values: dict[str, Entry]
    problems: list[str]


def resolve(definitions: Sequence[Definition], environ: Mapping[str, str], hint: str = "") -> Resolved:
    """The values that `definitions` give, later ones winning; null and unset optional values are left out.

    A substitution means the final value of its key (not the value so far), except in the definition of that very key,
    where it means the value before; a key that is not defined is looked for in `environ`.
    `hint` is added to the problem of an undefined substitution.
    """
    try:
        resolver = _Resolver(_merged(definitions), environ, hint)
    except _Problem as problem:
        return Resolved({}, [str(problem)])
    values: dict[str, Entry] = {}
    for path in resolver.indices:
        try:
            found = resolver.lookup(path, len(resolver.definitions), frozenset())
        except _Problem as problem:
            if str(problem) not in resolver.problems:
                resolver.problems.append(str(problem))
        else:
            if found:
                values[".".join(path)] = found
    return Resolved(values, resolver.problems)


class _Problem(Exception):
    """A sentence for the operator."""


def _merged(definitions: Sequence[Definition]) -> list[Definition]:
    """With every `a = ${b}` that refers to an object replaced by that object's definitions."""
    merged = list(definitions)
    while True:
        objects = {d.path[:depth] for d in merged for depth in range(1, len(d.path))}
        referring = [d for d in merged if _refers_to_object(d, objects)]
        if not referring:
            return merged
        for d in referring:
            within_itself = any(
                isinstance(part, Reference) and part.path == d.path[: len(part.path)] != d.path
                for part in d.parts
            )
            grows = len(d.path) > _MOST_PARTS or len(merged) > len(definitions) + _MOST_COPIES
            if within_itself or grows:
                raise _Problem(f"{d.place}: {'.'.join(d.path)} is made of itself")
        merged = [made for d in merged for made in _copies(d, merged, objects)]


def _refers_to_object(definition: Definition, objects: set[KeyPath]) -> bool:
    return any(isinstance(part, Reference) and part.path in objects for part in definition.parts) and not any(
        isinstance(part, Array) or (isinstance(part, Text) and part.text.strip()) for part in definition.parts
    )


def _copies(definition: Definition, all_: list[Definition], objects: set[KeyPath]) -> list[Definition]:
    if not _refers_to_object(definition, objects):
        return [definition]
    return [
        replace(d, path=definition.path + d.path[len(part.path) :], place=definition.place)
        for part in definition.parts
        if isinstance(part, Reference) and part.path != definition.path
        for d in all_
        if len(d.path) > len(part.path) and d.path[: len(part.path)] == part.path
    ]


class _Resolver:
    def __init__(self, definitions: list[Definition], environ: Mapping[str, str], hint: str) -> None:
        self.definitions = definitions
        self.environ = environ
        self.hint = hint
        self.problems: list[str] = []
        self.indices: dict[KeyPath, list[int]] = {}
        for index, definition in enumerate(definitions):
            self.indices.setdefault(definition.path, []).append(index)
        last_of_object = {d.path[:n]: i for i, d in enumerate(definitions) for n in range(1, len(d.path))}
        self.replaced_at = {
            path: max(
                [last_of_object.get(path, -1)]
                + [self.indices.get(path[:n], [-1])[-1] for n in range(1, len(path))]
            )
            for path in self.indices
        }
        """The last definition that makes the key something else: an object, or part of what is a scalar now."""

    def lookup(self, path: KeyPath, before: int, active: frozenset[int]) -> Entry | None:
        """The value of `path` by the definitions before index `before`; None: it has none."""
        for index in reversed(self.indices.get(path, [])):
            definition = self.definitions[index]
            if index >= before:
                continue
            if index < self.replaced_at[path] or not definition.parts:
                return None
            if index in active:
                raise _Problem(f"{definition.place}: {'.'.join(path)} is made of itself")
            value = self.evaluate(definition, index, active | {index})
            if value is not None:
                return Entry(value, definition.place)
        return None

    def evaluate(self, definition: Definition, index: int, active: frozenset[int]) -> Value | None:
        value = self.joined(definition, definition.parts, index, active)
        if value is None or not definition.append:
            return value
        before = self.lookup(definition.path, index, active)
        return (_texts(before.value) if before else ()) + _texts(value)

    def joined(
        self, definition: Definition, parts: Sequence[Part], index: int, active: frozenset[int]
    ) -> Value | None:
        """The parts side by side; None when there are only optional substitutions and none of them is set."""
        values = [self.piece(definition, part, index, active) for part in parts]
        there = [value for value in values if value is not None]
        if not there:
            return None
        texts = [value for value in there if isinstance(value, str)]
        if len(texts) == len(there):
            return "".join(texts)
        if any(texts):
            raise _Problem(f"{definition.place}: {'.'.join(definition.path)} joins a list and a text")
        return tuple(text for value in there if isinstance(value, tuple) for text in value)

    def piece(self, definition: Definition, part: Part, index: int, active: frozenset[int]) -> Value | None:
        if isinstance(part, Text):
            return part.text
        if isinstance(part, Array):
            elements = [self.joined(definition, element, index, active) for element in part.elements]
            return tuple(text for element in elements if element is not None for text in _texts(element))
        before = index if part.path == definition.path else len(self.definitions)
        found = self.lookup(part.path, before, active)
        if found:
            return found.value
        name = ".".join(part.path)
        if name in self.environ:
            return self.environ[name]
        if part.optional:
            return None
        key = ".".join(definition.path)
        raise _Problem(f"{definition.place}: {key} needs ${{{name}}}, which is not defined{self.hint}")


def _texts(value: Value) -> tuple[str, ...]:
    return (value,) if isinstance(value, str) else value
