"""What a HOCON file says, as values: which key, which pieces of value, where. Made by `scan`, put together by `hocon`."""

from dataclasses import dataclass, field

KeyPath = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Place:
    """Where a value was written: a file and its line, or (line 0) an environment variable or an option."""

    source: str
    line: int = 0

    def __str__(self) -> str:
        return f"{self.source}:{self.line}" if self.line else self.source


@dataclass(frozen=True, slots=True)
class Text:
    """A piece of text; `quoted` text keeps its blanks."""

    text: str = field(repr=False)
    quoted: bool = True


@dataclass(frozen=True, slots=True)
class Reference:
    """`${path}`, or `${?path}` when optional."""

    path: KeyPath
    optional: bool


@dataclass(frozen=True, slots=True)
class Array:
    """`[a, b]`: the parts of each element."""

    elements: tuple[tuple["Part", ...], ...]


Part = Text | Reference | Array


@dataclass(frozen=True, slots=True)
class Definition:
    """One `key = value`; no parts: null. `append`: written with `+=`."""

    path: KeyPath
    parts: tuple[Part, ...]
    place: Place
    append: bool = False


@dataclass(frozen=True, slots=True)
class Scanned:
    """The definitions of a file and its includes in order, and the includes that were not found."""

    definitions: list[Definition] = field(default_factory=list)
    missing: list[tuple[str, Place]] = field(default_factory=list)
