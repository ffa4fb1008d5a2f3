"""Reads the text of HOCON files into definitions: which key, which value, in which file and line.

Objects are flattened (`kafka { groupId = g }` is one definition of `kafka.groupId`) and included files stand where their
`include` stands, so that what follows is one list in which later definitions win. Nothing is looked up here:
`lern.settings.hocon` puts the values together.

Syntax errors are `SettingsError` with file and line; they never quote the line, since it may hold a password.
"""

import re
from pathlib import Path
from typing import NoReturn

from lern.errors import SettingsError
from lern.settings.definitions import Array, Definition, KeyPath, Part, Place, Reference, Scanned, Text


def scan(path: Path) -> Scanned:
    """Read `path` and all that it includes."""
    scanned = Scanned()
    _scan_into(scanned, path, (), ())
    return scanned


def _scan_into(scanned: Scanned, path: Path, prefix: KeyPath, stack: tuple[Path, ...]) -> None:
    try:
        text = path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise SettingsError(f"{path}: the file cannot be read ({error.strerror})") from None
    except UnicodeDecodeError:
        raise SettingsError(f"{path}: the file is not UTF-8 text") from None
    _Scanner(text, path, scanned, (*stack, path.resolve())).file(prefix)


_TEMPLATE = re.compile(r"\{\{.*?\}\}|\{%.*?%\}")
_INLINE_SPACE = re.compile(r"(?:[^\S\n]|(?:#|//)[^\n]*)*")
_SPACE = re.compile(r"(?:\s|(?:#|//)[^\n]*)*")
_SPACE_AND_COMMAS = re.compile(r"(?:[\s,]|(?:#|//)[^\n]*)*")
_QUOTED = re.compile(r'"((?:[^"\\\n]|\\.)*)"')
_TRIPLE = re.compile(r'"""(.*?)"""(?!")', re.DOTALL)
_ESCAPE = re.compile(r"\\(u[0-9a-fA-F]{4}|.)")
_ESCAPED = {"n": "\n", "t": "\t", "r": "\r", "b": "\b", "f": "\f", '"': '"', "\\": "\\", "/": "/"}
_REFERENCE = re.compile(r"\$\{(\??)\s*([^${}\n]+?)\s*\}")
_UNQUOTED = re.compile(r'(?:(?!//|\$\{)[^\n,}\]#"{\[])+')
_KEY_TEXT = re.compile(r'(?:(?!//|\+=)[^"{}\[\]:=,#\n$])+')
_INCLUDE_WORD = re.compile(r'include[^\S\n]+(?=["(]|(?:required|file|url|classpath|package)\()')
_INCLUDE = re.compile(
    r"include[^\S\n]+(?P<required>required\([^\S\n]*)?(?:(?P<how>file|url|classpath|package)\([^\S\n]*)?"
    r'"(?P<name>(?:[^"\\\n]|\\.)*)"(?(how)[^\S\n]*\))(?(required)[^\S\n]*\))'
)


