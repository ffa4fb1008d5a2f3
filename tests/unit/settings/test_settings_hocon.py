"""The reader of HOCON, by example and held against pyhocon."""

from collections.abc import Callable, Mapping
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pyhocon import ConfigFactory

from lern.errors import SettingsError
from lern.settings.hocon import Value, resolve
from lern.settings.scan import scan

Write = Callable[[str, str], Path]


def values(path: Path, environ: Mapping[str, str] | None = None) -> dict[str, Value]:
    """The resolved values of a file; it must have no problem."""
    resolved = resolve(scan(path).definitions, environ or {})
    assert resolved.problems == []
    return {key: entry.value for key, entry in resolved.values.items()}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a.b = 1\na { c = 2, d { e = 3 } }", {"a.b": "1", "a.c": "2", "a.d.e": "3"}),
        ('{ "a" : 1,\n "b" : { "c" : true } }', {"a": "1", "b.c": "true"}),
        ('"a.b".c = 1\n"d e" = 2', {"a.b.c": "1", "d e": "2"}),
        ("a = 60 // In sec\nb = 1 # x\n# c = 2\n// d = 3", {"a": "60", "b": "1"}),
        ('a = "x # y // z"', {"a": "x # y // z"}),
        ("a = 10.0.0.1\nb = 60 s\nc = 007\nd = localhost:9092", {"a": "10.0.0.1", "b": "60 s", "c": "007", "d": "localhost:9092"}),
        ('a = """x\n"y" \\n"""', {"a": 'x\n"y" \\n'}),
        (r'a = "\"q\"\\ \u0041\/\t"', {"a": '"q"\\ A/\t'}),
        ("a =\n{ b = 1 }\nc\n{ d = 1 }", {"a.b": "1", "c.d": "1"}),
        ("a = 1\r\nb = x y \r\n", {"a": "1", "b": "x y"}),
        ("include-this = 1\ninclude = 2", {"include-this": "1", "include": "2"}),
        ("a = x\nb = ${a}\" y\"\nc = ${a} ${b} z\nd = p${a}q", {"a": "x", "b": "x y", "c": "x x y z", "d": "pxq"}),
        ("b = ${a}\na = 1\na = 2", {"b": "2", "a": "2"}),
        ("a = x, b = y\nc { d = 1, e = 2, }", {"a": "x", "b": "y", "c.d": "1", "c.e": "2"}),
        ('a.b = x\na.b = ${a.b}"y"\na.b = ${a.b}"z"', {"a.b": "xyz"}),
        ("a = 1\na = ${?N}\na = ${?M}\nb { c = 2\n c = ${?N}\n c = ${?M} }", {"a": "1", "b.c": "2"}),
        ("a = ${?N}\nb = ${?N}x", {"b": "x"}),
        ("a = [1, x y, \"z\"\n ${b} # last\n]\nb = w", {"a": ("1", "x y", "z", "w"), "b": "w"}),
        ("a = [1]\na += 2\na += ${b}\nb = 3\nc += 4", {"a": ("1", "2", "3"), "b": "3", "c": ("4",)}),
        ("a = [1] [2]\nb = ${a} [3]", {"a": ("1", "2"), "b": ("1", "2", "3")}),
        ("a = [{ x = 1 }, 2]", {"a": ("{}", "2")}),
        ("a = 1\na = null\nb = 2\nb { c = 3 }\nd { e = 4 }\nd = 5", {"b.c": "3", "d": "5"}),
        ("r { h = 1, p = 2 }\nd = ${r} { i = 3 }\nd.p = 4\ne = ${d.h}\nr.h = 9", {"r.h": "9", "r.p": "2", "d.h": "9", "d.p": "4", "d.i": "3", "e": "9"}),
        ("a += 1,", {"a": ("1",)}),
        ("a { }\nb = 1", {"b": "1"}),
        ("", {}),
    ],
)  # fmt: skip
def test_the_values_of_a_text(write: Write, text: str, expected: dict[str, Value]) -> None:
    assert values(write("a.conf", text)) == expected


