"""The JSON texts in `agg_details`: one for each attempt at an assessment (contracts, section 4)."""

import re
from datetime import UTC, datetime, timedelta

import msgspec

from lern.domain.model import Attempt

_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_DATE = re.compile(
    r"(?P<month>[A-Z][a-z]{2}) (?P<day>[0-9]{1,2}), (?P<year>[0-9]{4}),?\s"
    r"(?P<hour>[0-9]{1,2}):(?P<minute>[0-9]{2}):(?P<second>[0-9]{2})\s(?P<half>[AP])M"
)
"""White space of any kind: Java puts a narrow one before AM and PM since version 20."""


class AttemptDetail(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One attempt as `agg_details` tells of it, in any of its three forms."""

    attempt_id: str
    last_attempted_on: str | None = None
    """As `Jan 05, 2023, 3:04:05 PM`, UTC."""
    score: float
    content_id: str
    max_score: float
    type: str
    attempted_on: float | None = None
    """Seconds since 1970, in rows of earlier times."""

    @property
    def moment(self) -> datetime | None:
        """When the attempt was made, to the second; None where the text does not say."""
        if self.last_attempted_on is not None:
            return _read_date(self.last_attempted_on)
        if self.attempted_on is None:
            return None
        try:
            return _EPOCH + timedelta(seconds=self.attempted_on)
        except OverflowError:
            return None


_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(AttemptDetail, strict=False).decode


def write(attempt: Attempt, kind: str) -> str:
    """The text of one attempt; `kind` is what it says its type is."""
    moment = attempt.attempted_on
    return _encode(
        AttemptDetail(
            attempt_id=attempt.attempt,
            last_attempted_on=None if moment is None else _date(moment),
            score=attempt.score,
            content_id=attempt.content,
            max_score=attempt.max_score,
            type=kind,
        )
    ).decode()


def read(text: str) -> AttemptDetail | None:
    """What a text says; None when it is none of the three forms."""
    try:
        return _decode(text)
    except (msgspec.DecodeError, UnicodeError):
        return None


def _date(moment: datetime) -> str:
    """The names are English whatever the locale of the process is, which is why `strftime` does not serve."""
    at = moment if moment.tzinfo is UTC else moment.astimezone(UTC)
    hour, half = at.hour % 12 or 12, "AP"[at.hour >= 12]
    return f"{_MONTHS[at.month - 1]} {at.day:02}, {at.year:04}, {hour}:{at.minute:02}:{at.second:02} {half}M"


def _read_date(text: str) -> datetime | None:
    found = _DATE.fullmatch(text)
    if not found or found["month"] not in _MONTHS:
        return None
    hour = int(found["hour"]) % 12 + (12 if found["half"] == "P" else 0)
    try:
        return datetime(
            int(found["year"]),
            _MONTHS.index(found["month"]) + 1,
            int(found["day"]),
            hour,
            int(found["minute"]),
            int(found["second"]),
            tzinfo=UTC,
        )
    except ValueError:
        return None
