"""Times as they are typed and shown."""

import re
from datetime import UTC, datetime, timedelta

import typer

_SPAN = re.compile(r"([0-9]{1,6})\s*([smhdw])")
_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days", "w": "weeks"}

_LAST = 253_402_300_799_999
"""The end of the year 9999: a message may carry any number."""


def since_when(text: str, now: datetime | None = None) -> int:
    """The time that `2h`, `3d` or `2026-03-01T09:30Z` stands for, in milliseconds; without a zone it is UTC.

    Raises a usage error.
    """
    if span := _SPAN.fullmatch(text.strip()):
        try:
            moment = (now or datetime.now(UTC)) - timedelta(**{_UNITS[span[2]]: int(span[1])})
        except OverflowError:
            return 0
    else:
        try:
            moment = datetime.fromisoformat(text.strip())
        except ValueError as error:
            message = (
                f"{text} is neither a span (90s, 15m, 2h, 3d, 1w) nor a time (2026-03-01, 2026-03-01T09:30Z)"
            )
            raise typer.BadParameter(message, param_hint="--since") from error
    aware = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    return max(0, (aware - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(milliseconds=1))


def shown(milliseconds: int) -> str:
    """A time as `2026-03-01T09:30:00Z`, which `--since` understands."""
    within = min(max(0, milliseconds), _LAST)
    moment = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=within)
    return f"{moment:%Y-%m-%dT%H:%M:%SZ}"