def test_the_environment_is_the_one_that_is_given_and_comes_after_the_file(write: Write) -> None:
    file = write("a.conf", "HOME = x\na = ${HOME}\nb = ${PORT}\nc = ${?HOST}\n")

    assert values(file, {"HOME": "y", "PORT": "1"}) == {"HOME": "x", "a": "x", "b": "1"}


def test_includes_stand_where_they_are_written_also_within_an_object(write: Write) -> None:
    write("sub/inner.conf", 'b = 2\ninclude "deeper"\n')
    write("sub/deeper.conf", "{ c = 3 }")
    file = write(
        "a.conf", 'a = 1\nb = 1\ninclude "sub/inner.conf"\nx { include file("sub/deeper.conf") }\na = 4\n'
    )

    assert values(file) == {"a": "4", "b": "2", "c": "3", "x.c": "3"}


def test_a_byte_order_mark_is_read_over(tmp_path: Path) -> None:
    file = tmp_path / "a.conf"
    file.write_bytes(b"\xef\xbb\xbfa = 1\n")

    assert values(file) == {"a": "1"}


_WORDS = st.from_regex(r"[a-z][a-z0-9]{0,3}", fullmatch=True)
_PATHS = st.lists(st.sampled_from(["a", "b", "c-d"]), min_size=2, max_size=3).map(tuple)
_TEXTS = st.text(st.characters(codec="ascii", min_codepoint=32, exclude_characters='"\\'), max_size=8)


@st.composite
def documents(draw: st.DrawFn) -> str:
    """Files of quoted texts and of substitutions of keys that are defined, nested or dotted."""
    keys = draw(st.lists(_WORDS, min_size=1, max_size=6, unique=True))
    lines = []
    for number, key in enumerate(keys):
        parts = [f'"{draw(_TEXTS)}"']
        if number:
            parts.insert(draw(st.integers(0, 1)), f"${{k.{draw(st.sampled_from(keys[:number]))}.v}}")
        path = draw(
            st.sampled_from(
                [
                    "k.{}.v = {}",
                    "k {{ {}.v = {} }}",
                    "k {{\n  {} {{ v = {} }}\n}} # done",
                    "k.{} {{ v : {}, }}",
                ]
            )
        )
        lines.append(path.format(key, "".join(parts)))
    return "\n".join(draw(st.permutations(lines)))


@given(documents())
@settings(max_examples=40, deadline=None)
def test_this_reader_and_pyhocon_agree(text: str) -> None:
    with TemporaryDirectory() as directory:
        file = Path(directory) / "a.conf"
        file.write_text(text)
        ours = values(file)

    theirs = ConfigFactory.parse_string(text)
    assert ours == {key: theirs.get(key) for key in ours}
    assert len(ours) == len(theirs["k"])


@pytest.mark.parametrize(
    "text", ["a { x = 1, b = ${a} }", "a { x = 1, y = ${b} }\nb { x = 1, y = ${a} }", "a = ${b}\nb = ${a}"]
)
def test_what_is_made_of_itself_is_a_problem_with_a_line(write: Write, text: str) -> None:
    file = write("a.conf", text)

    (problem, *_) = resolve(scan(file).definitions, {}).problems

    assert problem.startswith(f"{file}:1: ")
    assert problem.endswith(" is made of itself")


@given(_PATHS, _TEXTS)
@settings(deadline=None)
def test_a_quoted_text_is_kept_to_the_letter(path: tuple[str, ...], text: str) -> None:
    with TemporaryDirectory() as directory:
        file = Path(directory) / "a.conf"
        file.write_text(f'{".".join(path)} = "{text}"\n')
        assert values(file) == {".".join(path): text}


@given(st.text(st.sampled_from('ab.=:{}[]"$,+#/\\ \n'), max_size=30))
@settings(deadline=None)
def test_any_text_is_read_or_refused_with_a_line(text: str) -> None:
    with TemporaryDirectory() as directory:
        file = Path(directory) / "a.conf"
        file.write_text(text)
        try:
            resolve(scan(file).definitions, {})
        except SettingsError as error:
            assert str(error).startswith(f"{file}:")  # noqa: PT017  # both endings are right