class _Scanner:
    """A place in one text; the methods move it forward over what they read."""

    def __init__(self, text: str, path: Path, scanned: Scanned, stack: tuple[Path, ...]) -> None:
        self.text = text
        self.path = path
        self.scanned = scanned
        self.stack = stack
        self.at = 0
        self.definitions = scanned.definitions

    def place(self) -> Place:
        return Place(str(self.path), self.text.count("\n", 0, self.at) + 1)

    def fail(self, what: str, place: Place | None = None) -> NoReturn:
        raise SettingsError(f"{place or self.place()}: {what}")

    def sees(self, what: str) -> bool:
        return self.text.startswith(what, self.at)

    def match(self, pattern: re.Pattern[str]) -> re.Match[str] | None:
        found = pattern.match(self.text, self.at)
        if found:
            self.at = found.end()
        return found

    def file(self, prefix: KeyPath) -> None:
        """A whole file: members, in braces or not."""
        self.match(_SPACE)
        braces = self.sees("{") and not _TEMPLATE.match(self.text, self.at)
        if braces:
            opened = self.place()
            self.at += 1
            self.members(prefix)
            self.close(opened)
            self.match(_SPACE)
        else:
            self.members(prefix)
        if self.at < len(self.text):
            self.fail("there is a } too many here" if self.sees("}") else "expected the end of the file")

    def close(self, opened: Place) -> None:
        if not self.sees("}"):
            self.fail("the { of this line is never closed", opened)
        self.at += 1

    def members(self, prefix: KeyPath) -> None:
        """What stands between braces, up to the closing one or the end of the text."""
        while True:
            self.match(_SPACE_AND_COMMAS)
            if self.at >= len(self.text) or self.sees("}"):
                return
            if _TEMPLATE.match(self.text, self.at):
                self.fail("a template's placeholder stands here: the file was not rendered")
            if _INCLUDE_WORD.match(self.text, self.at):
                self.include(prefix)
            else:
                self.member(prefix)

    def member(self, prefix: KeyPath) -> None:
        place = self.place()
        path = (*prefix, *self.key())
        self.match(_SPACE)
        if self.sees("{") and not self.sees("{{"):
            self.value(path, place, append=False)
            return
        append = self.sees("+=")
        if not (append or self.sees("=") or self.sees(":")):
            self.fail('expected "=", ":" or "{" after the key of this line', place)
        self.at += 2 if append else 1
        self.match(_INLINE_SPACE)
        if self.sees("\n"):
            # Only what cannot be the next key may stand on the next line: a template that rendered to nothing
            # must not swallow the line after it.
            start = self.at
            self.match(_SPACE)
            if not (self.sees("{") or self.sees("[")):
                self.at = start
        self.value(path, place, append)

    def key(self) -> KeyPath:
        """`a.b`, `"a.b".c`, `a b.c`: the parts of the path."""
        start = self.place()
        parts = [""]
        while True:
            if self.sees('"'):
                parts[-1] += self.quoted()
            elif found := self.match(_KEY_TEXT):
                first, *others = found.group().split(".")
                parts[-1] += first
                parts += others
            else:
                break
        path = tuple(part.strip() for part in parts)
        if not all(path):
            self.fail("expected a key, such as kafka.groupId", start)
        return path

    def include(self, prefix: KeyPath) -> None:
        place = self.place()
        found = self.match(_INCLUDE)
        if not found:
            self.fail(
                'the include of this line cannot be read: expected include "file" or include file("file")'
            )
        if found["how"] in {"url", "package"}:
            self.fail(
                f'include {found["how"]}(...) is not supported: expected include file("/path/to/file.conf")'
            )
        name = _unescape(found["name"])
        # Relative to the including file, however it is written. A path on the classpath of the JVM is looked for
        # beside the including file too: that is where the deployed charts put base-config.conf.
        target = self.path.parent / name
        if not target.suffix and not target.exists():
            target = target.with_name(target.name + ".conf")
        if not target.is_file():
            if found["required"]:
                self.fail(f'the required include "{name}" does not exist ({target})', place)
            self.scanned.missing.append((name, place))
        elif target.resolve() in self.stack:
            self.fail(f'include "{name}" includes itself', place)
        else:
            _scan_into(self.scanned, target, prefix, self.stack)

    def value(self, path: KeyPath, place: Place, append: bool) -> None:
        """Everything up to the end of the line, a comma or a closing bracket, as one or more definitions."""
        parts: list[Part] = []
        objects = plain = False
        while self.more():
            if self.sees("{") and not _TEMPLATE.match(self.text, self.at):
                self.define(path, parts, place, append)  # ${redis} { port = 1 }: the objects are merged
                parts, objects = [], True
                opened = self.place()
                self.at += 1
                self.members(path)
                self.close(opened)
            else:
                parts.append(self.part())
                plain = plain or not (_blank(parts[-1]) or isinstance(parts[-1], Reference))
            if objects and plain:
                self.fail("an object and a text side by side: expected a new line or a comma between them")
        self.define(path, parts, place, append)
        if not objects and not parts:
            self.fail(f"{'.'.join(path)} has no value", place)

    def more(self) -> bool:
        return self.at < len(self.text) and self.text[self.at] not in "\n,}]#" and not self.sees("//")

    def define(self, path: KeyPath, parts: list[Part], place: Place, append: bool) -> None:
        if not all(_blank(part) for part in parts):
            self.definitions.append(Definition(path, _trimmed(parts), place, append))

    def part(self) -> Part:
        """One piece of a value that is not an object."""
        if template := self.match(_TEMPLATE):
            return Text(template.group())
        if self.sees('"'):
            return Text(self.quoted())
        if self.sees("${"):
            found = self.match(_REFERENCE)
            if not found:
                self.fail("the ${ of this line is never closed")
            return Reference(reference_path(found[2]), optional=bool(found[1]))
        if self.sees("["):
            return self.array()
        found = self.match(_UNQUOTED)
        if not found:
            self.fail("unexpected character in a value")
        if found.group().endswith(":") and self.sees("//"):
            self.fail("a value that holds // (such as a URL) must stand in quotes")
        return Text(found.group(), quoted=False)

    def quoted(self) -> str:
        if self.sees('"""'):
            found = self.match(_TRIPLE)
            if not found:
                self.fail('the """ of this line is never closed')
            return found[1]
        found = self.match(_QUOTED)
        if not found:
            self.fail("the quote of this line is never closed")
        return _unescape(found[1])

    def array(self) -> Array:
        opened = self.place()
        self.at += 1
        elements: list[tuple[Part, ...]] = []
        while True:
            self.match(_SPACE_AND_COMMAS)
            if self.at >= len(self.text) or self.sees("}"):
                self.fail("the [ of this line is never closed", opened)
            if self.sees("]"):
                self.at += 1
                return Array(tuple(elements))
            parts: list[Part] = []
            while self.more():
                parts.append(self.object_in_array() if self.sees("{") else self.part())
            elements.append(_trimmed(parts))

    def object_in_array(self) -> Text:
        """No setting is a list of objects: it is read over, and stands in the list as `{}`."""
        if template := self.match(_TEMPLATE):
            return Text(template.group())
        opened = self.place()
        self.at += 1
        outside, self.definitions = self.definitions, []
        self.members(())
        self.definitions = outside
        self.close(opened)
        return Text("{}")


