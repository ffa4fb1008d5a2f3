"""The kinds of value a setting can have: how each is read from text, and what is said when it cannot be."""

import math
import re
from collections.abc import Callable, Sequence
from enum import Enum
from pathlib import Path
from urllib.parse import urlsplit

Value = str | int | float | bool | Path | tuple[str, ...]


class Kind(Enum):
    """A kind of value; its value is the sentence that says what is expected."""

    WORD = "letters, digits, '.', '_' and '-'"
    TEXT = "a text"
    SECRET = "a text (never shown)"  # noqa: S105  # the words for the kind
    NAME = "a Cassandra name (a letter, then letters, digits and '_')"
    COUNT = "a whole number of 1 or more"
    INDEX = "a whole number of 0 or more"
    SECONDS = "a number of seconds above 0, without a unit"
    DAYS = "a number of days above 0, without a unit"
    BOOLEAN = "true or false"
    CHOICE = "one of"
    URL = "a URL such as http://search:9000, without user and password"
    HOST = "one host name or address, without port"
    HOSTS = "host names or addresses, separated by commas, without ports"
    BROKERS = "host:port, several separated by commas"
    PORT = "a port (1 to 65535)"
    PATH = "a path"
    PEM = "the path of a PEM file"


class WrongValueError(ValueError):
    """A text that is not of the kind; the message says what was expected, never what was found."""


_WORD = re.compile(r"[A-Za-z0-9._-]{1,249}")
_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]{0,47}")
_WHOLE = re.compile(r"[+-]?[0-9]{1,15}(\.0+)?")
_HOST = re.compile(r"[A-Za-z0-9_]([A-Za-z0-9_.-]{0,251}[A-Za-z0-9_.])?|\[?[0-9A-Fa-f:.]*:[0-9A-Fa-f:.]*\]?")
_BROKER = re.compile(r"(?:[A-Za-z0-9_][A-Za-z0-9_.-]{0,252}|\[[0-9A-Fa-f:.]+\])(?::([0-9]{1,5}))?")


def expected(kind: Kind, choices: Sequence[str] = ()) -> str:
    """What a value of `kind` has to be, for messages and the reference."""
    return f"one of {', '.join(choices)}" if kind is Kind.CHOICE else kind.value


def parse(kind: Kind, text: str, choices: Sequence[str] = ()) -> Value:
    """`text` as a value of `kind`; `WrongValueError` when it is none. Numbers and booleans are texts in settings files."""
    value = text if kind is Kind.SECRET else text.strip()
    parsed = None
    if value:
        parsed = _choice(value, choices) if kind is Kind.CHOICE else _READERS[kind](value)
    if parsed is None:
        raise WrongValueError(f"expected {expected(kind, choices)}")
    return parsed


def _choice(text: str, choices: Sequence[str]) -> str | None:
    return text.upper() if text.upper() in choices else None


def _matching(pattern: re.Pattern[str]) -> Callable[[str], str | None]:
    return lambda text: text if pattern.fullmatch(text) else None


def _boolean(text: str) -> bool | None:
    return {"true": True, "yes": True, "on": True, "false": False, "no": False, "off": False}.get(
        text.lower()
    )


def _hosts(text: str) -> tuple[str, ...] | None:
    parts = tuple(part.strip() for part in text.split(",") if part.strip())
    return parts if parts and all(_HOST.fullmatch(part) for part in parts) else None


def _brokers(text: str) -> str | None:
    parts = [part.strip() for part in text.split(",") if part.strip()]
    found = [_BROKER.fullmatch(part) for part in parts]
    good = [one is not None and (one[1] is None or 1 <= int(one[1]) <= 65535) for one in found]
    return ",".join(parts) if good and all(good) else None


def _whole(text: str, least: int, most: int = 10**15) -> int | None:
    if not _WHOLE.fullmatch(text):
        return None
    number = int(text.partition(".")[0])
    return number if least <= number <= most else None


def _above_zero(text: str) -> float | None:
    try:
        number = float(text)
    except ValueError:
        return None
    return number if math.isfinite(number) and number > 0 else None


def _url(text: str) -> str | None:
    """A base URL; without the slash at its end, since paths are appended to it."""
    try:
        parts = urlsplit(text)
        good = (
            parts.scheme in {"http", "https"}
            and bool(parts.hostname)
            and (parts.port is None or parts.port > 0)
        )
    except ValueError:
        return None
    if not good or "@" in parts.netloc or parts.query or parts.fragment or re.search(r"\s", text):
        return None
    return text.rstrip("/")


def _path(text: str) -> Path:
    return Path(text).expanduser()


_READERS: dict[Kind, Callable[[str], Value | None]] = {
    Kind.WORD: _matching(_WORD),
    Kind.TEXT: str,
    Kind.SECRET: str,
    Kind.NAME: _matching(_NAME),
    Kind.COUNT: lambda text: _whole(text, 1),
    Kind.INDEX: lambda text: _whole(text, 0),
    Kind.SECONDS: _above_zero,
    Kind.DAYS: _above_zero,
    Kind.BOOLEAN: _boolean,
    Kind.URL: _url,
    Kind.HOST: _matching(_HOST),
    Kind.HOSTS: _hosts,
    Kind.BROKERS: _brokers,
    Kind.PORT: lambda text: _whole(text, 1, 65535),
    Kind.PATH: _path,
    Kind.PEM: _path,
}


def shown(value: Value | None) -> str:
    """A value as an operator would write it; nothing for an unset one."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, tuple):
        return ",".join(value)
    return f"{value:g}" if isinstance(value, float) else str(value)
