"""The errors of the package, by what has to happen next.

    LernError
    ├── BadEvent        the message itself is wrong           -> one failed record, go on
    ├── Refused         a dependency said no for this event   -> one failed record, go on
    ├── Unavailable     a dependency is down or slow          -> back off, commit nothing, try again
    └── SettingsError   the settings cannot work              -> say key, file and line; exit 2

Adapters translate their driver's errors into these and keep the cause (`raise ... from error`).
No text of an error holds a secret, a name, a phone number, an address or an answer; identifiers are fine.
"""

from lern.counts import Count


class LernError(Exception):
    """The root of everything that this package raises on purpose."""


class Rejection(LernError):
    """An event that cannot be handled: it becomes one failed record with `code` and the text as reason.

    `count` is a counter that grows besides `failed`.
    """

    def __init__(self, code: str, reason: str, count: Count | None = None) -> None:
        super().__init__(reason)
        self.code = code
        self.reason = reason
        self.count = count


class BadEvent(Rejection):
    """The message is not JSON, or a required field is missing or wrong; the reason names the field."""

    def __init__(self, reason: str, code: str = "ERR_INVALID_EVENT", count: Count | None = None) -> None:
        super().__init__(code, reason, count)


class Refused(Rejection):
    """A dependency answered, and the answer is no: an HTTP 4xx, a row that cannot be, a missing course."""


class Unavailable(LernError):
    """A dependency did not answer, or not in time.

    `dependency` is its short name as it stands in `/readyz` and the metrics: kafka, cassandra, redis, search, ...
    """

    def __init__(self, dependency: str, reason: str) -> None:
        super().__init__(f"{dependency}: {reason}")
        self.dependency = dependency


class SettingsError(LernError):
    """Settings that cannot work; the text names the key and, where there is one, file and line."""