def reference_path(text: str) -> KeyPath:
    """`a.b` or `"a.b".c`, as written between `${` and `}`."""
    quoted = re.findall(r'"([^"]*)"|([^."]+)', text)
    return tuple((inside or outside).strip() for inside, outside in quoted)


def _trimmed(parts: list[Part]) -> tuple[Part, ...]:
    """Without the blanks around the value (those between its pieces count); null gives no parts."""
    blank = [_blank(part) for part in parts]
    lists = any(isinstance(part, Array) for part in parts)
    kept = [
        part
        for i, part in enumerate(parts)
        if not (blank[i] and (lists or all(blank[:i]) or all(blank[i + 1 :])))
    ]
    if kept and isinstance(first := kept[0], Text) and not first.quoted:
        kept[0] = Text(first.text.lstrip(), quoted=False)
    if kept and isinstance(last := kept[-1], Text) and not last.quoted:
        kept[-1] = Text(last.text.rstrip(), quoted=False)
    return () if kept == [Text("null", quoted=False)] else tuple(kept)


def _blank(part: Part) -> bool:
    return isinstance(part, Text) and not part.quoted and not part.text.strip()


def _unescape(text: str) -> str:
    def one(found: re.Match[str]) -> str:
        code = found[1]
        return chr(int(code[1:], 16)) if len(code) == 5 else _ESCAPED.get(code, found[0])

    return _ESCAPE.sub(one, text)
